"""The run whose code this is, and the functions for code that has no ``self``.

The tracker of the current run is kept in a :class:`~contextvars.ContextVar`: helper functions
find it without being handed anything, and so does a thread that was started with
``contextvars.copy_context().run``.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from celery_wsprogress.worker.measuring import measure
from celery_wsprogress.worker.steps import Steps

if TYPE_CHECKING:
    from celery_wsprogress.worker.tracker import Tracker

#: The run whose code this is; None outside of operations that are followed.
running: ContextVar[Tracker | None] = ContextVar("celery_wsprogress.tracker", default=None)


def running_of(operation_id: object) -> Tracker | None:
    """The tracker of this operation, where it is its code that runs, or an operation inside it."""
    tracker = running.get()
    while tracker is not None and tracker.run.operation_id != operation_id:
        tracker = tracker.outer
    return tracker


def update_progress(
    progress: Any = None,
    message: Any = "",
    *,
    current: Any = None,
    total: Any = None,
    unit: Any = None,
    details: Any = None,
) -> None:
    """Report the progress of the task that runs; outside of one only check the arguments.

    As :meth:`celery_wsprogress.StreamingTask.update_progress`, for code that has no ``self``.
    """
    tracker = running.get()
    if tracker is None:
        measure(progress, message, current, total)
    else:
        tracker.update_progress(progress, message, current, total, unit, details)


def update_status(status: Any, message: Any = "", details: Any = None) -> None:
    """Put a word of one's own on the task that runs; outside of one do nothing.

    As :meth:`celery_wsprogress.StreamingTask.update_status`, for code that has no ``self``.
    """
    tracker = running.get()
    if tracker is not None:
        tracker.update_status(status, message, details)


def set_metadata(**metadata: Any) -> None:
    """Say something about the operation of the task that runs; outside of one do nothing.

    As :meth:`celery_wsprogress.StreamingTask.set_metadata`, for code that has no ``self``.
    """
    tracker = running.get()
    if tracker is not None:
        tracker.set_metadata(**metadata)


def log(level: Any, message: Any, **details: Any) -> None:
    """Send a line to those who watch the task that runs; outside of one do nothing.

    As :meth:`celery_wsprogress.StreamingTask.log`, for code that has no ``self``.
    """
    tracker = running.get()
    if tracker is not None:
        tracker.log(level, message, **details)


def steps(total: Any) -> Steps:
    """Count the steps of the task that runs; outside of one only count.

    As :meth:`celery_wsprogress.StreamingTask.steps`, for code that has no ``self``.
    """
    tracker = running.get()
    return Steps(total) if tracker is None else tracker.steps(total)
