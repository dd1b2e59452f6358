"""The JSON object that shows an operation to clients, in replies and in snapshots.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.operations.states import State
from celery_wsprogress.protocol.events import STARTED, ProgressData, none_if_unset

if TYPE_CHECKING:
    from celery_wsprogress.operations.operation import Operation

_NO_PROGRESS: Final = ProgressData(progress=0.0, message="", details={})


def snapshot_of(operation: Operation) -> dict[str, Any]:
    """Return the fields of an operation, but those that :meth:`.OperationRecord.snapshot` adds."""
    started = operation.first_seen_at if operation.started_at is None else operation.started_at
    message, details = operation.latest_message()
    return {
        "operation_id": operation.operation_id,
        "operation_type": operation.operation_type,
        "started_at": started,
        "status": "running" if operation.status == STARTED else operation.status,
        "metadata": operation.metadata,
        "state": operation.state.value,
        "message": message,
        "details": details,
        **_measures(operation),
        "queued_at": operation.queued_at,
        "received_at": operation.received_at,
        "finished_at": operation.finished_at,
        "duration": operation.duration,
        "starts_at": operation.starts_at,
        "expires_at": operation.expires_at,
        "attempt": operation.attempt,
        "max_attempts": operation.max_attempts,
        "worker": operation.worker,
        "queue": operation.queue,
        "parent_id": operation.parent_id,
        "root_id": operation.root_id,
        "group_id": operation.group_id,
        "tags": list(operation.tags),
        "error": operation.error,
        "error_type": operation.error_type,
        "ignored": operation.ignored,
        "run": operation.run.id if operation.run else "",
        **({"workflow_ids": [*operation.workflow_ids]} if operation.workflow_ids else {}),
    }


def _measures(operation: Operation) -> dict[str, Any]:
    measured = operation.last_progress or _NO_PROGRESS
    ended = operation.state.ended
    whole = operation.state is State.COMPLETED and not operation.ignored
    return {
        "progress": 1.0 if whole else measured.progress,
        "current": none_if_unset(measured.current),
        "total": none_if_unset(measured.total),
        "unit": none_if_unset(measured.unit),
        "rate": None if ended else none_if_unset(measured.rate),
        "eta": None if ended else none_if_unset(measured.eta),
        "indeterminate": not ended and measured.indeterminate is True,
    }
