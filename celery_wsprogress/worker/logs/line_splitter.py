"""Lines of a text that comes in pieces, as ``print`` writes it. Pure."""

from __future__ import annotations

from typing import Final

MAX_LINE: Final = 10_000
"""Characters of a line that are kept; the rest of it is dropped."""


class LineSplitter:
    r"""Joins pieces of a text, and splits them into lines.

    A line ends with ``\n``. Of one that is written over itself with ``\r``, as bars do, the last
    state that is not empty counts: what a terminal shows. Lines have no ends, and may be empty.
    """

    __slots__ = ("_line", "_state")

    def __init__(self) -> None:
        self._line = ""
        """The state before the current one that was not empty."""
        self._state = ""
        """The characters since the last ``\\r``."""

    @property
    def is_empty(self) -> bool:
        """Whether no line has begun."""
        return not (self._line or self._state)

    def feed(self, text: str) -> list[str]:
        """Take a piece; return the lines that it ends."""
        *ended, begun = text.split("\n")
        lines = []
        for piece in ended:
            self._add(piece)
            lines.append(self.rest())
        self._add(begun)
        return lines

    def rest(self) -> str:
        """Return the line that has not ended, and begin a new one."""
        found = self._state or self._line
        self._line = self._state = ""
        return found

    def _add(self, piece: str) -> None:
        first, *others = piece.split("\r")
        self._state += first[: MAX_LINE - len(self._state)]
        for state in others:
            self._line = self._state or self._line
            self._state = state[:MAX_LINE]
