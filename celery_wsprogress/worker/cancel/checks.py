"""Whether the current task was cancelled: for the task, and for code that has no ``self``.

The answer comes from the table of the worker (:mod:`.table`), so a check costs a fraction of a
microsecond. Outside of workers nothing is ever cancelled.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NoReturn

from celery_wsprogress.worker.cancel.cancel_check import CancelCheck
from celery_wsprogress.worker.cancel.table import current_table
from celery_wsprogress.worker.context import tracker_in_context

if TYPE_CHECKING:
    from celery_wsprogress.worker.tracker import Tracker


def reason_of_run(tracker: Tracker) -> str | None:
    """Return why a run was cancelled, or one that it is part of; None if none was."""
    run: Tracker | None = tracker
    while run is not None:
        check = run.cancel_check
        if check is None:
            check = run.cancel_check = CancelCheck(run.run.operation_id, current_table())
        if (reason := check()) is not None:
            return reason
        run = run.parent
    return None


def reason_of_id(task_id: str | None) -> str | None:
    """Return why a task was cancelled whose life cycle is not published; None if it was not."""
    return CancelCheck(task_id, current_table())() if task_id else None


def is_cancelled() -> bool:
    """Return whether the current task was cancelled; outside of one False.

    See :attr:`celery_wsprogress.StreamingTask.cancelled`.
    """
    return _current_reason("is_cancelled") is not None


def raise_if_cancelled() -> None:
    """End the current task if it was cancelled; outside of one do nothing.

    See :meth:`celery_wsprogress.StreamingTask.raise_if_cancelled`.
    """
    reason = _current_reason("raise_if_cancelled")
    if reason is not None:
        raise_cancelled(reason)


def _current_reason(function: str) -> str | None:
    tracker = tracker_in_context(function)
    if tracker is not None:
        return reason_of_run(tracker)
    # A program that has not loaded Celery runs no task.
    celery = sys.modules.get("celery")
    if celery is None or current_table() is None:
        return None
    task = celery.current_task
    return reason_of_id(task.request.id) if task else None


def raise_cancelled(reason: str) -> NoReturn:
    """End a task that was cancelled."""
    # Here: operations outside of tasks need no Celery.
    from celery_wsprogress.worker.cancel.task_cancelled import TaskCancelled  # noqa: PLC0415

    raise TaskCancelled(reason)
