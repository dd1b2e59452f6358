"""Escape control characters, for terminals and logs.

Texts of tasks, clients, proxies and servers may hold anything. Characters that would move the
cursor, colour the screen, begin a line or turn the direction of the text are escaped.

Pure.
"""

from __future__ import annotations


def escape_control(text: str, max_length: int | None = None) -> str:
    """Return the text with every character escaped that is not printable.

    Args:
        text: Any text.
        max_length: Characters that are kept; None keeps all of them.
    """
    if max_length is not None and len(text) > max_length:
        text = text[: max_length - 1] + "…"
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escape(one) for one in text)


def escape_control_lines(text: str) -> str:
    """Escape each line of a text, and keep its line ends."""
    return "\n".join(map(escape_control, text.split("\n")))


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
