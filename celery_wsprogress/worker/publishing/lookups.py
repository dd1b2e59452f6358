"""Lookups in the result backend, whose answers are published as events.

For instance, a task that stores its result itself and raises ``Ignore`` ends as the backend says.
A backend may hang, so up to four threads ask it, and neither the task nor the flusher waits.

A fork waits a moment for running lookups: their thread may hold a lock of the backend's library,
such as that of kombu's ``cached_property`` (kombu 5.7, kombu/utils/objects.py) or of an import.
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
"""Lookups that wait or run."""


class Lookup(NamedTuple):
    """A lookup, and the events to publish if it has no answer."""

    fetch: Callable[[], Sequence[EncodedEvent]]
    """Returns the events to publish. May block, and may raise."""
    fallback: Callable[[], Sequence[EncodedEvent]]
    """Returns the events to publish without an answer. Neither blocks nor raises."""


class LookupQueue:
    """Runs lookups, a few at a time, and answers each once. Thread-safe; times are monotonic.

    Args:
        publish: Takes the events of an answer; called by the thread of the lookup, without a lock.
        timeout: Seconds to wait for an answer.
    """

    def __init__(
        self, publish: Callable[[Sequence[EncodedEvent]], None], timeout: float = LOOKUP_TIMEOUT
    ) -> None:
        self._publish = publish
        self.timeout = timeout
        """Seconds to wait for the answer to a lookup that begins now."""
        self.gate = ForkGate()
        """Entered for each lookup."""
        # Re-entrant: a signal handler may fork while its thread holds the lock.
        self._lock = threading.RLock()
        self._open: dict[int, tuple[Lookup, float]] = {}
        """The open lookups with their deadlines, the earliest first."""
        self._waiting: deque[int] = deque()
        self._threads = 0
        self._serial = 0

    def __bool__(self) -> bool:
        return bool(self._open)

    @property
    def next_due(self) -> float | None:
        """The time of the first deadline; None while no lookup is open."""
        with self._lock:
            return next((deadline for _, deadline in self._open.values()), None)

    def submit(self, lookup: Lookup, now: float) -> Sequence[EncodedEvent]:
        """Start a lookup. Never waits.

        Returns:
            Its fallback, if too many are open or no thread can start; else nothing.
        """
        with self._lock:
            taken = len(self._open) < MAX_LOOKUPS and self._start_thread()
            if taken:
                self._serial += 1
                self._open[self._serial] = lookup, now + self.timeout
                self._waiting.append(self._serial)
        return () if taken else lookup.fallback()

    def expire(self, now: float) -> list[EncodedEvent]:
        """Close the lookups whose deadline has passed, and return their fallbacks."""
        expired: list[Lookup] = []
        with self._lock:
            for serial, (lookup, deadline) in list(self._open.items()):
                if deadline > now:
                    break
                del self._open[serial]
                expired.append(lookup)
        return [event for lookup in expired for event in lookup.fallback()]

    def _start_thread(self) -> bool:
        """Start one more thread, up to the limit. Return whether any is running."""
        # Called under the lock, for which the thread waits before it looks for a lookup.
        if self._threads >= MAX_THREADS:
            return True
        thread = threading.Thread(target=self._run, name="celery-wsprogress-ask", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The interpreter is shutting down, since Python 3.12 also in `atexit`.
            logger.debug("No thread for a lookup in the result backend", exc_info=True)
        else:
            self._threads += 1
        return self._threads > 0

    def _run(self) -> None:
        while (serial := self._next()) is not None:
            events = self._fetch(serial)
            with self._lock:
                # None: it has expired, and its fallback was published.
                unanswered = self._open.pop(serial, None)
            if unanswered is not None:
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
