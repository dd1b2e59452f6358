"""The record of one operation in the store of a sidecar. Pure."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from celery_wsprogress.operations.snapshot import snapshot_of
from celery_wsprogress.operations.states import State
from celery_wsprogress.operations.workflow_events import details_of
from celery_wsprogress.operations.workflow_nodes import StepState

if TYPE_CHECKING:
    from celery_wsprogress.operations.history import History
    from celery_wsprogress.operations.operation import Operation
    from celery_wsprogress.operations.selector import Selector
    from celery_wsprogress.operations.workflow import Place, Workflow
    from celery_wsprogress.protocol.events import Status


class Phase(IntEnum):
    """The phase of an operation, in the order of eviction."""

    FINISHED = 0
    WAITING = 1
    RUNNING = 2


PHASE_OF_STATE: Final = {
    State.QUEUED: Phase.WAITING,
    State.SCHEDULED: Phase.WAITING,
    State.RECEIVED: Phase.WAITING,
    State.RUNNING: Phase.RUNNING,
    State.RETRYING: Phase.RUNNING,
    State.REPLACED: Phase.RUNNING,
    State.COMPLETED: Phase.FINISHED,
    State.ERROR: Phase.FINISHED,
    State.CANCELLED: Phase.FINISHED,
}


class OperationRecord:
    """One operation with its history. Times are seconds of the monotonic clock.

    Args:
        operation: The operation.
        history: Its delivered events.
        serial: Number of the record among all that were ever created.
    """

    __slots__ = (
        "__weakref__",
        "counted_size",
        "counted_state",
        "history",
        "last_event_at",
        "last_heartbeat_at",
        "lru_touched_at",
        "operation",
        "phase",
        "places",
        "plan_size",
        "selected_by",
        "selector_version",
        "serial",
        "waits_until",
        "workflow",
    )

    def __init__(self, operation: Operation, history: History, serial: int) -> None:
        self.operation = operation
        self.history = history
        self.serial = serial
        self.counted_size = 0
        """Bytes of the operation that :attr:`OperationStore.history_bytes` contains."""
        self.counted_state: State | None = None
        """The state in which :attr:`OperationStore.held` counts it; None before its first event."""
        self.phase = Phase.WAITING
        self.last_event_at = 0.0
        self.lru_touched_at = 0.0
        """Time of its last move to the end of its queue."""
        self.last_heartbeat_at = 0.0
        """Time of the last event or heartbeat of its current run."""
        self.waits_until = 0.0
        """Earliest time at which it may start, or start again."""
        self.places: tuple[Place, ...] = ()
        """Its steps in workflows."""
        self.workflow: Workflow | None = None
        """The workflow that it shows."""
        self.plan_size = 0
        """Bytes of the workflow that it shows."""
        self.selected_by: tuple[Selector, ...] = ()
        """The selectors that match it, as :class:`.SubscriptionIndex` found them."""
        self.selector_version = -1
        """The version of the selectors for :attr:`selected_by`; -1 if that is outdated."""

    @property
    def operation_id(self) -> str:
        """The id of the operation."""
        return self.operation.operation_id

    def note_status(self, status: Status, now: float) -> None:
        """Note that it has new fields, which selectors may match, and that it may wait."""
        self.selector_version = -1
        self.waits_until = max(self.waits_until, now + _pause_after(status))

    def _held_workflow(self) -> dict[str, Any]:
        """Return how far the workflow is whose caller holds the id of this operation."""
        for workflow, _ in self.places:
            if workflow.id == self.operation.operation_id:
                return {"workflow": {"workflow_id": workflow.id, **details_of(workflow)}}
        return {}

    def snapshot(self) -> dict[str, Any]:
        """Return the JSON object that shows the operation to clients."""
        history = self.history
        return {
            **snapshot_of(self.operation),
            **({} if self.workflow is None else _newest_of(self.workflow)),
            **self._held_workflow(),
            "event_count": history.newest - history.first_seq,
            "last_event_id": history.last_event_id,
        }


def _newest_of(workflow: Workflow) -> dict[str, Any]:
    """Return what may be newer than the last event of the operation of a workflow."""
    newest: dict[str, Any] = {"details": details_of(workflow)}
    if workflow.state is not StepState.COMPLETED:
        newest |= {"progress": workflow.progress}
    return newest


def _pause_after(status: Status) -> float:
    """Return the seconds that an operation waits after a status, for its ETA or its retry."""
    data = status.data
    if data.starts_at is not UNSET:
        # Both times are by the clock of the writer, which may be wrong.
        return max(0.0, data.starts_at - status.timestamp)
    return 0.0 if data.retry_in is UNSET else data.retry_in
