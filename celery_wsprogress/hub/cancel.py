"""The command ``cancel``: what a client may ask to be cancelled, and the reply.

The sidecar sends what is asked to Celery's workers. The reply says that they were told; how each
operation ends comes as its events.

Pure: a :class:`.Canceller` is passed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.errors import CommandError
from celery_wsprogress.hub.cancel_request import CancelOutcome, CancelRequest
from celery_wsprogress.operations.states import State
from celery_wsprogress.operations.workflow_nodes import StepState
from celery_wsprogress.protocol.workflow_ids import is_workflow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery_wsprogress.hub.command_context import CommandContext
    from celery_wsprogress.hub.steps import Steps
    from celery_wsprogress.operations.operation import Operation

MAX_REASON_LENGTH: Final = 200
"""Maximum number of characters of a reason."""


_REFUSALS: Final = {
    CancelOutcome.UNAVAILABLE: "The broker does not take the request now: try again",
    CancelOutcome.NOT_SUPPORTED: "This broker cannot tell all workers to cancel a task",
}


def cancel(context: CommandContext) -> Steps[dict[str, Any]]:
    """Execute the command."""
    operation_id = context.named_operation_id()
    context.check_may_cancel(operation_id)
    terminate, reason = context.flag("terminate"), _reason(context)
    context.hub.show_workflow(operation_id)
    record = context.hub.store.get(operation_id)
    operation = None if record is None else record.operation
    if operation is not None and operation.state.ended:
        return {"status": "ended", "operation_id": operation_id, "state": operation.state}
    task_ids = (
        [*_open_steps(context, operation_id)]
        if is_workflow(operation_id)
        else [_task_of(operation_id, operation)]
    )
    if context.canceller is None:
        raise CommandError("not_supported", "This server cannot reach the workers")
    sending = context.canceller(CancelRequest(tuple(task_ids), terminate, reason))
    while sending.outcome is CancelOutcome.PENDING:
        yield
    refusal = _REFUSALS.get(sending.outcome)
    if refusal is not None:
        raise CommandError(sending.outcome, refusal)
    return {"status": "accepted", "operation_id": operation_id}


def _task_of(operation_id: str, operation: Operation | None) -> str:
    """Return the id of the task to cancel; refuse an operation that no worker runs."""
    if operation is not None and operation.state is State.RUNNING and not operation.worker:
        raise CommandError(
            "not_supported", "No worker runs this operation: its own program has to stop it"
        )
    return operation_id


def _open_steps(context: CommandContext, operation_id: str) -> Iterator[str]:
    """Yield the tasks of a workflow that have not ended, also those that are not sent yet.

    Workers drop the latter when they receive them: the plan has the ids that they will have.
    """
    workflow = context.hub.workflows.get(operation_id)
    if workflow is None:
        raise CommandError("not_supported", "The steps of this workflow are not known")
    for task_id, step in workflow.steps.items():
        if step.state in {StepState.WAITING, StepState.RUNNING}:
            yield task_id


def _reason(context: CommandContext) -> str:
    reason = context.optional_text("reason") or ""
    if len(reason) > MAX_REASON_LENGTH:
        limit = f"A `reason` has at most {MAX_REASON_LENGTH} characters"
        raise CommandError("invalid_command", limit)
    return reason
