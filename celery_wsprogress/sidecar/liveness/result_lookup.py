"""Lookups in Celery's result backend: one thread, one lookup at a time.

A backend's client library blocks and may hang, so a daemon thread calls it, and no task is looked
up twice at the same time. A connection that failed is replaced, since a database may have ended its
session. A thread that gets no answer in time is abandoned with its connection, since a proxy may
have dropped an idle one, and another thread goes on.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery_wsprogress.brokers.result_backend import Outcome

logger = logging.getLogger(__name__)

MAX_WAITING: Final = 10_000
"""Lookups that wait; a further one is answered with :data:`UNAVAILABLE` at once."""

ANSWER_TIMEOUT: Final = 20.0
"""Seconds that one lookup may take."""

MAX_STUCK: Final = 8
"""Abandoned threads that may still hang in their client library."""


class LookupResult(NamedTuple):
    """The answer to a lookup. :data:`UNAVAILABLE` is told from others by identity."""

    outcome: Outcome | None
    """The outcome; None if the backend knows no end of the task, or could not be asked."""


UNAVAILABLE: Final = LookupResult(None)
"""The backend could not be asked, or did not answer."""


def find_backend(app: Any, url: str | None) -> ResultLookup | None:
    """Return the lookups of an application's result backend, or of the one at ``url``.

    None where there is no backend.

    Raises:
        ConfigurationError: Celery knows no such backend, or its library is missing.
    """
    if app is None and url is None:
        # Celery is not even loaded for a sidecar that needs none of it.
        return None
    from celery_wsprogress.brokers.result_backend import open_backend  # noqa: PLC0415

    backend = open_backend(app, url)
    return None if backend is None else ResultLookup(partial(open_backend, app, url))


class _Lookup(NamedTuple):
    task_id: str
    since: float


class ResultLookup:
    """Looks up how tasks ended.

    Args:
        open_backend: Makes a backend with a connection of its own; called by the thread that asks.
        answer_timeout: Seconds that one question may take.
    """

    def __init__(
        self, open_backend: Callable[[], Any], answer_timeout: float = ANSWER_TIMEOUT
    ) -> None:
        self._open_backend = open_backend
        self._answer_timeout = answer_timeout
        self._work = threading.Condition()
        self._waiting: deque[str] = deque()
        self._answers: dict[str, Callable[[LookupResult], None]] = {}
        self._thread: threading.Thread | None = None
        self._current: _Lookup | None = None
        self._stuck: list[threading.Thread] = []
        self._reached = True

    def request(self, task_id: str, answer: Callable[[LookupResult], None]) -> None:
        """Look up how a task ended. Never blocks.

        Args:
            task_id: Of the task. Nothing happens while a lookup of it is under way.
            answer: Called with the result, by another thread; at once where too many lookups wait.
        """
        given_up: Callable[[LookupResult], None] | None = None
        with self._work:
            given_up = self._give_up_stuck()
            if task_id not in self._answers:
                full = len(self._answers) >= MAX_WAITING or len(self._stuck) >= MAX_STUCK
                if not full:
                    self._answers[task_id] = answer
                    self._waiting.append(task_id)
                    self._work.notify()
            else:
                full = False
            self._start_thread()
        if given_up is not None:
            given_up(UNAVAILABLE)
        if full:
            answer(UNAVAILABLE)

    def _start_thread(self) -> None:
        if self._thread is None and self._waiting:
            self._thread = threading.Thread(
                target=self._run, name="wsprogress-backend", daemon=True
            )
            self._thread.start()

    def _give_up_stuck(self) -> Callable[[LookupResult], None] | None:
        """Abandon a thread that waits for too long; return the callback of its lookup."""
        self._stuck = [thread for thread in self._stuck if thread.is_alive()]
        asking, thread = self._current, self._thread
        if asking is None or thread is None:
            return None
        if time.monotonic() - asking.since < self._answer_timeout:
            return None
        self._stuck.append(thread)
        self._thread = self._current = None
        self._warn_once("no answer")
        return self._answers.pop(asking.task_id)

    # Called by the thread.

    def _run(self) -> None:
        backend: Any = None
        while task_id := self._next():
            found, backend = self._lookup(backend, task_id)
            with self._work:
                if threading.current_thread() is not self._thread:
                    return
                self._current = None
                answer = self._answers.pop(task_id)
            answer(found)

    def _next(self) -> str:
        """Wait for a lookup; return its task id, ``""`` for a thread that was abandoned."""
        with self._work:
            self._work.wait_for(lambda: self._waiting)
            if threading.current_thread() is not self._thread:
                return ""
            self._current = _Lookup(self._waiting.popleft(), time.monotonic())
            return self._current.task_id

    def _lookup(self, backend: Any, task_id: str) -> tuple[LookupResult, Any]:
        """Ask the backend, a second time with a new connection if the existing one fails.

        Returns:
            The result, and the backend for the next lookup; None if that needs another one.
        """
        if backend is not None:
            try:
                return self._outcome_of(backend, task_id), backend
            except Exception:
                logger.debug("The result backend's connection is lost", exc_info=True)
        try:
            forget_connections()
            backend = self._open_backend()
            return self._outcome_of(backend, task_id), backend
        except Exception as exc:  # noqa: BLE001 - as above
            # The text of a library's exception may hold the URL, so only its class is shown.
            self._warn_once(type(exc).__name__)
            return UNAVAILABLE, None

    def _outcome_of(self, backend: Any, task_id: str) -> LookupResult:
        from celery_wsprogress.brokers.result_backend import fetch_outcome  # noqa: PLC0415 - as above

        found = LookupResult(fetch_outcome(backend, task_id))
        self._reached = True
        return found

    def _warn_once(self, why: str) -> None:
        if self._reached:
            self._reached = False
            logger.warning("The result backend cannot be asked (%s)", why)


def forget_connections() -> None:
    """Have Django open its database anew for this thread, where a project keeps results there.

    Its connections belong to the thread, and outlive the backend that used them.
    """
    database = sys.modules.get("django.db")
    if database is not None:
        database.connections.close_all()
