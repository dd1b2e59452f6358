"""What a canvas publishes: its plan, and what its tasks report, on a real worker."""

from __future__ import annotations

import pytest
from celery import chain, chord, group
from msgspec import UNSET
from support.conditions import eventually
from support.event_log import end_of
from support.plans import all_events, plan_of, plans_in, queued_ids

from celery_wsprogress.protocol.events import Plan, Status
from celery_wsprogress.protocol.workflow_ids import workflow_operation_id


def new_plans(log):
    """The plans that came during the test, by the ids that the callers hold."""
    return {
        name.removeprefix("workflow:"): plan
        for name, plan in plans_in(log).items()
        if name not in log.plans_before
    }


SHAPES = {
    "chain": ["plain", "followed", "plain"],
    "group": ("plain", "followed"),
    "chord": [("plain", "followed"), "plain"],
    "group of one": ("followed",),
    "task, group": ["followed", ("plain", "plain")],
    "task, group, task": ["plain", ("followed", "plain"), "plain"],
    "group of chains": (["plain", "followed"], ["plain"] * 3, "plain"),
    "group of groups": ("plain", "followed", "plain"),
    "group of a chain that ends in a group": (["plain", ("followed", "plain")],),
    "chord of chains": [(["plain", "plain"], "plain"), "plain", "followed"],
    "chord, chord": [("plain", "plain"), "plain", ("followed", "plain"), "plain", "plain"],
    "chord in a chord": [([("plain", "plain"), "plain"], "plain"), "followed"],
    "chord in a chain in a chord": [
        (["plain", ("plain", "plain"), "plain"], "plain"), "followed",
    ],
    "chord with a group as its body": [("plain", "plain"), ("followed", "plain")],
    "group, group": ["plain", ("plain", "plain"), ("followed", "plain")],
    "group, group in a group": (
        ["plain", ("plain", "plain"), ("followed", "plain")],
        [("plain", "plain"), ("plain", "plain"), ("plain", "plain")],
    ),
    "group, group in a body": [
        ("plain", "plain"), "plain", ("plain", "plain"), ("followed", "plain"),
    ],
    "empty chord": ["plain", "followed"],
    "map": ["followed", "map"],
    "map of a followed task": ["plain", "map"],
    "chunks": ("starmap", "starmap", "starmap"),
    "retry": ["followed", "plainly_retried", "retried", "plain"],
    "retry in a chord": [("plainly_retried", "retried"), "plain"],
    "plain replacement in a chain": ["followed", "plainly_replaced", "plain"],
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_each_shape_has_one_plan_and_all_its_tasks_report(project, worker, log, name):
    result = project.CANVASES[name]().apply_async()
    plan = plan_of(log, result.id)
    assert plan.shape == SHAPES[name]
    assert plan.parts[0].tasks == len(plan.task_ids) == len(set(plan.task_ids))
    assert plan.parts[0].parent_id is UNSET
    for task_id in plan.task_ids:
        log.wait_for_end(task_id)
    eventually(
        lambda: set(queued_ids(log)[log.queued_before :]) >= set(plan.task_ids), what="queued"
    )
    assert set(queued_ids(log)[log.queued_before :]) == set(plan.task_ids)
    assert set(new_plans(log)) == {result.id}


UNHEARD = {"queue": "nobody"}
"""Options for messages that no worker takes."""


@pytest.mark.parametrize(
    ("name", "kind"),
    [("chain", "celery.chain"), ("group", "celery.group"), ("chord", "celery.chord")],
)
def test_the_plan_comes_first_and_says_what_it_is_of(project, log, name, kind):
    result = project.CANVASES[name]().apply_async(**UNHEARD)
    plan = plan_of(log, result.id)
    assert plan.parts[0].operation_type == kind
    eventually(lambda: set(queued_ids(log)) & set(plan.task_ids), what="a task")
    operation_id = workflow_operation_id(result.id)
    events = [
        event
        for event in all_events(log)
        if event.operation_id == operation_id or event.operation_id in plan.task_ids
    ]
    assert isinstance(events[0], Plan)


def test_groups_have_the_ids_of_their_results(project, log):
    result = group(project.followed.si(), project.plain.si()).apply_async(**UNHEARD)
    assert plan_of(log, result.id).nodes[0].id == result.id
    canvas = chord([project.followed.si(), project.plain.si()], project.plain.si())
    body = canvas.apply_async(**UNHEARD)
    assert plan_of(log, body.id).nodes[1].id == body.parent.id


NOT_FOLLOWED = {
    "task": lambda task: task,
    "chain": lambda task: chain(task, task),
    "group": lambda task: group(task, task),
    "chord": lambda task: chord([task, task], task),
    "chain in a chord": lambda task: chord([chain(task, task), task], chain(task, task)),
    "chain in a group": lambda task: group(chain(task, task)),
}


@pytest.mark.parametrize("name", NOT_FOLLOWED)
def test_nothing_is_published_where_nothing_is_followed(project, worker, log, name):
    value = NOT_FOLLOWED[name](project.unheard.si()).delay().get(timeout=30)
    assert value in ({}, [{}], [{}, {}])
    marker = project.followed.delay()
    log.wait_for_end(marker.id)
    assert new_plans(log) == {}
    types = [one.data.operation_type for one in all_events(log) if isinstance(one, Status)]
    assert project.unheard.name not in types


@pytest.mark.parametrize("by", ["chain", "plain chain", "group", "chord", "task, group, task"])
@pytest.mark.parametrize("task", ["replaced", "plainly_replaced"])
def test_a_canvas_that_replaces_a_task_is_a_workflow_of_its_id(project, worker, log, by, task):
    result = getattr(project, task).delay(by)
    result.get(timeout=30)
    if (task, by) == ("plainly_replaced", "plain chain"):
        # Nothing of it is followed.
        log.wait_for_end(project.followed.delay().id)
        assert new_plans(log) == {}
        return
    plan = plan_of(log, result.id)
    assert set(new_plans(log)) == {result.id}
    assert result.id in plan.task_ids
    assert plan.task_ids.count(result.id) == 1
    for task_id in plan.task_ids:
        log.wait_for_end(task_id)
    [last] = [n for n in plan.nodes if n.id == result.id]
    assert last is [n for n in plan.nodes if n.parent == 0][-1]


@pytest.mark.parametrize("name", ["replacement in a chain", "replacement in a chord"])
def test_a_replacement_inside_a_workflow_has_a_plan_of_its_own(project, worker, log, name):
    result = project.CANVASES[name]().delay()
    result.get(timeout=30)
    outer = plan_of(log, result.id)
    [task_id] = [node.id for node in outer.nodes if node.name.endswith("replaced")]
    inner = plan_of(log, task_id)
    assert set(new_plans(log)) == {result.id, task_id}
    kind = name.rpartition(" ")[2]
    assert inner.shape == SHAPES[kind]
    for one in {*outer.task_ids, *inner.task_ids}:
        log.wait_for_end(one)


@pytest.mark.parametrize("task", ["replaced", "plainly_replaced"])
def test_the_steps_of_a_replacement_name_the_outer_workflow(project, worker, log, task):
    replaced = getattr(project, task)
    result = chain(project.followed.si(), replaced.si("heard ones"), project.plain.si()).delay()
    result.get(timeout=30)
    outer = plan_of(log, result.id)
    [task_id] = [node.id for node in outer.nodes if node.name == replaced.name]
    expected = {"follow": True, "workflow": result.id}
    for one in plan_of(log, task_id).task_ids:
        assert project.app.AsyncResult(one).get(timeout=30) == expected


def test_a_canvas_that_a_task_sends_names_the_task(project, worker, log):
    result = project.CANVASES["canvas of a task"]().delay()
    result.get(timeout=30)
    outer = plan_of(log, result.id)
    [sender] = [node.id for node in outer.nodes if node.name.endswith("sends")]
    inner_id = project.app.AsyncResult(sender).get(timeout=30)
    inner = plan_of(log, inner_id)
    assert inner.parts[0].parent_id == sender
    assert outer.parts[0].parent_id is UNSET
    assert set(new_plans(log)) == {result.id, inner_id}
    for one in {*outer.task_ids, *inner.task_ids}:
        log.wait_for_end(one)


def test_each_message_names_the_workflow(project, worker, log):
    result = chord([project.heard.si(), chain(project.followed.si(), project.heard.si())],
                   chain(project.heard.si(), project.heard.si())).delay()  # fmt: skip
    expected = {"follow": True, "workflow": result.id}
    assert result.get(timeout=30) == expected
    plan = plan_of(log, result.id)
    for node in plan.nodes:
        if node.name.endswith("heard"):
            assert project.app.AsyncResult(node.id).get(timeout=30) == expected


def test_what_is_added_to_a_chord_is_of_its_workflow(project, worker, log):
    result = chord([project.adds_to_chord.si(), project.followed.si()], project.plain.s()).delay()
    result.get(timeout=30)
    [adding] = [n.id for n in plan_of(log, result.id).nodes if n.name.endswith("adds_to_chord")]
    added = project.app.AsyncResult(project.app.AsyncResult(adding).get(timeout=30))
    assert added.get(timeout=30) == {"follow": True, "workflow": result.id}
    log.wait_for_end(added.id)
    [queued] = [
        e for e in log.events(added.id) if isinstance(e, Status) and e.data.status == "queued"
    ]
    assert queued.data.group_id == result.parent.id
    assert set(new_plans(log)) == {result.id}


def test_a_callback_is_no_part_of_the_workflow(project, worker, log):
    callback = project.followed.si().set(task_id=f"callback of {id(log)}")
    canvas = chain(project.followed.si(), project.plain.si().on_error(project.plain.si()))
    canvas.tasks[0].link(callback)
    result = canvas.delay()
    log.wait_for_end(callback.id)
    assert callback.id not in plan_of(log, result.id).task_ids
    assert set(new_plans(log)) == {result.id}


def test_steps_that_never_run_are_said_to_have_failed(project, worker, log):
    result = chain(
        project.breaks.si(), project.plain.si(), project.followed.si(), project.plain.si()
    ).delay()
    plan = plan_of(log, result.id)
    for task_id in plan.task_ids:
        assert end_of(log.wait_for_end(task_id)).error_type == "ValueError"
    result = chord([project.breaks.si(), project.followed.si()], project.plain.si()).delay()
    log.wait_for_end(result.id)
