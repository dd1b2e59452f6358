"""The buffer of a chunk: pieces of text that wait to be sent as one.

The thread of a task appends without a lock. Whoever takes pieces out, the publisher's thread or the
one of a task that has come too late, holds the publisher's lock. So of a piece that is appended
while the chunk is taken, one of both gets hold, in the order of the calls.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import Final

from celery_wsprogress.worker.publishing.queue_entries import LAZY_BYTES

MAX_CHARACTERS: Final = 4_000
"""Characters of a chunk of text: at most 24,000 bytes of JSON."""

MAX_PIECES: Final = 200
"""Pieces that are joined at most: small ones take more memory than their characters."""

_CHARACTER_BYTES: Final = 2
_PIECE_BYTES: Final = 60
"""Bytes for which a character and a further piece count in the queue."""

_FULL: Final = MAX_CHARACTERS + 1
"""What is taken from the room of a buffer that has all its pieces: then it is below 0."""


class ChunkBuffer:
    """The text of one chunk, until it is taken.

    Args:
        text: Its beginning.
        growth: Bytes for which it counts in the queue besides its beginning: what the chunk before
            has grown by since that was queued.
    """

    __slots__ = ("_first_room", "_pieces", "_taken_pieces", "room", "size", "taken")

    def __init__(self, text: str, growth: int = 0) -> None:
        self._pieces = deque((text,))
        self._taken_pieces: list[str] = []
        self.room = self._first_room = MAX_CHARACTERS - len(text)
        """Number of characters that may be appended."""
        self.taken = False
        """Whether it takes no more."""
        self.size = LAZY_BYTES + _CHARACTER_BYTES * len(text) + growth
        """Bytes for which it counts in the queue."""

    @property
    def growth(self) -> int:
        """Bytes by which it has grown, for which the next entry of its stream counts."""
        if self.taken:
            return 0
        room = self.room if self.room >= 0 else self.room + _FULL
        characters, pieces = self._first_room - room, len(self._pieces) - 1
        return _CHARACTER_BYTES * characters + _PIECE_BYTES * pieces

    def append(self, piece: str) -> bool:
        """Append a piece, for which there must be room.

        Returns:
            Whether it may be too late: then :meth:`late` is to be sent.
        """
        self._pieces.append(piece)
        self.room -= len(piece)
        if len(self._pieces) >= MAX_PIECES:
            self.room -= _FULL
        return self.taken

    def late(self) -> str:
        """Return what was appended too late, and belongs into the next chunk."""
        found: list[str] = []
        self._move_to(found)
        return "".join(found)

    def take(self) -> str:
        """Return its text, again if it is asked again. Later pieces are not taken."""
        self.taken = True
        # Whatever interrupts this, as the time limit of a task may, what was moved is not lost.
        self._move_to(self._taken_pieces)
        return "".join(self._taken_pieces)

    def _move_to(self, found: list[str]) -> None:
        with suppress(IndexError):
            while True:
                found.append(self._pieces.popleft())


def slices(text: str) -> list[str]:
    """Return a text in parts, of which each fits into a chunk."""
    if len(text) <= MAX_CHARACTERS:
        return [text]
    return [text[at : at + MAX_CHARACTERS] for at in range(0, len(text), MAX_CHARACTERS)]
