"""The events of a workflow's operation, made from its state (:mod:`.workflow`). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from celery_wsprogress.operations.states import State
from celery_wsprogress.operations.workflow_nodes import ENDED, StepState
from celery_wsprogress.protocol.events import (
    QUEUED,
    STARTED,
    Completed,
    CompletedData,
    Error,
    ErrorData,
    Progress,
    ProgressData,
    Status,
    StatusData,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celery_wsprogress.operations.operation import Operation
    from celery_wsprogress.operations.workflow import Place, Workflow
    from celery_wsprogress.protocol.events import Event, Plan
    from celery_wsprogress.protocol.plans import PlanData

PUBLICATION: Final = "workflow"
"""``publication`` of the events of a workflow."""

UNSTARTED_RUN: Final = "workflow"
"""``run`` of the end of a task that never runs, because the workflow cannot go on."""

_STATES: Final = {
    State.RUNNING: StepState.RUNNING,
    State.RETRYING: StepState.RUNNING,
    State.REPLACED: StepState.RUNNING,
    State.COMPLETED: StepState.COMPLETED,
    State.ERROR: StepState.ERROR,
    State.CANCELLED: StepState.CANCELLED,
}
_WAITING: Final = StepState.WAITING
_ERROR: Final = StepState.ERROR
_CANCELLED: Final = StepState.CANCELLED
_SKIPPED: Final = StepState.SKIPPED


def state_of(operation: Operation) -> StepState:
    """Return the state of the step of an operation."""
    state = _STATES.get(operation.runs.state, _WAITING)
    if state is not _ERROR and state is not _CANCELLED:
        return state
    # Nobody has sent it: a task before it failed.
    is_unsent = operation.queued_at is None and operation.started_at is None
    return _SKIPPED if is_unsent else state


def queued(workflow: Workflow, timestamp: float, plan: PlanData | None = None) -> Status:
    """Return the first event of a workflow; ``plan`` is the first part of its plan."""
    described: dict[str, Any] = {}
    if plan is not None:
        described = {"metadata": plan.metadata, "tags": plan.tags, "parent_id": plan.parent_id}
    kind = UNSET if plan is None else plan.operation_type
    data = StatusData(
        status=QUEUED, message="", details=details_of(workflow), operation_type=kind, **described
    )
    return Status(
        operation_id=workflow.operation_id,
        timestamp=timestamp,
        publication=PUBLICATION,
        sub=workflow.sub or "",
        data=data,
    )


def started(workflow: Workflow, timestamp: float) -> Status:
    """Return the event of the start of the first step, or of one that goes on after the end."""
    details = details_of(workflow)
    if workflow.run_number > workflow.first_run:
        details["resumed"] = True
    data = StatusData(status=STARTED, message="", details=details)
    return Status(
        operation_id=workflow.operation_id,
        timestamp=timestamp,
        run=workflow.run,
        publication=PUBLICATION,
        data=data,
    )


def progress(workflow: Workflow, timestamp: float, message: str) -> Progress:
    """Return the progress of a workflow; ``message`` is that of the newest step."""
    details = details_of(workflow)
    data = ProgressData(progress=workflow.progress, message=message, details=details)
    return Progress(
        operation_id=workflow.operation_id, timestamp=timestamp, run=workflow.run, data=data
    )


def ended(workflow: Workflow, timestamp: float) -> Completed | Error:
    """Return the end of a workflow that is over."""
    if workflow.state is StepState.COMPLETED:
        return Completed(
            operation_id=workflow.operation_id,
            timestamp=timestamp,
            run=workflow.run,
            data=CompletedData(status="completed"),
        )
    return Error(
        operation_id=workflow.operation_id,
        timestamp=timestamp,
        run=workflow.run,
        data=_error_of(workflow),
    )


def unstarted(workflow: Workflow, timestamp: float) -> Error:
    """Return the end of the task that the caller holds, of a workflow that ends before it."""
    return Error(
        operation_id=workflow.id,
        timestamp=timestamp,
        run=UNSTARTED_RUN,
        data=_error_of(workflow),
    )


def of_single(workflow: Workflow, operation: Operation) -> list[Event]:
    """Return the events that take the workflow of a single task to where the task is."""
    begun = operation.first_seen_at if operation.started_at is None else operation.started_at
    events: list[Event] = [queued(workflow, operation.first_seen_at)]
    if workflow.state is not _WAITING:
        events.append(started(workflow, begun))
        events.append(progress(workflow, begun, message_of(operation)))
    if workflow.state in ENDED:
        events.append(ended(workflow, operation.finished_at or begun))
    return events


def details_of(workflow: Workflow) -> dict[str, Any]:
    """Return the ``details`` of a workflow: numbers of its tasks, and its newest step."""
    details: dict[str, Any] = {
        "total": workflow.total,
        "completed": workflow.counts[StepState.COMPLETED],
        "failed": workflow.failed,
        "running": workflow.counts[StepState.RUNNING],
    }
    newest = workflow.newest
    return details if newest is None else details | {"step": newest.name}


def _error_of(workflow: Workflow) -> ErrorData:
    failed = [*workflow.failures]
    cancelled = workflow.state is StepState.CANCELLED
    first = workflow.failures[failed[0]] if failed else workflow.skipped_because
    return ErrorData(
        error=first.error if first and first.error else "a task of the workflow failed",
        error_type=first.error_type if first and first.error_type else "WorkflowFailed",
        status="cancelled" if cancelled else "error",
        details={"failed_step": failed[0], "failed": failed} if failed else UNSET,
    )


def message_of(operation: Operation) -> str:
    """Return the message of a step, for its workflow."""
    # The reason of a retry is an error's text, which not everybody may see who sees progress.
    return "" if operation.tells_retry_reason else operation.latest_message()[0]


def is_sent_again(ended: Workflow, plan: Plan) -> bool:
    """Return whether a plan is of other tasks than those of a workflow that has ended."""
    is_over = ended.announced in ENDED and bool(ended.planned) and plan.data.first == 0
    nodes = plan.data.nodes if is_over else ()
    return any(one.kind == "task" and one.id not in ended.steps for one in nodes)


def sub_of(places: Iterable[Place]) -> str | None:
    """Return whose a task is that is a step of workflows, if it does not say so itself."""
    return next((one.workflow.sub for one in places if one.workflow.sub), None)
