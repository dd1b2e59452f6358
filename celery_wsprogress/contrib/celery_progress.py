"""A ``ProgressRecorder`` in place of that of the package celery-progress.

Its signature and what it writes to the result backend are those of celery-progress 0.5
(celery_progress/backend.py), so that pages which poll for it go on to work. ``stop_task()`` is not
there: celery-progress removed it in 2020.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from celery_wsprogress.guard import call_safely
from celery_wsprogress.worker import context
from celery_wsprogress.worker.capture.update_state import PROGRESS, captures, report_state

_HUNDRED: Final = Decimal(100)


class ProgressRecorder:
    """Reports progress of a task, and writes it to its result backend.

    .. code-block:: python

        recorder = ProgressRecorder(self)
        recorder.set_progress(3, 10, description="Reading")

    It works with any task, and reports if the task is followed. In a thread that the task starts,
    where Celery knows no id, the id of the run is used.

    Args:
        task: The task: ``self`` of one that is bound.
    """

    def __init__(self, task: Any) -> None:
        self.task = task
        self.current: Any = 0
        """As it was last set."""
        self.total: Any = 0
        """As it was last set; 0 if it is not known."""
        self.description = ""
        """The last one that was not empty."""

    def set_progress(
        self, current: Any, total: Any, description: str = ""
    ) -> tuple[str, dict[str, Any]]:
        """Report progress.

        Args:
            current: The units done.
            total: The number of units; 0 if it is not known.
            description: A text for people.

        Returns:
            The state and the ``meta`` that the result backend has been given.

        Raises:
            TypeError: ``current`` or ``total`` is not a number.
        """
        self.current, self.total = current, total
        self.description = description or self.description
        percent = 0.0
        if total > 0:
            percent = float(round(Decimal(current) / Decimal(total) * _HUNDRED, 2))
        meta = {
            "pending": False,
            "current": current,
            "total": total,
            "percent": percent,
            "description": description,
        }
        tracker, task_id = context.tracker_of(self.task), self.task.request.id
        if tracker is not None:
            run_id = tracker.run.operation_id
            task_id = task_id or run_id
            # Else `update_state()` below reports it.
            if task_id != run_id or not captures(self.task):
                call_safely(report_state, tracker, PROGRESS, meta)
        # Called as a function, a task has no id to write for.
        if task_id:
            self.task.update_state(task_id=task_id, state=PROGRESS, meta=meta)
        return PROGRESS, meta

    def increment_progress(self, by: Any = 1, description: str = "") -> None:
        """Report some units more than before.

        Args:
            by: Their number.
            description: A text for people.
        """
        self.set_progress(self.current + by, self.total, description)
