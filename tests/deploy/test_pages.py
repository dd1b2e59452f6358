"""Each file for a deployment stands on a page, and the page about deploying names it."""

from __future__ import annotations

import re

from support.deployments import FOLDER

PAGES = {page: page.read_text() for page in FOLDER.parent.glob("howto/*.md")}


def test_each_file_stands_on_a_page():
    shown = {
        one
        for text in PAGES.values()
        for one in re.findall(r"^```{literalinclude} \.\./deploy/(\S+)$", text, re.MULTILINE)
    }
    assert shown == {file.name for file in FOLDER.iterdir()}


def test_the_page_about_deploying_names_each_file():
    text = PAGES[FOLDER.parent / "howto" / "deploy.md"]
    assert {file.name for file in FOLDER.iterdir() if f"`{file.name}`" not in text} == set()
