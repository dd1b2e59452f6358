"""How a step of a workflow is, by its operation. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from celery_wsprogress.operations import workflow_events
from celery_wsprogress.operations.states import State
from celery_wsprogress.operations.workflow_nodes import Block, Failure, StepState

if TYPE_CHECKING:
    from celery_wsprogress.operations.operation import Operation
    from celery_wsprogress.operations.workflow import Place

# Read for each event: on CPython 3.11 an attribute of an Enum costs ten times what a name costs.
_COMPLETED: Final = StepState.COMPLETED
_CANCELLED: Final = StepState.CANCELLED

_IGNORED: Final = Failure("a task raised Ignore, and nothing follows it", "Ignore", is_silent=True)


def _has_ended_silently(operation: Operation) -> bool:
    """Return whether nobody publishes the ends of the tasks behind one that failed.

    The worker of a task that failed does (:mod:`celery_wsprogress.worker.signals.successors`), but
    not of one that it could not start: it did not know it, or could not read its message.
    """
    run = operation.run
    is_lost = run is not None and run.stalled
    return operation.state is State.CANCELLED or is_lost or operation.started_at is None


def report_step(place: Place, operation: Operation) -> bool:
    """Report the state of an operation to its workflow; return whether that changes anything."""
    workflow, step = place
    run = operation.run
    if workflow.past_run and step.id == workflow.id and run and run.id == workflow.past_run:
        # What it did before the workflow was sent again.
        return False
    state, failure = workflow_events.state_of(operation), None
    progress = operation.last_progress
    fraction = 0.0 if progress is None else progress.progress
    if state is _COMPLETED:
        fraction, parent = 1.0, step.parent
        is_chained = isinstance(parent, Block) and parent.is_chain and parent.last is not step
        if operation.ignored and is_chained:
            # Celery starts no further step of the chain.
            state, failure = _CANCELLED, _IGNORED
    elif state >= _COMPLETED:
        is_silent = _has_ended_silently(operation)
        failure = Failure(operation.error or "", operation.error_type or "", is_silent)
    return workflow.report(step, state, fraction, failure)
