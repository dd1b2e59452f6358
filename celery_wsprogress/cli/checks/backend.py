"""Check that Celery's result backend can be asked how a task ended."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.brokers.failure import describe, secrets_of
from celery_wsprogress.brokers.result_backend import fetch_outcome, open_backend
from celery_wsprogress.cli.checks.findings import failed, ok, warning
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.urls import masked

if TYPE_CHECKING:
    from celery_wsprogress.cli.checks.findings import Finding

PART: Final = "result backend"

_ADVICE: Final = "Check result_backend, or the sidecar's wsprogress_result_backend"


def check_backend(app: Any, url: str | None, task_id: str, timeout: float) -> Finding:
    """Ask the result backend about a task that there is not.

    Args:
        app: The Celery application; None where none is named.
        url: Another result backend than the application's.
        task_id: The id of that task.
        timeout: Seconds. Some client libraries try again for long.
    """
    try:
        backend = open_backend(app, url)
    except ConfigurationError as exc:
        return failed(PART, str(exc), _ADVICE)
    if backend is None:
        text = "there is none: how a task ended whose worker was killed will not be known"
        return warning(PART, text, "Set result_backend to one that all processes can read")
    named = url or (app.conf.result_backend if isinstance(app.conf.result_backend, str) else "")
    shown = masked(named) if named else type(backend).__name__
    error = _ask(backend, task_id, timeout)
    if error is None:
        return ok(PART, f"{shown} answers")
    if isinstance(error, queue.Empty):
        return failed(PART, f"{shown} does not answer within {timeout:g} s", _ADVICE)
    text = f"{shown} cannot be asked ({describe(error, secrets_of(named, {}))})"
    return failed(PART, text, _ADVICE)


def _ask(backend: Any, task_id: str, timeout: float) -> Exception | None:
    """Return what was wrong; ``queue.Empty`` where there was no answer in time."""
    answers: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            fetch_outcome(backend, task_id)
        except Exception as exc:  # noqa: BLE001 - each client library has its own
            answers.put(exc)
        else:
            answers.put(None)

    # A daemon: one that hangs in its library must not keep the program.
    threading.Thread(target=ask, daemon=True).start()
    try:
        return answers.get(timeout=timeout)
    except queue.Empty as exc:
        return exc
