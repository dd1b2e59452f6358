"""Celery's exceptions as texts for watchers, without arguments and tracebacks."""

from __future__ import annotations

from datetime import UTC, datetime
from traceback import format_tb
from typing import Any, Final

from celery_wsprogress.brokers import result_backend
from celery_wsprogress.protocol import jsonable
from celery_wsprogress.protocol.events import EXPIRED, REVOKED

TRACEBACK: Final = "Traceback (most recent call last)"
"""The message of the log line with a traceback in its details."""

MAX_TRACEBACK: Final = 6_000
"""Characters of a traceback; the frames nearest to the error are kept."""


def retry(reason: Any, *, full: bool) -> tuple[str, float | None]:
    """Return the reason of a retry, and the seconds until then, None if not known.

    Args:
        reason: Celery's ``Retry``; None when the worker itself requeues the message.
        full: Whether events may contain the texts of the task's errors.
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
        # Without a zone it is UTC, as for the worker that receives it (celery/utils/time.py, 5.7,
        # ``maybe_make_aware``).
        at = when if when.tzinfo else when.replace(tzinfo=UTC)
        when = (at - datetime.now(UTC)).total_seconds()
    return max(0.0, float(when)) if isinstance(when, (int, float)) else None


def _cause(exception: Any, *, full: bool) -> str:
    error, error_type = result_backend.describe_failure(exception, full=full)
    return error_type if error in {error_type, jsonable.WITHHELD} else f"{error_type}: {error}"


def rejection(reject: Any, *, full: bool) -> tuple[str, str]:
    """Return error and type of a task that rejects its message; ``full`` as in :func:`retry`."""
    reason = getattr(reject, "reason", None)
    if isinstance(reason, BaseException):
        message = _cause(reason, full=full)
    else:
        known = full and reason is not None
        message = result_backend.without_arguments(jsonable.to_text(reason)) if known else ""
    return f"rejected: {message}" if message else "the task rejected its message", "Reject"


def revocation(signum: Any, *, terminated: Any, expired: Any, reason: str = "") -> tuple[str, str]:
    """Return error and type of a task that was revoked (``reason``: why) or has expired."""
    if expired:
        return EXPIRED, REVOKED
    if terminated:
        message = f"the task was terminated (signal {jsonable.to_text(signum)})"
    else:
        message = "the task was revoked"
    return with_reason(message, reason), REVOKED


def with_reason(message: str, reason: str) -> str:
    """Return a message with the reason that was given, if there is one."""
    return f"{message}: {reason}" if reason else message


def cancelling(reason: str, terminate: bool) -> str:
    """Return the message of a task that was asked to stop while it runs.

    Args:
        reason: Why; empty if nobody said so.
        terminate: Whether its process should have been ended: then the pool cannot do that.
    """
    asked = "its pool cannot terminate it, so it is asked to stop" if terminate else "asked to stop"
    return with_reason(asked, reason)


def cancellation(exception: BaseException) -> str:
    """Return the error of a task that was cancelled and has stopped itself."""
    reason = jsonable.to_text(exception.args[0]) if exception.args else ""
    return with_reason("the task was cancelled while it ran", reason)


def traceback(found: Any) -> str:
    """Return the end of a traceback: files, lines and source, without the exception's text."""
    lines = format_tb(found)
    while len(lines) > 1 and sum(map(len, lines)) > MAX_TRACEBACK:
        del lines[0]
    return "".join(lines)


def termination(signum: Any) -> str:
    """Return the message of a task that still runs although its process got a signal."""
    return f"asked to stop (signal {jsonable.to_text(signum)}), and not ended yet"


def unknown(name: Any) -> tuple[str, str]:
    """Return error and type of a task whose name its worker does not know."""
    return f"the worker does not know the task {jsonable.to_text(name)}", "NotRegistered"


def unreadable(exc: Any) -> tuple[str, str]:
    """Return error and type of a message that its worker could not read."""
    kind = "InvalidTaskError" if exc is None else type(exc).__name__
    return "the worker could not read the task's message, and threw it away", kind


def shutdown() -> tuple[str, str]:
    """Return error and type of a task for which its worker did not wait."""
    return "the worker was shut down while the task ran", "WorkerTerminate"
