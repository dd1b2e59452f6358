"""Celery's exceptions in the words that watchers read. Never arguments, never tracebacks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from celery_wsprogress.brokers import result_backend
from celery_wsprogress.protocol import jsonable


def retry(reason: Any, *, full: bool) -> tuple[str, float | None]:
    """Why a task is tried again, and in how many seconds, where that is known.

    Args:
        reason: Celery's ``Retry``, or None when the worker itself gives the message back.
        full: Whether the texts of the task's errors may leave.
    """
    if reason is None:
        return "the worker gave the task back to its queue", None
    if reason.exc is not None:
        message = _cause(reason.exc, full=full)
    elif full:
        message = result_backend.without_arguments(
            jsonable.to_text(reason.excs or reason.message or "")
        )
    else:
        message = ""
    return message, _seconds_until(reason.when)


def _seconds_until(when: Any) -> float | None:
    if isinstance(when, datetime):
        now = datetime.now(UTC) if when.tzinfo else datetime.now()  # noqa: DTZ005 - as `when`
        when = (when - now).total_seconds()
    return max(0.0, float(when)) if isinstance(when, (int, float)) else None


def _cause(exception: Any, *, full: bool) -> str:
    error, error_type = result_backend.describe_failure(exception, full=full)
    return error_type if error in {error_type, jsonable.WITHHELD} else f"{error_type}: {error}"


def rejection(reject: Any, *, full: bool) -> tuple[str, str]:
    """Why a task's message was thrown away.

    Args:
        reject: Celery's ``Reject``.
        full: Whether the texts of the task's errors may leave.
    """
    reason = getattr(reject, "reason", None)
    if isinstance(reason, BaseException):
        message = _cause(reason, full=full)
    else:
        known = full and reason is not None
        message = result_backend.without_arguments(jsonable.to_text(reason)) if known else ""
    return f"rejected: {message}" if message else "the task rejected its message", "Reject"


def revocation(signum: Any, *, terminated: Any, expired: Any) -> tuple[str, str]:
    """How a task was called off."""
    if expired:
        message = "the task expired before it could start"
    elif terminated:
        message = f"the task was terminated (signal {jsonable.to_text(signum)})"
    else:
        message = "the task was revoked"
    return message, "TaskRevokedError"


def termination(signum: Any) -> str:
    """What is said of a task that goes on though its process was sent a signal."""
    return f"asked to stop (signal {jsonable.to_text(signum)}), and not ended yet"


def unknown(name: Any) -> tuple[str, str]:
    """Why a worker threw the message of a task away whose name it does not know."""
    return f"the worker does not know the task {jsonable.to_text(name)}", "NotRegistered"


def unreadable(exc: Any) -> tuple[str, str]:
    """Why a worker threw a message away that it could make nothing of."""
    kind = "InvalidTaskError" if exc is None else type(exc).__name__
    return "the worker could not read the task's message, and threw it away", kind


def shutdown() -> tuple[str, str]:
    """How a task ended that its worker did not wait for."""
    return "the worker was shut down while the task ran", "WorkerTerminate"
