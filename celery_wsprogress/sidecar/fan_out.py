"""Fan-out: write what is new to the sessions that are subscribed to it.

The dispatcher calls :meth:`FanOut.deliver` with the deliveries of the hub. The first sessions are
flushed at once, the others in later iterations of the event loop. Several large deliveries take
turns. So an operation with very many watchers delays neither pings nor other operations.

A session waits in one delivery at the most: until it is flushed it is not notified again, and then
it gets everything that is new.
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

    from celery_wsprogress.hub.deliveries import Delivery
    from celery_wsprogress.hub.session import Session

logger = logging.getLogger(__name__)

SESSIONS_PER_TICK: Final = 200
"""Sessions that are flushed in one iteration of the event loop: some milliseconds."""


class FanOut:
    """The deliveries that are not finished.

    Runs in: the event loop.

    Args:
        observe: Called when all sessions of a delivery were flushed, with the timestamp of its
            oldest event.
    """

    def __init__(self, on_delivered: Callable[[float], None]) -> None:
        self._on_delivered = on_delivered
        self._queued: deque[tuple[Iterator[Session], float | None]] = deque()

    def deliver(self, deliveries: Iterable[Delivery]) -> None:
        """Notify the sessions, and flush each that was not already waiting to be flushed."""
        notified: list[Session] = []
        oldest: float | None = None
        for record, cursor, sessions, timestamp in deliveries:
            # A session that was notified before is in an earlier delivery, still to be flushed.
            already = len(notified)
            notified += [one for one in sessions if one.notify(record, cursor)]
            if timestamp is not None and len(notified) > already:
                oldest = timestamp if oldest is None else min(oldest, timestamp)
        # Nearly every delivery ends here, without going through the event loop again.
        _flush(islice(notified, SESSIONS_PER_TICK))
        if len(notified) > SESSIONS_PER_TICK:
            self._queued.append((islice(notified, SESSIONS_PER_TICK, None), oldest))
            # With more than one, `_continue` is already scheduled.
            if len(self._queued) == 1:
                asyncio.get_running_loop().call_soon(self._continue)
        elif oldest is not None:
            self._on_delivered(oldest)

    def _continue(self) -> None:
        sessions, oldest = self._queued.popleft()
        some = list(islice(sessions, SESSIONS_PER_TICK))
        _flush(some)
        # Whether more are left shows only the next turn, which may find none.
        if some:
            # To the end of the queue: the deliveries take turns.
            self._queued.append((sessions, oldest))
        elif oldest is not None:
            self._on_delivered(oldest)
        if self._queued:
            asyncio.get_running_loop().call_soon(self._continue)


def _flush(sessions: Iterable[Session]) -> None:
    # One look at the clocks for all of them.
    now, timestamp = time.monotonic(), time.time()
    for session in sessions:
        try:
            session.flush(now, timestamp)
        except Exception:
            # A fault with one client must not stop the delivery to the others.
            logger.exception("A client could not be written to")
