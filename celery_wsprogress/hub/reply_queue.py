"""The queue of replies to a client's commands that were not written to its socket yet.

Pure.
"""

from __future__ import annotations

from typing import Final

from celery_wsprogress.protocol.frames import text_frame

MAX_BYTES: Final = 1_000_000
"""Bytes of unsent replies above which the server reads no more commands of the client."""


class ReplyQueue:
    """The unsent replies of one session as frames, oldest first."""

    __slots__ = ("_frames", "size")

    def __init__(self) -> None:
        self._frames: list[bytes] = []
        self.size = 0
        """Bytes of all frames."""

    def __bool__(self) -> bool:
        return bool(self._frames)

    @property
    def backlogged(self) -> bool:
        """Whether the server must read no command now."""
        return self.size > MAX_BYTES

    def add(self, text: bytes) -> None:
        """Queue a reply, given as JSON."""
        frame = text_frame(text)
        self._frames.append(frame)
        self.size += len(frame)

    def take(self, limit: int) -> list[bytes]:
        """Remove and return the oldest frames: about ``limit`` bytes, but at least one frame."""
        count, room = 0, limit
        while count < len(self._frames) and room > 0:
            room -= len(self._frames[count])
            count += 1
        taken, self._frames = self._frames[:count], self._frames[count:]
        self.size -= limit - room
        return taken

    def clear(self) -> None:
        """Drop all frames."""
        self._frames.clear()
        self.size = 0
