"""Text from elsewhere, made fit for a terminal and for a line of a log.

A task, a client, a proxy or a server that is no sidecar may say anything: what would move the
cursor, colour the screen, begin a line of its own or turn the direction of the text is spelled out.

Pure.
"""

from __future__ import annotations


def clean(text: str, most: int | None = None) -> str:
    """The text with everything spelled out that a terminal would obey or not show.

    Args:
        text: Anything.
        most: Characters that are kept; without it all of them.
    """
    if most is not None and len(text) > most:
        text = text[: most - 1] + "…"
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _spelled(one) for one in text)


def clean_lines(text: str) -> str:
    """The same of several lines, which stay lines."""
    return "\n".join(map(clean, text.split("\n")))


def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
