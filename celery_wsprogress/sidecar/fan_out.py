"""Fan-out: write what is new to the sessions that are subscribed to it.

The sessions that were notified are flushed some at a time. The first ones are flushed at once; the
others follow between everything else that the event loop has to do. Where several deliveries are
under way they take turns, so an operation with very many watchers delays neither the pings nor the
watchers of another operation.

A session is in one of them at the most: until it is flushed nothing new notifies it, and then it
gets everything that is there.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from celery_wsprogress.hub.hub import Delivery
    from celery_wsprogress.hub.session import Session

logger = logging.getLogger(__name__)

SESSIONS_PER_TICK: Final = 200
"""Sessions that are flushed before others have their turn: some milliseconds."""


class FanOut:
    """The deliveries that are under way.

    Runs in: the event loop.

    Args:
        observe: Called when all sessions of a delivery were flushed, with the epoch seconds of the
            oldest event in it.
    """

    def __init__(self, observe: Callable[[float], None]) -> None:
        self._observe = observe
        self._waiting: deque[tuple[Iterator[Session], float | None]] = deque()

    def deliver(self, deliveries: Iterable[Delivery]) -> None:
        """Notify the sessions, and flush those that were notified for the first time."""
        notified: list[Session] = []
        oldest: float | None = None
        for record, cursor, sessions, since in deliveries:
            before = len(notified)
            notified += [one for one in sessions if one.notify(record, cursor)]
            if since is not None and len(notified) > before:
                oldest = since if oldest is None else min(oldest, since)
        _flush(islice(notified, SESSIONS_PER_TICK))
        if len(notified) > SESSIONS_PER_TICK:
            self._waiting.append((islice(notified, SESSIONS_PER_TICK, None), oldest))
            if len(self._waiting) == 1:
                asyncio.get_running_loop().call_soon(self._continue)
        elif oldest is not None:
            self._observe(oldest)

    def _continue(self) -> None:
        sessions, oldest = self._waiting.popleft()
        some = list(islice(sessions, SESSIONS_PER_TICK))
        _flush(some)
        if some:
            self._waiting.append((sessions, oldest))
        elif oldest is not None:
            self._observe(oldest)
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._continue)


def _flush(sessions: Iterable[Session]) -> None:
    now, timestamp = time.monotonic(), time.time()
    for session in sessions:
        try:
            session.flush(now, timestamp)
        except Exception:
            # A fault of ours with one client must not keep from all others what is for them.
            logger.exception("A client could not be written to")
