"""Whether one task was cancelled, as the table of its worker has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery_wsprogress.worker.cancel.table import key_of

if TYPE_CHECKING:
    from celery_wsprogress.worker.cancel.table import CancelTable


class CancelCheck:
    """Whether one task was cancelled; made in the process that runs it. Any thread may call it.

    Args:
        task_id: The task.
        table: That of its worker; None outside of workers.
    """

    __slots__ = ("_changes", "_key", "_reason", "_seen", "_table")

    def __init__(self, task_id: str, table: CancelTable | None) -> None:
        self._table = table
        self._changes = (0,) if table is None else table.changes
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
