"""A workflow by itself: its steps, its counts and its state."""

from __future__ import annotations

import pytest

from celery_wsprogress.operations.workflow import MAX_FAILED, MAX_NODES, Workflow
from celery_wsprogress.operations.workflow_nodes import Failure, StepState
from celery_wsprogress.protocol.plans import PlanData, PlanNode

BROKE = Failure("broke", "ValueError")


def workflow(*nodes, held="c", tasks=None, first=0):
    found = Workflow(held)
    found.add_part(part(*nodes, tasks=tasks, first=first))
    return found


def part(*nodes, first=0, tasks=None):
    tasks = sum(kind == "task" for kind, *_ in nodes) if tasks is None else tasks
    return PlanData(nodes=[PlanNode(*one) for one in nodes], first=first, tasks=tasks)


def report(found, task_id, state, fraction=0.0, failure=None):
    return found.report(found.steps[task_id], state, fraction, failure)


CHAIN = [("chain", -1), ("task", 0, "a"), ("task", 0, "b"), ("task", 0, "c")]


def test_nothing_is_known_of_an_empty_workflow():
    found = Workflow("c")
    assert found.state is StepState.WAITING
    assert (found.total, found.progress) == (0, 0.0)


def test_a_report_that_changes_nothing_says_so():
    found = workflow(*CHAIN)
    assert report(found, "a", StepState.RUNNING, 0.5)
    assert not report(found, "a", StepState.RUNNING, 0.4)
    assert report(found, "a", StepState.COMPLETED, 1.0)
    assert not report(found, "a", StepState.ERROR, failure=BROKE)
    assert found.steps["a"].state is StepState.COMPLETED


def test_a_failed_step_that_goes_on_is_no_failure_any_more():
    found = workflow(*CHAIN)
    report(found, "a", StepState.ERROR, failure=BROKE)
    assert found.state is StepState.ERROR
    assert found.failed == 1
    report(found, "a", StepState.RUNNING)
    assert found.state is StepState.RUNNING
    assert (found.failed, found.failures) == (0, {})


def test_a_bounded_number_of_failures_is_kept():
    many = MAX_FAILED + 5
    found = workflow(("group", -1, "g"), *[("task", 0, f"{at}") for at in range(many)], held="g")
    for at in range(many):
        report(found, f"{at}", StepState.ERROR, failure=BROKE)
    assert found.failed == many
    assert len(found.failures) == MAX_FAILED
    assert found.state is StepState.ERROR


def test_a_group_is_cancelled_if_nothing_worse_happened_in_it():
    found = workflow(("group", -1, "g"), ("task", 0, "a"), ("task", 0, "b"), held="g")
    report(found, "a", StepState.CANCELLED, failure=BROKE)
    assert found.state is StepState.RUNNING
    report(found, "b", StepState.COMPLETED, 1.0)
    assert found.state is StepState.CANCELLED


@pytest.mark.parametrize("held", ["c", "unheard of"])
def test_only_the_part_that_is_held_completes_a_workflow(held):
    found = workflow(*CHAIN, held=held)
    report(found, "c", StepState.COMPLETED, 1.0)
    assert found.state is StepState.COMPLETED


def test_a_workflow_whose_last_part_was_not_read_is_not_complete():
    found = workflow(("chain", -1), ("task", 0, "a"), tasks=2)
    found.add_started(None, "c", "")
    report(found, "a", StepState.COMPLETED, 1.0)
    assert found.state is StepState.RUNNING
    report(found, "c", StepState.COMPLETED, 1.0)
    assert found.state is StepState.COMPLETED


def test_a_held_task_that_was_skipped_ends_a_workflow_of_which_nothing_else_was_read():
    found = workflow(*CHAIN)
    report(found, "c", StepState.SKIPPED, failure=BROKE)
    assert found.state is StepState.ERROR
    assert found.skipped_because == BROKE
    assert found.newest is None


def test_a_held_task_that_was_skipped_ends_a_workflow_whose_failed_task_is_not_listed():
    nodes = ("chain", -1), ("group", 0, "g"), ("task", 1, "a"), ("task", 0, "c")
    found = workflow(*nodes, tasks=3)
    report(found, "a", StepState.COMPLETED, 1.0)
    assert found.state is StepState.RUNNING
    report(found, "c", StepState.SKIPPED, failure=BROKE)
    assert found.state is StepState.ERROR


def test_a_chain_has_failed_when_all_that_is_left_is_skipped():
    nodes = ("chain", -1), ("group", 0, "g"), ("task", 1, "a"), ("task", 0, "c")
    found = workflow(*nodes)
    report(found, "a", StepState.COMPLETED, 1.0)
    report(found, "c", StepState.SKIPPED, failure=BROKE)
    assert found.state is StepState.ERROR


def test_an_id_that_is_there_twice_is_one_task():
    found = workflow(("group", -1, "g"), ("task", 0, "a"), ("task", 0, "a"), held="g")
    assert (found.total, len(found.planned)) == (1, 3)
    report(found, "a", StepState.COMPLETED, 1.0)
    assert found.state is StepState.COMPLETED


def test_the_tasks_of_a_second_plan_are_started_by_what_the_caller_holds():
    found = workflow(*CHAIN)
    nodes = [("chain", -1), ("task", 0, "x", "", 3.0), ("task", 0, "c")]
    assert [one.id for one in found.add_part(part(*nodes))] == ["x"]
    assert found.steps["x"].parent is found.steps["c"]
    assert (found.total, found.steps["x"].weight) == (4, 3.0)
    # Its other parts are no parts of the first plan.
    assert [one.id for one in found.add_part(part(("task", 0, "y"), first=4))] == ["y"]
    assert found.steps["y"].parent is found.steps["c"]
    # Read again, it changes nothing.
    assert found.add_part(part(*nodes)) == []


def test_a_second_plan_does_not_grow_without_end():
    found = workflow(*CHAIN)
    for at in range(3):
        found.add_part(part(*[("task", -1, f"{at}-{one}") for one in range(10_000)]))
    assert found.is_full
    assert len(found.planned) + len(found.unplanned) == MAX_NODES


def test_a_single_task_is_a_workflow_of_one_step():
    found = Workflow("t")
    step = found.add_started(None, "t", "tasks.t")
    assert found.total == 1
    found.report(step, StepState.RUNNING, 0.5)
    assert (found.state, found.progress) == (StepState.RUNNING, 0.5)


def test_a_step_that_reported_before_the_plan_gets_its_weight():
    found = Workflow("c")
    step = found.add_started(None, "a", "tasks.a")
    found.report(step, StepState.RUNNING, 0.5)
    found.add_part(part(("chain", -1), ("task", 0, "a", "", 3.0), ("task", 0, "c")))
    assert found.progress == pytest.approx(1.5 / 4)
    assert not found.unplanned


def test_a_part_without_its_place_is_counted_only():
    found = workflow(*CHAIN[:2], tasks=3)
    assert found.add_part(part(("task", 0, "c"), first=3, tasks=3)) == []
    assert found.total == 3
    assert "c" not in found.steps


def test_a_node_without_a_block_around_it_is_no_part():
    found = workflow(*CHAIN, ("task", 1, "x"), ("task", 9, "y"))
    assert found.steps["x"].parent is None
    assert found.steps["y"].parent is None


def test_a_group_without_an_id_has_members_by_the_plan_only():
    found = workflow(("chain", -1), ("group", 0), ("task", 1, "a"), ("task", 0, "c"))
    assert found.groups == {}
    report(found, "a", StepState.COMPLETED, 1.0)
    assert found.planned[1].state is StepState.COMPLETED


def test_a_group_is_over_when_its_number_of_members_is_known():
    found = workflow(("group", -1, "g"), ("task", 0, "a"), held="g", tasks=2)
    report(found, "a", StepState.COMPLETED, 1.0)
    assert found.state is StepState.RUNNING
    found.add_part(PlanData(nodes=[], first=2, tasks=1))
    assert found.state is StepState.COMPLETED


def test_a_plan_as_deep_as_it_has_nodes_is_folded():
    deep = [("chain", at - 1) for at in range(5_000)]
    found = workflow(*deep, ("task", 4_999, "c"))
    report(found, "c", StepState.COMPLETED, 1.0)
    assert found.state is StepState.COMPLETED
