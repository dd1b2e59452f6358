"""The startup replay: a sidecar that starts rebuilds its operations from the retained log.

Until the replay is complete no client gets a snapshot: handshakes wait for it, eight seconds at the
most. The dispatcher advances it for each batch that it has processed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Final

from celery_wsprogress.protocol.event_ids import parse_position

logger = logging.getLogger(__name__)

HANDSHAKE_HOLD: Final = 8.0
"""Seconds that a handshake waits; then it is answered with 503. Clients wait for ten: less, so that
they get the reason."""

LOG_INTERVAL: Final = 1.0
"""Seconds between two log lines about its progress."""


class StartupReplay:
    """The progress of reading what the log retained when the sidecar started.

    Runs in: the event loop.
    """

    def __init__(self) -> None:
        self._settled = asyncio.Event()
        self._done = False
        self._began_at = self._logged_at = time.monotonic()
        self._first: int | None = None
        self._events = 0

    @property
    def done(self) -> bool:
        """Whether all of it has been read."""
        return self._done

    async def wait(self) -> bool:
        """Wait until it is complete, :data:`HANDSHAKE_HOLD` at the most; return whether it is."""
        if not self._done:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._settled.wait(), HANDSHAKE_HOLD)
        return self._done

    def cancel(self) -> None:
        """End the waiting of all handshakes: the sidecar stops."""
        self._settled.set()

    def advance(self, position: str, end: str, events: int) -> None:
        """Count the events of a batch.

        Args:
            position: Of the batch.
            end: The last position of the log when the broker was reached.
            events: How many the batch holds.
        """
        self._events += events
        at = parse_position(position)[0]
        self._first = at if self._first is None else self._first
        now = time.monotonic()
        if now - self._logged_at >= LOG_INTERVAL:
            self._logged_at = now
            logger.info(
                "Reading the log: %s, %d events", _share(self._first, at, end), self._events
            )

    def complete(self) -> None:
        """Mark it as complete, and release the handshakes."""
        if not self._done:
            self._done = True
            self._settled.set()
            seconds = time.monotonic() - self._began_at
            if seconds >= LOG_INTERVAL:
                logger.info("Read the log: %d events in %.1f s", self._events, seconds)


def _share(first: int, at: int, end: str) -> str:
    last = parse_position(end)[0] if end else at
    # Positions count batches, or milliseconds: the share is near enough either way.
    share = (at - first) / (last - first) if last > first else 1.0
    return f"{min(1.0, share):.0%}"
