"""Asking Celery's result backend from the event loop: one thread, one question at a time.

A backend's client library blocks, and may hang; so it is asked by a daemon thread, in turn, and
about one operation only once at a time. A thread that got an error, or no answer, is given up with
its connection, and another one asks from then on: a proxy may have forgotten an idle connection,
or a database have ended its session.
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
"""Questions that wait; what is asked beyond them is answered as if the backend were away."""

ANSWER_TIMEOUT: Final = 20.0
"""Seconds that one question may take."""

MAX_STUCK: Final = 8
"""Threads that are given up and may still hang in their client library."""


class Answer(NamedTuple):
    """What came of a question."""

    outcome: Outcome | None
    """None where the backend knows of no end, or could not be asked."""
    asked: bool
    """Whether it could be asked."""


UNAVAILABLE_RESULT: Final = Answer(None, asked=False)


def find_backend(app: Any, url: str | None) -> ResultLookup | None:
    """The result backend of an application, or another one; None where there is none.

    Raises:
        ConfigurationError: Celery knows no such backend, or its library is missing.
    """
    if app is None and url is None:
        # Celery is not even loaded for a sidecar that needs none of it.
        return None
    from celery_wsprogress.brokers.result_backend import open_backend  # noqa: PLC0415

    backend = open_backend(app, url)
    return None if backend is None else ResultLookup(partial(open_backend, app, url))


class _Question(NamedTuple):
    task_id: str
    since: float


class ResultLookup:
    """Asks a result backend how tasks ended.

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
        self._answers: dict[str, Callable[[Answer], None]] = {}
        self._thread: threading.Thread | None = None
        self._asking: _Question | None = None
        self._stuck: list[threading.Thread] = []
        self._reached = True

    def ask(self, task_id: str, answer: Callable[[Answer], None]) -> None:
        """Ask how a task ended. Never waits.

        Args:
            task_id: Which task. Nothing happens while a question about it is open.
            answer: Called with the answer, by another thread, or at once where too many
                questions wait.
        """
        given_up: Callable[[Answer], None] | None = None
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
            self._start()
        if given_up is not None:
            given_up(UNAVAILABLE_RESULT)
        if full:
            answer(UNAVAILABLE_RESULT)

    def _start(self) -> None:
        if self._thread is None and self._waiting:
            self._thread = threading.Thread(
                target=self._run, name="wsprogress-backend", daemon=True
            )
            self._thread.start()

    def _give_up_stuck(self) -> Callable[[Answer], None] | None:
        """Leave a thread that waits for too long to itself; returns whom it owes an answer."""
        self._stuck = [thread for thread in self._stuck if thread.is_alive()]
        asking, thread = self._asking, self._thread
        if asking is None or thread is None:
            return None
        if time.monotonic() - asking.since < self._answer_timeout:
            return None
        self._stuck.append(thread)
        self._thread = self._asking = None
        self._mention("no answer")
        return self._answers.pop(asking.task_id)

    # Called by the thread.

    def _run(self) -> None:
        backend: Any = None
        while task_id := self._next():
            found, backend = self._lookup(backend, task_id)
            with self._work:
                if threading.current_thread() is not self._thread:
                    return
                self._asking = None
                answer = self._answers.pop(task_id)
            answer(found)

    def _next(self) -> str:
        """Wait for a question; empty for a thread that was given up."""
        with self._work:
            self._work.wait_for(lambda: self._waiting)
            if threading.current_thread() is not self._thread:
                return ""
            self._asking = _Question(self._waiting.popleft(), time.monotonic())
            return self._asking.task_id

    def _lookup(self, backend: Any, task_id: str) -> tuple[Answer, Any]:
        """Ask; once more with a new connection where that of earlier questions fails.

        Returns:
            The answer, and the backend for the next question; None where that needs another one.
        """
        if backend is not None:
            try:
                return self._answer_of(backend, task_id), backend
            except Exception:
                logger.debug("The result backend's connection is lost", exc_info=True)
        try:
            forget_connections()
            backend = self._open_backend()
            return self._answer_of(backend, task_id), backend
        except Exception as exc:  # noqa: BLE001 - as above
            # The text of a library's exception may hold the URL, so only its class is shown.
            self._mention(type(exc).__name__)
            return UNAVAILABLE_RESULT, None

    def _answer_of(self, backend: Any, task_id: str) -> Answer:
        from celery_wsprogress.brokers.result_backend import fetch_outcome  # noqa: PLC0415 - as above

        found = Answer(fetch_outcome(backend, task_id), asked=True)
        self._reached = True
        return found

    def _mention(self, why: str) -> None:
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
