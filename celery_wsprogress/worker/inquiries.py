"""Questions to the result backend, asked beside everything else that a process has to say.

A task that stores its outcome itself and then raises ``Ignore`` ends as the backend says. A
backend may be slow, away or frozen, so it is asked by threads that do nothing else: neither the
task nor the flusher, which also gives the signs of life of every other run, ever waits for it.

A process that forks waits a moment for the questions that are under way: a thread in the middle of
one may hold a lock of the backend's library, which the child would inherit locked for ever. Such
are the locks of kombu's ``cached_property``, one for all threads and backends
(kombu 5.7, kombu/utils/objects.py), and those of modules that are being imported.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from celery_wsprogress.worker.faults import log_fault
from celery_wsprogress.worker.section import Section

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from celery_wsprogress.worker.reports import Report

logger = logging.getLogger(__name__)

ANSWER_TIMEOUT: Final = 10.0
"""Seconds after which something is said without the answer."""

MAX_THREADS: Final = 4
"""Questions that are asked at once. A thread whose client library hangs counts until it returns."""

MAX_WAITING: Final = 1_000
"""Questions that wait or are asked."""


class Inquiry(NamedTuple):
    """A question, and what is to be said where nobody answers it."""

    ask: Callable[[], Sequence[Report]]
    """Asks and returns what is to be said. May block, and may raise."""
    otherwise: Callable[[], Sequence[Report]]
    """Returns what is said where there is no answer in time. Neither blocks nor raises."""


class Inquiries:
    """Asks, a few questions at a time, and gives each one answer.

    Every method may be called by any thread; times are those of one monotonic clock.

    Args:
        answered: Takes what is to be said; called by the thread that asked, without a lock.
        timeout: Seconds that an answer is waited for.
    """

    def __init__(
        self, answered: Callable[[Sequence[Report]], None], timeout: float = ANSWER_TIMEOUT
    ) -> None:
        self._answered = answered
        self._timeout = timeout
        # Re-entrant: a signal handler may fork while its thread is in here.
        self._lock = threading.RLock()
        self.asking = Section()
        """A question is under way, in its backend's hands."""
        self._open: dict[int, tuple[Inquiry, float]] = {}
        """Each with its deadline, the earliest first."""
        self._waiting: deque[int] = deque()
        self._threads = 0
        self._next = 0

    def __bool__(self) -> bool:
        return bool(self._open)

    @property
    def due(self) -> float | None:
        """When :meth:`expire` has something to return; None while nothing is open."""
        with self._lock:
            return next((deadline for _, deadline in self._open.values()), None)

    def put(self, inquiry: Inquiry, now: float) -> Sequence[Report]:
        """Have it asked. Never waits.

        Returns:
            What is to be said at once, because too many questions are open, or nobody is there to
            ask; else nothing.
        """
        with self._lock:
            taken = len(self._open) < MAX_WAITING and self._start()
            if taken:
                self._next += 1
                self._open[self._next] = inquiry, now + self._timeout
                self._waiting.append(self._next)
        return () if taken else inquiry.otherwise()

    def expire(self, now: float) -> list[Report]:
        """What is to be said of the questions that were not answered in time."""
        late: list[Inquiry] = []
        with self._lock:
            for number, (inquiry, deadline) in list(self._open.items()):
                if deadline > now:
                    break
                del self._open[number]
                late.append(inquiry)
        return [report for inquiry in late for report in inquiry.otherwise()]

    def _start(self) -> bool:
        """Have one more thread, if there may be; whether there is any.

        It waits for the lock before it looks for something to ask.
        """
        if self._threads >= MAX_THREADS:
            return True
        thread = threading.Thread(target=self._run, name="celery-wsprogress-ask", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The interpreter is shutting down; since Python 3.12 that is so in `atexit`, too.
            logger.debug("No thread for a question to the result backend", exc_info=True)
        else:
            self._threads += 1
        return self._threads > 0

    def _run(self) -> None:
        while (number := self._take()) is not None:
            found = self._ask(number)
            with self._lock:
                # Else it was too late.
                owed = self._open.pop(number, None)
            if owed is not None:
                self._answered(found)

    def _take(self) -> int | None:
        with self._lock:
            while self._waiting:
                number = self._waiting.popleft()
                if number in self._open:
                    return number
            self._threads -= 1
        return None

    def _ask(self, number: int) -> Sequence[Report]:
        with self.asking:
            found = self._open.get(number)
            if found is None:
                return ()
            try:
                return found[0].ask()
            except Exception as exc:  # noqa: BLE001 - whatever the backend's library raises
                sentence = "Task events: a question could not be asked"
                log_fault(logger, logging.ERROR, sentence, exc)
                return found[0].otherwise()
