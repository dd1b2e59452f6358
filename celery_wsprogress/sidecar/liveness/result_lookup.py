"""Lookups in Celery's result backend: one thread, one lookup at a time.

A backend's client library blocks and may hang, so a daemon thread calls it. What waits for it, and
in which order, is in :mod:`.pending_lookups`. A connection that failed is replaced, since a
database may have ended its session. A thread that gets no answer in time is abandoned with its
connection, since a proxy may have dropped an idle one, and another thread goes on.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from celery_wsprogress.sidecar.liveness.pending_lookups import (
    MAX_CLIENT_LOOKUPS,
    MAX_LOOKUPS,
    PendingLookups,
    Urgency,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from celery_wsprogress.brokers.result_backend import Outcome
    from celery_wsprogress.sidecar.liveness.pending_lookups import Answer

logger = logging.getLogger(__name__)

ANSWER_TIMEOUT: Final = 20.0
"""Seconds that one lookup may take."""

MAX_STUCK: Final = 8
"""Abandoned threads that may still hang in their client library."""


class LookupResult(NamedTuple):
    """The answer to a lookup; :data:`UNAVAILABLE` and :data:`NOT_ASKED` are told by identity."""

    outcome: Outcome | None
    """The outcome; None if the backend knows no end of the task, or could not be asked."""


UNAVAILABLE: Final = LookupResult(None)
"""The backend was asked and did not answer, or cannot be reached."""

NOT_ASKED: Final = LookupResult(None)
"""Too many lookups wait. The backend was not asked, so nothing follows from this."""


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
    answers: list[Answer]
    since: float


class ResultLookup:
    """Looks up how tasks ended.

    Args:
        open_backend: Makes a backend with a connection of its own; called by the thread that asks.
        answer_timeout: Seconds that one lookup may take.
    """

    def __init__(
        self, open_backend: Callable[[], Any], answer_timeout: float = ANSWER_TIMEOUT
    ) -> None:
        self._open_backend = open_backend
        self._answer_timeout = answer_timeout
        self._work = threading.Condition()
        self._queue = PendingLookups()
        self._thread: threading.Thread | None = None
        self._current: _Lookup | None = None
        self._stuck: list[threading.Thread] = []
        self._reached = True

    def limit_clients(
        self, max_lookups: int = MAX_LOOKUPS, max_client_lookups: int = MAX_CLIENT_LOOKUPS
    ) -> None:
        """Set how many lookups of all clients, and of one, may wait. Before the first lookup."""
        self._queue = PendingLookups(max_lookups, max_client_lookups)

    @property
    def refused(self) -> int:
        """Number of lookups of clients that were not made, for want of room."""
        return self._queue.refused

    def request(self, task_id: str, answer: Answer, urgency: Urgency = Urgency.SILENT) -> None:
        """Look up how a task ended, before everything that clients ask. Never blocks.

        Args:
            task_id: Of the task. Nothing happens while a lookup of it waits or is under way.
            answer: Called with the result, by another thread; at once where too many lookups wait.
            urgency: Its place in the queue.
        """
        refusal: LookupResult | None = None
        with self._work:
            given_up = self._give_up_stuck()
            if len(self._stuck) >= MAX_STUCK:
                # It was asked several times, and has not answered yet.
                refusal = UNAVAILABLE
            elif not self._is_current(task_id) and not self._queue.add(task_id, answer, urgency):
                refusal = NOT_ASKED
            self._wake_thread()
        _call_all(given_up, UNAVAILABLE)
        if refusal is not None:
            answer(refusal)

    def request_for_client(self, client: Hashable, task_id: str, answer: Answer) -> None:
        """Look up how a task ended for a client, when it is its turn. Never blocks.

        ``answer`` is not called where too many lookups wait.
        """
        with self._work:
            given_up = self._give_up_stuck()
            if len(self._stuck) < MAX_STUCK:
                self._queue.add_for_client(client, task_id, answer)
            self._wake_thread()
        _call_all(given_up, UNAVAILABLE)

    def forget_client(self, client: Hashable) -> None:
        """Drop the lookups of a client whose connection has ended."""
        with self._work:
            self._queue.forget(client)

    def _is_current(self, task_id: str) -> bool:
        return self._current is not None and self._current.task_id == task_id

    def _wake_thread(self) -> None:
        if self._thread is None and self._queue:
            self._thread = threading.Thread(
                target=self._run, name="wsprogress-backend", daemon=True
            )
            self._thread.start()
        self._work.notify()

    def _give_up_stuck(self) -> list[Answer]:
        """Abandon a thread that waits for too long; return the callbacks of its lookup."""
        self._stuck = [thread for thread in self._stuck if thread.is_alive()]
        asking, thread = self._current, self._thread
        if asking is None or thread is None:
            return []
        if time.monotonic() - asking.since < self._answer_timeout:
            return []
        self._stuck.append(thread)
        self._thread = self._current = None
        self._warn_once("no answer")
        return asking.answers

    # Called by the thread.

    def _run(self) -> None:
        backend: Any = None
        while (lookup := self._next()) is not None:
            found, backend = self._lookup(backend, lookup.task_id)
            with self._work:
                if threading.current_thread() is not self._thread:
                    return
                self._current = None
            _call_all(lookup.answers, found)

    def _next(self) -> _Lookup | None:
        """Wait for a lookup; None for a thread that was abandoned."""
        with self._work:
            self._work.wait_for(lambda: self._queue)
            if threading.current_thread() is not self._thread:
                return None
            found = self._queue.pop()
            assert found is not None  # noqa: S101 - waited for
            self._current = _Lookup(*found, time.monotonic())
            return self._current

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


def _call_all(answers: Iterable[Answer], result: LookupResult) -> None:
    for answer in answers:
        answer(result)


def forget_connections() -> None:
    """Have Django open its database anew for this thread, where a project keeps results there.

    Its connections belong to the thread, and outlive the backend that used them.
    """
    database = sys.modules.get("django.db")
    if database is not None:
        database.connections.close_all()
