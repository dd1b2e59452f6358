"""The buffer of a chunk: pieces of text that wait to be sent as one.

The thread of a task appends, and the publisher's thread takes, without a lock between them: of a
piece that is appended while the chunk is taken, one of both gets hold, since ``popleft`` of a deque
is atomic.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import Final

MAX_CHARACTERS: Final = 4_000
"""Characters of a chunk of text: at most 24,000 bytes of JSON."""

MAX_PIECES: Final = 200
"""Pieces that are joined at most: small ones take more memory than their characters."""

MAX_BYTES: Final = 8_000
"""Bytes for which a chunk counts in the queue."""


class ChunkBuffer:
    """The text of one chunk, until it is taken."""

    __slots__ = ("_pieces", "room", "taken")

    def __init__(self, text: str) -> None:
        self._pieces = deque((text,))
        self.room = MAX_CHARACTERS - len(text)
        """Number of characters that may be appended."""
        self.taken = False
        """Whether it takes no more."""

    def append(self, piece: str) -> str:
        """Append a piece, for which there must be room.

        Returns:
            What was appended too late, and belongs into the next chunk.
        """
        self._pieces.append(piece)
        self.room -= len(piece)
        if self.taken:
            return self._rest()
        if len(self._pieces) >= MAX_PIECES:
            self.room = -1
        return ""

    def take(self) -> str:
        """Return its text. Later pieces are not taken."""
        self.taken = True
        return self._rest()

    def _rest(self) -> str:
        found: list[str] = []
        with suppress(IndexError):
            while True:
                found.append(self._pieces.popleft())
        return "".join(found)


def slices(text: str) -> list[str]:
    """Return a text in parts, of which each fits into a chunk."""
    if len(text) <= MAX_CHARACTERS:
        return [text]
    return [text[at : at + MAX_CHARACTERS] for at in range(0, len(text), MAX_CHARACTERS)]
