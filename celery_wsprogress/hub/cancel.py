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

if TYPE_CHECKING:
    from celery_wsprogress.hub.command_context import CommandContext
    from celery_wsprogress.hub.steps import Steps

MAX_REASON_LENGTH: Final = 200
"""Maximum number of characters of a reason."""


_REFUSALS: Final = {
    CancelOutcome.UNAVAILABLE: "The broker does not take the request now: try again",
    CancelOutcome.NOT_SUPPORTED: "This broker cannot tell all workers to cancel a task",
}


def cancel(context: CommandContext) -> Steps[dict[str, Any]]:
    """Execute the command."""
    request = CancelRequest(_targets(context), context.flag("terminate"), _reason(context))
    operation_id = request.operation_ids[0]
    state = _state_of(context, operation_id)
    if state is not None and state.ended:
        return {"status": "ended", "operation_id": operation_id, "state": state}
    if context.canceller is None:
        raise CommandError("not_supported", "This server cannot reach the workers")
    sending = context.canceller(request)
    while sending.outcome is CancelOutcome.PENDING:
        yield
    refusal = _REFUSALS.get(sending.outcome)
    if refusal is not None:
        raise CommandError(sending.outcome, refusal)
    return {"status": "accepted", "operation_id": operation_id}


def _targets(context: CommandContext) -> tuple[str, ...]:
    """Return the ids of the tasks to cancel, which the client may do."""
    operation_id = context.text("operation_id")
    context.check_may_cancel(operation_id)
    return (operation_id,)


def _reason(context: CommandContext) -> str:
    reason = context.optional_text("reason") or ""
    if len(reason) > MAX_REASON_LENGTH:
        limit = f"A `reason` has at most {MAX_REASON_LENGTH} characters"
        raise CommandError("invalid_command", limit)
    return reason


def _state_of(context: CommandContext, operation_id: str) -> State | None:
    """Return the state of an operation, None if it is not known; refuse one without a worker."""
    record = context.hub.store.get(operation_id)
    if record is None:
        return None
    operation = record.operation
    if operation.state is State.RUNNING and not operation.worker:
        raise CommandError(
            "not_supported", "No worker runs this operation: its own program has to stop it"
        )
    return operation.state
