"""Lookups in the result backend, whose answers are published.

A task that stores its result itself and then raises ``Ignore`` ends as the backend says. A backend
may be slow, down or frozen, so threads of their own ask it: neither the task nor the flusher, which
also sends the heartbeats of all other runs, ever waits for it.

A fork waits a moment for lookups that are under way: their thread may hold a lock of the backend's
library. Such are the locks of kombu's ``cached_property``, one for all threads and backends
(kombu 5.7, kombu/utils/objects.py), and those of modules that are being imported.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from celery_wsprogress.worker.error_log import log_internal_error
from celery_wsprogress.worker.publishing.fork_gate import ForkGate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from celery_wsprogress.worker.publishing.queue_entries import EncodedEvent

logger = logging.getLogger(__name__)

LOOKUP_TIMEOUT: Final = 10.0
"""Seconds after which the fallback is published."""

MAX_THREADS: Final = 4
"""Lookups at a time. A thread whose client library hangs counts until it returns."""

MAX_LOOKUPS: Final = 1_000
"""Lookups that wait or are under way."""


class Lookup(NamedTuple):
    """A lookup, and what is published where it has no answer."""

    fetch: Callable[[], Sequence[EncodedEvent]]
    """Returns the events to publish. May block, and may raise."""
    fallback: Callable[[], Sequence[EncodedEvent]]
    """Returns the events to publish without an answer. Neither blocks nor raises."""


class LookupQueue:
    """Runs lookups, a few at a time, and answers each once.

    Thread-safe. Times are those of one monotonic clock.

    Args:
        publish: Takes the events of an answer; called by the thread that asked, without a lock.
        timeout: Seconds to wait for an answer.
    """

    def __init__(
        self, publish: Callable[[Sequence[EncodedEvent]], None], timeout: float = LOOKUP_TIMEOUT
    ) -> None:
        self._publish = publish
        self._timeout = timeout
        self.gate = ForkGate()
        """Entered for each lookup."""
        # Re-entrant: a signal handler may fork while its thread is in here.
        self._lock = threading.RLock()
        self._open: dict[int, tuple[Lookup, float]] = {}
        """Each with its deadline, the earliest first."""
        self._waiting: deque[int] = deque()
        self._threads = 0
        self._serial = 0

    def __bool__(self) -> bool:
        return bool(self._open)

    @property
    def next_due(self) -> float | None:
        """When :meth:`expire` has something to return; None while nothing is open."""
        with self._lock:
            return next((deadline for _, deadline in self._open.values()), None)

    def submit(self, lookup: Lookup, now: float) -> Sequence[EncodedEvent]:
        """Have a lookup run. Never waits.

        Returns:
            The fallback, if too many are open or there is no thread to ask; else nothing.
        """
        with self._lock:
            taken = len(self._open) < MAX_LOOKUPS and self._start_thread()
            if taken:
                self._serial += 1
                self._open[self._serial] = lookup, now + self._timeout
                self._waiting.append(self._serial)
        return () if taken else lookup.fallback()

    def expire(self, now: float) -> list[EncodedEvent]:
        """The fallbacks of the lookups that were not answered in time."""
        expired: list[Lookup] = []
        with self._lock:
            for serial, (lookup, deadline) in list(self._open.items()):
                if deadline > now:
                    break
                del self._open[serial]
                expired.append(lookup)
        return [event for lookup in expired for event in lookup.fallback()]

    def _start_thread(self) -> bool:
        """Start one more thread, if there may be one; whether there is any.

        It waits for the lock before it looks for a lookup.
        """
        if self._threads >= MAX_THREADS:
            return True
        thread = threading.Thread(target=self._run, name="celery-wsprogress-ask", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The interpreter is shutting down; since Python 3.12 that is so in `atexit`, too.
            logger.debug("No thread for a lookup in the result backend", exc_info=True)
        else:
            self._threads += 1
        return self._threads > 0

    def _run(self) -> None:
        while (serial := self._next()) is not None:
            events = self._fetch(serial)
            with self._lock:
                # Else it has expired.
                owed = self._open.pop(serial, None)
            if owed is not None:
                self._publish(events)

    def _next(self) -> int | None:
        with self._lock:
            while self._waiting:
                serial = self._waiting.popleft()
                if serial in self._open:
                    return serial
            self._threads -= 1
        return None

    def _fetch(self, serial: int) -> Sequence[EncodedEvent]:
        with self.gate:
            found = self._open.get(serial)
            if found is None:
                return ()
            lookup = found[0]
            try:
                return lookup.fetch()
            except Exception as exc:  # noqa: BLE001 - whatever the backend's library raises
                log_internal_error(logger, logging.ERROR, "Task events: a lookup failed", exc)
                return lookup.fallback()
