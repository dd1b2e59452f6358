"""Whether the current task was cancelled: for the task, and for code that has no ``self``.

The answer comes from the table of the worker (:mod:`.table`), so a check costs a fraction of a
microsecond. Outside of workers nothing is ever cancelled.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NoReturn

from celery_wsprogress.worker.cancel.table import current_table, key_of
from celery_wsprogress.worker.context import tracker_in_context

if TYPE_CHECKING:
    from celery_wsprogress.worker.tracker import Tracker


class CancelCheck:
    """Whether one task was cancelled; made in the process that runs it. Any thread may call it."""

    __slots__ = ("_changes", "_key", "_reason", "_seen", "_table")

    def __init__(self, task_id: str) -> None:
        self._table = current_table()
        self._changes = (0,) if self._table is None else self._table.changes
        self._key = key_of(task_id)
        self._seen = 0
        self._reason: str | None = None

    def __call__(self) -> str | None:
        """Return why it was cancelled, maybe an empty text; None if it was not.

        Once it was, that holds.
        """
        changes = self._changes[0]
        if changes != self._seen:
            # The number first: what is added during the look is seen by the next one.
            self._seen = changes
            if self._reason is None and self._table is not None:
                self._reason = self._table.reason(self._key)
        return self._reason


def reason_of_run(tracker: Tracker) -> str | None:
    """Return why a run was cancelled, or one that it is part of; None if none was."""
    run: Tracker | None = tracker
    while run is not None:
        check = run.cancel_check
        if check is None:
            check = run.cancel_check = CancelCheck(run.run.operation_id)
        if (reason := check()) is not None:
            return reason
        run = run.parent
    return None


def reason_of_id(task_id: str | None) -> str | None:
    """Return why a task was cancelled whose life cycle is not published; None if it was not."""
    return CancelCheck(task_id)() if task_id else None


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
