"""The first seconds of a sidecar: its operations are made anew from what the log retains.

Until that is done nobody is told how an operation stands: handshakes wait for it, for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Final

from celery_wsprogress.protocol.event_ids import parse_position

logger = logging.getLogger(__name__)

HANDSHAKE_HOLD: Final = 10.0
"""Seconds that a handshake waits; then the client is told to come back."""

LOG_INTERVAL: Final = 1.0
"""Seconds between two lines that say how far it is."""


class StartupReplay:
    """How far the sidecar is with what the log retained when it started.

    Runs in: the event loop.
    """

    def __init__(self) -> None:
        self._decided = asyncio.Event()
        self._done = False
        self._began_at = self._shown_at = time.monotonic()
        self._first: int | None = None
        self._events = 0

    @property
    def done(self) -> bool:
        """Whether all of it has been read."""
        return self._done

    async def wait(self) -> bool:
        """Wait until it is done, for so long as a handshake may; whether it is."""
        if not self._done:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._decided.wait(), HANDSHAKE_HOLD)
        return self._done

    def cancel(self) -> None:
        """It will not be done any more: who waits is told so."""
        self._decided.set()

    def read(self, position: str, end: str, events: int) -> None:
        """So many events more were read, up to a position."""
        self._events += events
        at = parse_position(position)[0]
        self._first = at if self._first is None else self._first
        now = time.monotonic()
        if now - self._shown_at >= LOG_INTERVAL:
            self._shown_at = now
            logger.info(
                "Reading the log: %s, %d events", _share(self._first, at, end), self._events
            )

    def finish(self) -> None:
        """Everything that was retained has been read."""
        if not self._done:
            self._done = True
            self._decided.set()
            seconds = time.monotonic() - self._began_at
            if seconds >= LOG_INTERVAL:
                logger.info("Read the log: %d events in %.1f s", self._events, seconds)


def _share(first: int, at: int, end: str) -> str:
    last = parse_position(end)[0] if end else at
    # Positions count batches, or milliseconds: either way they tell about how far it is.
    share = (at - first) / (last - first) if last > first else 1.0
    return f"{min(1.0, share):.0%}"
