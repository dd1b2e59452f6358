"""The tags of a piece of HTML."""

from __future__ import annotations

from html.parser import HTMLParser


class HTMLTags(HTMLParser):
    """The attributes of each tag, of the last one of each name."""

    def __init__(self, text):
        super().__init__()
        self.found = {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found[tag] = dict(attrs)
