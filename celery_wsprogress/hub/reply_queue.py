"""The queue of replies to a client's commands that were not written to its socket yet.

Pure.
"""

from __future__ import annotations

from celery_wsprogress.protocol.frames import text_frame


class ReplyQueue(list[bytes]):
    """The unsent replies of one session as frames, oldest first.

    A list, because each delivery asks whether it is empty: a method written in Python would double
    the time of that.
    """

    __slots__ = ()

    def add(self, text: bytes) -> None:
        """Queue a reply, given as JSON."""
        self.append(text_frame(text))

    def take(self, limit: int) -> list[bytes]:
        """Remove and return the oldest frames: about ``limit`` bytes, but at least one frame."""
        count, room = 0, limit
        while count < len(self) and room > 0:
            room -= len(self[count])
            count += 1
        taken = self[:count]
        del self[:count]
        return taken
