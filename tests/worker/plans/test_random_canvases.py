"""Any canvas: the tasks of its plan are those that then run, no more and no fewer."""

from __future__ import annotations

from celery import chain, chord, group
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.conditions import eventually
from support.plans import all_events, plan_of, plans_in

from celery_wsprogress.protocol.events import Completed

MAX_TASKS = 40


def composite(inside):
    several = st.lists(inside, min_size=1, max_size=4)
    return st.one_of(
        st.tuples(st.just("chain"), several),
        st.tuples(st.just("group"), several),
        st.tuples(st.just("chord"), several, inside),
    )


trees = st.recursive(st.sampled_from(["plain", "followed"]), composite, max_leaves=MAX_TASKS)


def canvas_of(project, tree):
    match tree:
        case str(name):
            return getattr(project, name).si()
        case "chain", parts:
            return chain(*(canvas_of(project, one) for one in parts))
        case "group", parts:
            return group([canvas_of(project, one) for one in parts])
        case "chord", header, body:
            header = [canvas_of(project, one) for one in header]
            return chord(header, canvas_of(project, body))


def leaves(tree):
    match tree:
        case str(name):
            return [name]
        case _, *parts:
            flat = [one for part in parts for one in (part if isinstance(part, list) else [part])]
            return [leaf for one in flat for leaf in leaves(one)]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(tree=trees)
def test_the_tasks_of_the_plan_are_those_that_run(project, worker, log, tree):
    plans_before, ended_before = set(plans_in(log)), completed(log)
    result = canvas_of(project, tree).delay()
    names = leaves(tree)
    if "followed" not in names:
        return
    ran = eventually(
        # What Celery runs a second time, with its old id, is of another canvas.
        lambda: len(ids := completed(log) - ended_before) >= len(names) and ids,
        what=f"{len(names)} ends of {tree}",
    )
    new = set(plans_in(log)) - plans_before
    if len(names) == 1 and not new:
        return
    assert new == {f"workflow:{result.id}"}
    assert set(plan_of(log, result.id).task_ids) == ran


def completed(log):
    """The ids of all tasks that have completed."""
    return {event.operation_id for event in all_events(log) if isinstance(event, Completed)}
