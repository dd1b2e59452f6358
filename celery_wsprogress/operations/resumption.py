"""The resumption of an operation whose run was stalled or presumed lost, and is alive.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec import UNSET, UnsetType

from celery_wsprogress.protocol.events import STARTED, Status, StatusData

if TYPE_CHECKING:
    from celery_wsprogress.operations.operation import Operation
    from celery_wsprogress.operations.runs import Run

T = TypeVar("T")


def resume(operation: Operation, run: Run, timestamp: float) -> Status:
    """Resume the current run of an operation; see :meth:`.Run.mark_alive`.

    Args:
        operation: The operation.
        run: Its current run.
        timestamp: Epoch seconds of the heartbeat, by the clock of the run's process.

    Returns:
        The event to deliver: ``started`` for a run that was presumed lost, the status before
        ``stalled`` for the others.
    """
    if run.lost:
        data = _restarted(operation)
        # Not the `retrying` of a run that was given back: that is what it would continue with.
        operation.own_status = data.status
    else:
        data = _continued(operation)
    operation.runs.reopen(run)
    operation.status = data.status
    operation.error = operation.error_type = operation.finished_at = operation.duration = None
    operation.ignored = False
    return Status(operation_id=operation.operation_id, timestamp=timestamp, run=run.id, data=data)


def _restarted(operation: Operation) -> StatusData:
    return StatusData(
        status=STARTED,
        message="",
        details={"resumed": True},
        operation_type=operation.operation_type,
        metadata=dict(operation.metadata),
        tags=list(operation.tags) or UNSET,
        attempt=_unset_if_none(operation.attempt),
        worker=_unset_if_none(operation.worker),
        queue=_unset_if_none(operation.queue),
        parent_id=_unset_if_none(operation.parent_id),
        root_id=_unset_if_none(operation.root_id),
        group_id=_unset_if_none(operation.group_id),
    )


def _continued(operation: Operation) -> StatusData:
    status = "running" if operation.own_status == STARTED else operation.own_status
    message, details = operation.latest_message()
    return StatusData(status=status, message=message, details=details)


def _unset_if_none(value: T | None) -> T | UnsetType:
    return UNSET if value is None else value
