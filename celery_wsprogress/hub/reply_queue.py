"""The replies to a client's commands that its socket has not taken yet.

Pure.
"""

from __future__ import annotations

from typing import Final

from celery_wsprogress.protocol.frames import text_frame

MAX_BYTES: Final = 1_000_000
"""With more unsent replies than this the server stops reading the client's commands."""


class ReplyQueue:
    """Replies as frames, oldest first."""

    __slots__ = ("_frames", "size")

    def __init__(self) -> None:
        self._frames: list[bytes] = []
        self.size = 0
        """Bytes that wait."""

    def __bool__(self) -> bool:
        return bool(self._frames)

    @property
    def backlogged(self) -> bool:
        """Whether so many replies are unsent that no command should be read now."""
        return self.size > MAX_BYTES

    def add(self, text: bytes) -> None:
        """Queue the reply to a command."""
        frame = text_frame(text)
        self._frames.append(frame)
        self.size += len(frame)

    def take(self, limit: int) -> list[bytes]:
        """Take the oldest frames: about ``limit`` bytes, and one at least where there is one."""
        count, room = 0, limit
        while count < len(self._frames) and room > 0:
            room -= len(self._frames[count])
            count += 1
        taken, self._frames = self._frames[:count], self._frames[count:]
        self.size -= limit - room
        return taken

    def clear(self) -> None:
        """Drop everything."""
        self._frames.clear()
        self.size = 0
