"""A canvas while it is sent."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from celery_wsprogress.worker.plans.canvas import Canvas
from celery_wsprogress.worker.plans.events import PlanHead
from celery_wsprogress.worker.plans.nodes import PlanNodes

TASK = {"task": "tasks.one", "options": {"task_id": "a"}, "kwargs": {}}


@pytest.mark.parametrize(("leaves", "counts"), [(True, 1), (False, 0)])
def test_the_number_of_tasks_follows_a_plan_that_was_published(leaves, counts):
    emitted = []
    publishing = SimpleNamespace(publisher=SimpleNamespace(emit=emitted.extend))
    nodes = PlanNodes()
    nodes.add_members([TASK], nodes.add_block("group", -1, "g"))
    canvas = Canvas({"follow": True})
    canvas.plan(publishing, PlanHead(workflow_id="g", operation_type="celery.group"), nodes)
    if leaves:
        assert len(canvas.take_plan()) == 1
    canvas.count((TASK, None, "g"))
    canvas.close()
    assert len(emitted) == counts
