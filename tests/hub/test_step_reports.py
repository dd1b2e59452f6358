"""How a step is, by its operation."""

from __future__ import annotations

import pytest
from support.sample_events import completed, error, progress, queued, status

from celery_wsprogress.hub.step_reports import report_step
from celery_wsprogress.operations.operation import Operation
from celery_wsprogress.operations.workflow import Place, Workflow
from celery_wsprogress.operations.workflow_nodes import StepState
from celery_wsprogress.protocol.plans import PlanData, PlanNode

STARTED = [queued(), status("started")]


def reported(*events, **more):
    """The workflow of two tasks whose first one has said this."""
    workflow = Workflow("held", **more)
    nodes = [("chain", -1), ("task", 0, "first"), ("task", 0, "held")]
    workflow.add_part(PlanData(nodes=[PlanNode(*one) for one in nodes], tasks=2))
    operation = Operation("first", 0.0)
    for event in events:
        operation.fold(event)
    report_step(Place(workflow, workflow.steps["first"]), operation)
    return workflow


@pytest.mark.parametrize(
    ("events", "state", "fraction"),
    [
        ([queued()], StepState.WAITING, 0.0),
        ([*STARTED, progress(0.5)], StepState.RUNNING, 0.5),
        ([*STARTED, completed()], StepState.COMPLETED, 1.0),
        ([*STARTED, completed(ignored=True)], StepState.CANCELLED, 1.0),
        ([*STARTED, error()], StepState.ERROR, 0.0),
        ([*STARTED, error(status="cancelled")], StepState.CANCELLED, 0.0),
        ([error()], StepState.SKIPPED, 0.0),
        ([error(status="cancelled")], StepState.SKIPPED, 0.0),
    ],
)
def test_the_state_of_a_step(events, state, fraction):
    step = reported(*events).steps["first"]
    assert (step.state, step.fraction) == (state, fraction)


@pytest.mark.parametrize(
    ("events", "is_silent"),
    [
        ([*STARTED, error()], False),
        ([*STARTED, error(status="cancelled")], True),
        ([*STARTED, completed(ignored=True)], True),
        # No worker has started it.
        ([queued(), error()], True),
    ],
)
def test_a_failure_is_silent_where_no_worker_speaks_of_what_is_behind(events, is_silent):
    assert reported(*events).failures["first"].is_silent is is_silent
