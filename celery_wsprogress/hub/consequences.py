"""What follows for the operation of a workflow when the workflow changes.

Pure. Runs in: the event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from celery_wsprogress.operations import workflow_events
from celery_wsprogress.operations.workflow_nodes import ENDED, StepState
from celery_wsprogress.protocol.events import Event

if TYPE_CHECKING:
    from celery_wsprogress.operations.workflow import Workflow
    from celery_wsprogress.operations.workflow_nodes import Change

# Read for each event: on CPython 3.11 an attribute of an Enum costs ten times what a name costs.
_WAITING: Final = StepState.WAITING
_RUNNING: Final = StepState.RUNNING

Consequence: TypeAlias = tuple[str, Event | None]
"""What follows from an event for an operation: its id, and the event.

None is the progress of a workflow, which :meth:`.Workflows.progress_of` makes when it is sent."""


def tell_progress(workflow: Workflow, change: Change) -> list[Consequence]:
    """Return what follows from progress: nothing if the workflow has yet to tell of some."""
    is_waiting, workflow.change = workflow.change is not None, change
    return [] if is_waiting else [(workflow.operation_id, None)]


def follow(workflow: Workflow, change: Change, *, changed: bool) -> list[Consequence]:
    """Return what follows from what an event has done to a workflow.

    Args:
        workflow: It, after the event.
        change: The event: of one of its steps, or a part of its plan.
        changed: Whether its progress, or a number of its steps, is another one.
    """
    before, state = workflow.announced, workflow.state
    if state is before or (before in ENDED and state is not _RUNNING):
        return tell_progress(workflow, change) if changed and state is _RUNNING else []
    workflow.announced = state
    follows: list[Consequence] = []
    # Some tasks have run before a plan that is read late, or all of them.
    is_late = before is _WAITING and workflow.progress > 0.0
    if state is _RUNNING or is_late:
        workflow.run_number += before in ENDED
        started = workflow_events.started(workflow, change.timestamp)
        follows.append((workflow.operation_id, started))
    if state is _RUNNING:
        return follows + tell_progress(workflow, change) if is_late else follows
    ended = workflow_events.ended(workflow, change.timestamp)
    follows.append((workflow.operation_id, ended))
    held = workflow.steps.get(workflow.id)
    # Nobody speaks of what stands behind a lost task, however others of its group end.
    is_silent = any(failure.is_silent for failure in workflow.failures.values())
    if held is not None and held.state is _WAITING and is_silent:
        unstarted = workflow_events.unstarted(workflow, change.timestamp)
        follows.append((workflow.id, unstarted))
    return follows
