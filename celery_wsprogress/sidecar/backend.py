"""Asking Celery's result backend from the event loop: one thread, one question at a time.

A backend's client library blocks, and may hang; so it is asked by a daemon thread, in turn, and
about one operation only once at a time.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery_wsprogress.results import Outcome

logger = logging.getLogger(__name__)

MAX_WAITING: Final = 10_000
"""Questions that wait; what is asked beyond them is answered as if the backend were away."""


class Answer(NamedTuple):
    """What came of a question."""

    outcome: Outcome | None
    """None where the backend knows of no end, or could not be asked."""
    asked: bool
    """Whether it could be asked."""


AWAY: Final = Answer(None, asked=False)


def find_backend(app: Any, url: str | None) -> ResultBackend | None:
    """The result backend of an application, or another one; None where there is none.

    Raises:
        ConfigurationError: Celery knows no such backend, or its library is missing.
    """
    if app is None and url is None:
        # Celery is not even loaded for a sidecar that needs none of it.
        return None
    from celery_wsprogress.results import open_backend  # noqa: PLC0415

    backend = open_backend(app, url)
    return None if backend is None else ResultBackend(backend)


class ResultBackend:
    """Asks a result backend how tasks ended.

    Args:
        backend: What :func:`celery_wsprogress.results.open_backend` made. Only the thread uses it.
    """

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._work = threading.Condition()
        self._waiting: deque[str] = deque()
        self._answers: dict[str, Callable[[Answer], None]] = {}
        self._thread: threading.Thread | None = None
        self._reached = True

    def ask(self, task_id: str, answer: Callable[[Answer], None]) -> None:
        """Ask how a task ended. Never waits.

        Args:
            task_id: Which task. Nothing happens while a question about it is open.
            answer: Called with the answer, by another thread, or at once where too many
                questions wait.
        """
        with self._work:
            if task_id in self._answers:
                return
            full = len(self._answers) >= MAX_WAITING
            if not full:
                self._answers[task_id] = answer
                self._waiting.append(task_id)
                self._work.notify()
                self._start()
        if full:
            answer(AWAY)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name="wsprogress-backend", daemon=True
            )
            self._thread.start()

    # Called by the thread.

    def _run(self) -> None:
        while True:
            with self._work:
                self._work.wait_for(lambda: self._waiting)
                task_id = self._waiting.popleft()
            found = self._find_out(task_id)
            with self._work:
                answer = self._answers.pop(task_id)
            answer(found)

    def _find_out(self, task_id: str) -> Answer:
        from celery_wsprogress.results import outcome_of  # noqa: PLC0415 - as above

        try:
            found = Answer(outcome_of(self._backend, task_id), asked=True)
        except Exception as exc:  # noqa: BLE001 - whatever the client library raises
            self._mention(exc)
            return AWAY
        self._reached = True
        return found

    def _mention(self, exc: Exception) -> None:
        if self._reached:
            self._reached = False
            # The text of a library's exception may hold the URL, so only its class is shown.
            logger.warning("The result backend cannot be asked (%s)", type(exc).__name__)
