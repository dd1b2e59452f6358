"""An operation as clients are shown it, in replies and in snapshots.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from msgspec import UNSET, UnsetType

from celery_wsprogress.operations.states import State
from celery_wsprogress.protocol.events import STARTED, ProgressData

if TYPE_CHECKING:
    from celery_wsprogress.operations.operation import Operation

T = TypeVar("T")

_NO_PROGRESS: Final = ProgressData(progress=0.0, message="", details={})


def snapshot_of(operation: Operation) -> dict[str, Any]:
    """The operation as the protocol shows it: base fields are never null.

    What its events are called, and how many there were, its history knows.
    """
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
        "attempt": operation.attempt,
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
    }


def _measures(operation: Operation) -> dict[str, Any]:
    measured = operation.last_progress or _NO_PROGRESS
    ended = operation.state.ended
    whole = operation.state is State.COMPLETED and not operation.ignored
    return {
        "progress": 1.0 if whole else measured.progress,
        "current": _known(measured.current),
        "total": _known(measured.total),
        "unit": _known(measured.unit),
        "rate": None if ended else _known(measured.rate),
        "eta": None if ended else _known(measured.eta),
        "indeterminate": not ended and measured.indeterminate is True,
    }


def _known(value: T | UnsetType) -> T | None:
    return None if value is UNSET else value
