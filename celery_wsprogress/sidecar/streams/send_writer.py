"""The writer of a session whose client is sent to by a coroutine.

A session writes only while the writer is ready. It is not ready from a write until all of it was
sent: so no more is held for a client than one write (:data:`.WRITE_BYTES`, or one larger frame),
and what a slow client does not take stays a cursor in its session. ``send`` waits while the
client's socket is full.

Runs in: the event loop.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class SendWriter:
    """Holds what a session wrote until it was sent; a :class:`.CountingWriter`.

    Args:
        flush: Flushes the session.
        close_too_slow: Closes the connection; called when its client has missed events.
    """

    def __init__(self, flush: Callable[[], None], close_too_slow: Callable[[], None]) -> None:
        self.ready = True
        """Whether a write is accepted now."""
        self.close_too_slow = close_too_slow
        self.sent_bytes = 0
        self.sent_writes = 0
        self._flush = flush
        self._frames = b""
        self._written = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._open = True
        self._since = 0.0
        """When the client last took something, or was written to, in monotonic seconds."""
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether all that was written was sent."""
        return self._idle.is_set()

    def write(self, frames: bytes) -> None:
        """Take frames. Never waits."""
        self.ready = False
        self._frames = frames
        self._since = time.monotonic()
        self.sent_bytes += len(frames)
        self.sent_writes += 1
        self._idle.clear()
        self._written.set()

    async def take(self) -> bytes:
        """Wait for frames, and return them. :meth:`finish` says that they were sent."""
        await self._written.wait()
        self._written.clear()
        return self._frames

    def note_sent(self) -> None:
        """Record that the client takes what is sent."""
        self._since = time.monotonic()

    def finish(self) -> None:
        """Accept the next write: all frames were sent."""
        self._frames = b""
        self.ready = self._open
        self._idle.set()

    async def wait_idle(self) -> None:
        """Wait until all that was written was sent."""
        await self._idle.wait()

    def flush_soon(self) -> None:
        """Schedule a flush of the session."""
        asyncio.get_running_loop().call_soon(self._flush)

    def flush_at(self, due: float) -> None:
        """Flush the session at a monotonic time; an earlier request stands."""
        loop = asyncio.get_running_loop()
        delay = max(0.0, due - time.monotonic())
        if self._timer is not None:
            if self._timer.when() <= loop.time() + delay:
                return
            self._timer.cancel()
        self._timer = loop.call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._flush()

    def close(self) -> None:
        """Accept nothing any more."""
        self._open = self.ready = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def is_stalled(self, timeout: float) -> bool:
        """Return whether the client has taken nothing of what was sent for ``timeout`` seconds."""
        return not self.is_idle and time.monotonic() - self._since > timeout
