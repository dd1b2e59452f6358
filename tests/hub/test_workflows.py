"""Workflows as a watcher sees them: one operation, folded from a plan and from its tasks."""

from __future__ import annotations

import gc
import sys

import pytest
from msgspec import structs
from support.sample_events import (
    completed,
    error,
    lost,
    plan,
    progress,
    queued,
    result,
    status,
)
from support.sample_events import log as line
from support.tokens import NOW, guarded, token
from support.workflow_logs import WorkflowClient, WorkflowLog

from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.hub.disclosure import Disclosure
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.hub.session import Session
from celery_wsprogress.hub.store import RECORD_BYTES, Limits, OperationStore

CHAIN = [("chain", -1), *[("task", 0, one, f"tasks.{one}") for one in "abc"]]
GROUP = [("group", -1, "g"), *[("task", 0, one, f"tasks.{one}") for one in "abc"]]
CHORD = [("chain", -1), ("group", 0, "g"), ("task", 1, "a"), ("task", 1, "b"), ("task", 0, "c")]


def failed(task_id, text="broke", **more):
    return error(text, operation_id=task_id, run=f"run-{task_id}", **more)


def test_a_chain_is_one_bar_that_ends_once():
    log = WorkflowLog()
    log.write(plan(*CHAIN))
    assert log.said() == ["queued"]
    log.run("a", "b", "c")
    # The progress of a step is replaced by the next one.
    assert log.said() == ["queued", "started", 0.6667, "completed"]
    assert log.snapshot()["progress"] == 1.0
    assert log.snapshot()["details"]["total"] == 3
    assert log.snapshot()["operation_type"] == "celery.chain"


def test_the_bar_is_the_mean_of_the_steps():
    log = WorkflowLog()
    log.write(plan(*CHAIN))
    log.start("a")
    log.write(progress(0.5, operation_id="a", run="run-a", message="half"))
    assert log.events()[-1]["data"] == {
        "progress": 0.5 / 3,
        "message": "half",
        "details": {"total": 3, "completed": 0, "failed": 0, "running": 1, "step": "tasks.a"},
    }


def test_weights_count():
    log = WorkflowLog()
    log.write(plan(("chain", -1), ("task", 0, "a", "", 3.0), ("task", 0, "c", "", 1.0)))
    log.run("a")
    assert log.said()[-1] == 0.75


def test_the_result_is_that_of_the_task_that_the_caller_holds():
    log = WorkflowLog()
    log.write(plan(*CHAIN))
    log.start("a")
    log.write(result(1, operation_id="a", run="run-a"))
    log.start("c")
    log.write(result(7, operation_id="c", run="run-c"))
    results = [one["data"] for one in log.events() if one["event_type"] == "result"]
    assert results == [{"result": 7}]


def test_what_a_superseded_run_says_is_not_of_the_workflow():
    log = WorkflowLog()
    log.write(plan(*CHAIN))
    log.start("c")
    log.write(structs.replace(status("started", run="second"), operation_id="c"))
    log.write(progress(0.9, operation_id="c", run="run-c"))
    log.write(result("late", operation_id="c", run="run-c"))
    assert log.snapshot()["progress"] == 0.0
    log.write(result("true", operation_id="c", run="second"))
    results = [one["data"] for one in log.events() if one["event_type"] == "result"]
    assert results == [{"result": "true"}]


def test_a_chain_fails_with_its_step():
    log = WorkflowLog()
    log.write(plan(*CHAIN))
    log.run("a")
    log.start("b")
    log.write(failed("b"))
    # The worker says the same of what stands behind it.
    log.write(error("broke", operation_id="c", run="never"))
    end = log.events()[-1]
    assert end["event_type"] == "error"
    assert end["data"]["error"] == "broke"
    assert end["data"]["details"] == {"failed_step": "b", "failed": ["b"]}
    assert log.said().count("error") == 1
    assert log.snapshot()["details"]["failed"] == 1
    assert log.snapshot("c")["workflow"]["failed"] == 1


def test_a_group_ends_when_all_its_members_have():
    log = WorkflowLog()
    log.write(plan(*GROUP, held="g"))
    log.run("a", "b")
    assert log.said("workflow:g")[-1] == 0.6667
    log.run("c")
    assert log.said("workflow:g")[-1] == "completed"


def test_a_failure_in_a_group_does_not_end_it():
    log = WorkflowLog()
    log.write(plan(*GROUP, held="g"))
    log.start("b")
    log.write(failed("b"))
    log.run("a")
    assert log.snapshot("workflow:g")["state"] == "running"
    log.run("c")
    assert log.snapshot("workflow:g")["state"] == "error"
    assert log.events("workflow:g")[-1]["data"]["details"]["failed"] == ["b"]


def test_a_chord_fails_when_its_header_is_over():
    log = WorkflowLog()
    log.write(plan(*CHORD))
    log.start("a")
    log.write(failed("a"))
    assert log.snapshot()["state"] == "running"
    log.run("b")
    assert log.snapshot()["state"] == "error"


def test_a_chord_completes_with_its_body():
    log = WorkflowLog()
    log.write(plan(*CHORD))
    log.run("a", "b")
    assert log.snapshot()["state"] == "running"
    log.run("c")
    assert log.snapshot()["state"] == "completed"


def test_what_a_lost_step_leaves_behind_ends_too():
    log = WorkflowLog()
    log.write(plan(*CHAIN))
    log.start("a")
    log.write(lost(operation_id="a", run="run-a"))
    # It counts only of a run that is silent.
    assert log.snapshot()["state"] == "running"
    log.write(stalled_run("a"), lost(operation_id="a", run="run-a"))
    assert log.snapshot()["state"] == "error"
    held = log.snapshot("c")
    assert (held["state"], held["error_type"]) == ("error", "WorkerLost")
    assert log.events("c")[-1]["data"]["details"]["failed_step"] == "a"


@pytest.mark.parametrize("end", ["completed", "error"])
@pytest.mark.parametrize("silent", ["lost", "cancelled"])
def test_what_the_caller_holds_ends_when_others_of_the_group_end_last(silent, end):
    """No worker says that the body never runs: Celery waits for the lost task."""
    log = WorkflowLog()
    log.write(plan(*CHORD))
    log.start("a")
    log.start("b")
    if silent == "lost":
        log.write(stalled_run("a"), lost(operation_id="a", run="run-a"))
    else:
        log.write(failed("a", status="cancelled"))
    log.write(completed(operation_id="b", run="run-b") if end == "completed" else failed("b"))
    assert log.snapshot()["state"] in {"error", "cancelled"}
    assert log.snapshot("c")["state"] == log.snapshot()["state"]


def test_a_worker_says_the_end_of_what_a_failed_step_leaves_behind():
    log = WorkflowLog()
    log.write(plan(*CHAIN))
    log.start("a")
    log.write(failed("a"))
    assert log.snapshot()["state"] == "error"
    assert log.snapshot("c") is None


def test_a_task_that_was_added_to_a_header_and_fails_ends_the_workflow():
    log = WorkflowLog()
    log.write(plan(*CHORD))
    log.start("a")
    log.start("added", parent_id="a", group_id="g")
    log.write(completed(operation_id="a", run="run-a"))
    log.run("b")
    log.write(failed("added", text="added one broke"))
    assert log.snapshot()["state"] == "running"
    # The worker says so of the body.
    log.write(error("broke", operation_id="c", run="never"))
    end = log.events()[-1]
    assert (end["event_type"], end["data"]["error"]) == ("error", "added one broke")
    assert end["data"]["details"]["failed_step"] == "added"


def test_a_task_that_is_replaced_by_a_canvas_again_and_again_is_one_workflow():
    log = WorkflowLog()
    log.start("c")
    log.write(plan(("chain", -1), ("task", 0, "x"), ("task", 0, "c")))
    log.write(structs.replace(status("replaced", run="run-c"), operation_id="c"))
    log.run("x")
    again = structs.replace(status("started", run="again", after="run-c"), operation_id="c")
    log.write(again, plan(("chain", -1), ("group", 0, "g"), *HEADER_OF_Y, ("task", 0, "c")))
    log.write(structs.replace(status("replaced", run="again"), operation_id="c"))
    assert log.snapshot()["details"]["total"] == 4
    before = log.snapshot()["progress"]
    log.run("y0", "y1")
    assert log.snapshot()["progress"] == before + 0.5
    assert log.snapshot("y0")["workflow_ids"] == ["c"]
    last = structs.replace(status("started", run="last", after="again"), operation_id="c")
    log.write(last, completed(operation_id="c", run="last"))
    assert log.said()[-1] == "completed"
    assert log.snapshot()["details"]["completed"] == 4


HEADER_OF_Y = ("task", 1, "y0"), ("task", 1, "y1")


def test_a_workflow_that_is_sent_again_with_its_id_begins_anew():
    """As ``canvas.apply_async(task_id="nightly")`` does each night."""
    log = WorkflowLog()
    log.write(plan(*CHAIN))
    log.run("a", "b", "c")
    log.write(plan(("chain", -1), ("task", 0, "x"), ("task", 0, "c"), at=50.0))
    assert log.snapshot()["state"] == "completed"
    log.start("x")
    assert (log.snapshot()["state"], log.snapshot()["details"]["total"]) == ("running", 2)
    assert log.events()[-1]["data"]["details"].get("resumed") is None
    log.write(completed(operation_id="x", run="run-x"))
    # What is said of its message does not end it: the task has ended the last time.
    log.write(queued(operation_id="c", publication="second"))
    assert (log.snapshot()["state"], log.snapshot()["progress"]) == ("running", 0.5)
    again = status("started", operation_id="c", run="second", publication="second")
    log.write(again, completed(operation_id="c", run="second", at=60.0))
    assert log.snapshot()["state"] == "completed"
    assert [one for one in log.said() if one == "completed"] == ["completed"] * 2
    assert "workflow_ids" not in log.snapshot("a")
    # The same plan again is the same workflow.
    log.write(plan(("chain", -1), ("task", 0, "x"), ("task", 0, "c")))
    assert log.snapshot()["details"]["completed"] == 2


def test_what_was_done_since_it_was_sent_again_counts_though_its_plan_is_read_late():
    log = WorkflowLog()
    log.write(plan(*CHAIN))
    log.run("a", "b", "c")
    again = status("started", operation_id="c", run="second", publication="second", at=55.0)
    log.write(again, completed(operation_id="c", run="second", at=60.0))
    log.write(plan(("chain", -1), ("task", 0, "x"), ("task", 0, "c"), at=50.0))
    assert log.snapshot()["details"]["completed"] == 1


def test_a_workflow_that_was_sent_again_ends_again_though_its_plan_is_read_last():
    log = WorkflowLog()
    log.write(plan(*CHAIN))
    log.run("a", "b", "c")
    log.run("x", at=55.0)
    again = status("started", operation_id="c", run="second", publication="second", at=56.0)
    log.write(again, completed(operation_id="c", run="second", at=60.0))
    log.write(plan(("chain", -1), ("task", 0, "x"), ("task", 0, "c"), at=50.0))
    assert [one for one in log.said() if one == "completed"] == ["completed"] * 2
    assert (log.snapshot()["state"], log.snapshot()["details"]["completed"]) == ("completed", 2)


def test_a_group_that_is_sent_again_with_its_id_begins_anew():
    log = WorkflowLog()
    log.write(plan(("group", -1, "g"), ("task", 0, "a"), held="g"))
    log.run("a")
    log.write(plan(("group", -1, "g"), ("task", 0, "b"), held="g"))
    log.run("b")
    assert [one for one in log.said("workflow:g") if one == "completed"] == ["completed"] * 2


@pytest.mark.parametrize("is_late", [False, True])
def test_a_task_is_whose_its_own_workflow_is(is_late):
    """Not of who started the task that has sent that workflow."""
    log = WorkflowLog()
    log.write(structs.replace(plan(*CHAIN), sub="user-1"))
    log.start("a")
    inner = plan(("chain", -1), ("task", 0, "x"), ("task", 0, "y"), held="y", parent_id="a")
    inner = structs.replace(inner, sub="user-2")
    if is_late:
        log.start("x", parent_id="a")
        assert log.hub.store.get("x").operation.sub == "user-1"
        log.write(inner)
        assert log.hub.store.get("x").operation.rights_vary
    else:
        log.write(inner)
        log.start("x", parent_id="a")
    assert log.hub.store.get("x").operation.sub == "user-2"
    log.start("z", parent_id="x")
    assert log.hub.store.get("z").operation.sub == "user-2"


def test_a_task_that_says_whose_it_is_stays_so():
    log = WorkflowLog()
    log.write(structs.replace(queued(operation_id="a", publication="p-a"), sub="user-2"))
    log.write(structs.replace(plan(*CHAIN), sub="user-1"))
    assert log.hub.store.get("a").operation.sub == "user-2"


def stalled_run(task_id):
    said = status("stalled", run=f"run-{task_id}", publication="")
    return structs.replace(said, operation_id=task_id, inferred=True)


def test_a_workflow_goes_on_when_a_lost_step_is_heard_again():
    log = WorkflowLog()
    log.write(plan(*CHAIN))
    log.start("a")
    log.write(stalled_run("a"), lost(operation_id="a", run="run-a"))
    assert log.said()[-1] == "error"
    log.write(progress(0.5, operation_id="a", run="run-a", at=9.0))
    assert log.snapshot()["state"] == "running"
    assert [one for one in log.said() if one == "started"] == ["started"] * 2
    log.write(completed(operation_id="a", run="run-a", at=10.0))
    log.run("b", "c", at=11.0)
    assert log.said()[-1] == "completed"


def test_a_cancelled_step_cancels_the_chain_and_what_the_caller_holds():
    log = WorkflowLog()
    log.write(plan(*CHAIN))
    log.start("a")
    log.write(failed("a", status="cancelled"))
    assert log.snapshot()["state"] == "cancelled"
    assert log.snapshot("c")["state"] == "cancelled"
    # The one behind it was not cancelled: it never runs.
    assert log.snapshot()["details"]["failed"] == 1


def test_what_stands_behind_a_task_that_no_worker_knows_ends():
    log = WorkflowLog()
    log.write(plan(*CHAIN))
    log.write(queued(operation_id="a", publication="p-a"), failed("a"))
    assert log.snapshot()["state"] == log.snapshot("c")["state"] == "error"
    assert log.snapshot("c")["error_type"] == "ValueError"


def test_a_step_that_raised_ignore_stops_its_chain():
    log = WorkflowLog()
    log.write(plan(*CHAIN))
    log.start("a")
    log.write(completed(operation_id="a", run="run-a", ignored=True))
    assert log.snapshot()["state"] == "cancelled"
    assert log.snapshot()["error_type"] == log.snapshot("c")["error_type"] == "Ignore"


def test_the_bar_does_not_go_back_when_a_step_is_tried_again():
    log = WorkflowLog()
    log.write(plan(*CHAIN))
    log.start("a")
    log.write(progress(0.9, operation_id="a", run="run-a"))
    log.write(structs.replace(status("retrying", run="run-a"), operation_id="a"))
    again = structs.replace(status("started", run="again", after="run-a"), operation_id="a")
    log.write(again, progress(0.1, operation_id="a", run="again"))
    assert log.said()[-1] == pytest.approx(0.3)


def test_a_task_that_a_step_starts_counts():
    log = WorkflowLog()
    log.write(plan(*CHAIN))
    log.start("a")
    log.start("extra", parent_id="a")
    assert log.snapshot()["details"]["total"] == 4
    assert log.snapshot("extra")["workflow_ids"] == ["c"]
    log.run("a", "b", "c")
    assert log.snapshot()["state"] == "completed"


def test_a_task_that_a_step_has_started_counts_though_it_is_over_before_the_plan_is_read():
    log = WorkflowLog()
    log.start("a")
    log.start("extra", parent_id="a")
    log.start("further", parent_id="extra")
    log.run("extra", "further")
    log.start("elsewhere", parent_id="other")
    log.write(plan(*CHAIN))
    assert log.snapshot()["details"]["total"] == 5
    assert log.snapshot()["details"]["completed"] == 2
    assert log.snapshot("further")["workflow_ids"] == ["c"]
    assert log.snapshot("elsewhere").get("workflow_ids", []) == []
    log.run("a", "b", "c")
    assert log.snapshot()["state"] == "completed"


def test_a_canvas_counts_that_is_sent_by_a_task_which_is_over_before_the_plan_is_read():
    log = WorkflowLog()
    log.start("a")
    log.start("extra", parent_id="a")
    log.write(plan(("chain", -1), ("task", 0, "x"), ("task", 0, "y"), held="y", parent_id="extra"))
    log.run("extra", "x", "y")
    log.write(plan(*CHAIN))
    assert log.snapshot()["details"]["total"] == 6
    assert log.snapshot()["details"]["completed"] == 3


def test_what_a_canvas_starts_counts_in_the_workflow_around_it_though_their_plans_are_read_last():
    log = WorkflowLog()
    log.start("a")
    log.start("x", parent_id="a")
    log.start("extra", parent_id="x")
    inner = plan(("chain", -1), ("task", 0, "x"), ("task", 0, "y"), held="y", parent_id="a")
    log.write(plan(*CHAIN), inner)
    assert sorted(log.snapshot("extra")["workflow_ids"]) == ["c", "y"]


def test_a_member_that_the_plan_does_not_name_may_be_over_before_it_is_read():
    log = WorkflowLog()
    for one in "bc":
        log.start(one, group_id="g")
        log.write(completed(operation_id=one, run=f"run-{one}"))
    log.write(plan(("group", -1, "g"), ("task", 0, "a"), held="g", tasks=3))
    assert log.snapshot("workflow:g")["details"]["completed"] == 2
    log.run("a")
    assert log.said("workflow:g")[-1] == "completed"


def test_members_that_are_over_before_a_plan_in_parts_is_read_count_once():
    log = WorkflowLog()
    for one in "bc":
        log.start(one, group_id="g")
        log.write(completed(operation_id=one, run=f"run-{one}"))
    log.write(plan(("group", -1, "g"), ("task", 0, "a"), held="g", tasks=6))
    log.write(plan(("task", 0, "d"), held="g", first=2))
    details = log.snapshot("workflow:g")["details"]
    assert (details["total"], details["completed"]) == (6, 2)
    assert log.snapshot("b")["workflow_ids"] == ["g"]


def test_tasks_that_are_said_to_have_started_each_other_join_nothing():
    log = WorkflowLog()
    log.start("x", parent_id="y", group_id="g")
    log.start("y", parent_id="x", group_id="g")
    log.write(plan(("group", -1, "g"), ("task", 0, "a"), held="g"))
    assert log.snapshot("workflow:g")["details"]["total"] == 1
    assert log.snapshot("x").get("workflow_ids", []) == []


def test_a_canvas_that_a_step_sends_counts_in_both():
    log = WorkflowLog()
    log.write(plan(*CHAIN))
    log.start("a")
    log.write(plan(("chain", -1), ("task", 0, "x"), ("task", 0, "y"), held="y", parent_id="a"))
    assert log.snapshot()["details"]["total"] == 5
    log.start("x", parent_id="a")
    assert log.snapshot("workflow:y")["state"] == "running"
    assert sorted(log.snapshot("x")["workflow_ids"]) == ["c", "y"]


def test_a_task_that_is_replaced_by_a_canvas_holds_its_place():
    log = WorkflowLog()
    log.write(plan(*CHAIN))
    log.start("a")
    log.write(plan(("chain", -1), ("task", 0, "x"), ("task", 0, "a"), held="a"))
    log.run("x")
    assert log.snapshot()["state"] == "running"
    assert log.snapshot("workflow:a")["state"] == "running"
    log.write(structs.replace(status("replaced", run="run-a"), operation_id="a"))
    again = structs.replace(status("started", run="again", after="run-a"), operation_id="a")
    log.write(again, completed(operation_id="a", run="again"))
    log.run("b", "c")
    assert log.snapshot()["state"] == log.snapshot("workflow:a")["state"] == "completed"


@pytest.mark.parametrize(
    ("held", "more"), [("y", {"parent_id": "a"}), ("a", {})], ids=["sent", "replaced"]
)
def test_a_plan_that_is_read_after_those_of_its_tasks_has_their_steps(held, more):
    inner = plan(("chain", -1), ("task", 0, "x"), ("task", 0, held), held=held, **more)
    counts = []
    for events in ([plan(*CHAIN), inner], [inner, plan(*CHAIN)]):
        log = WorkflowLog()
        log.start("a")
        log.write(*events)
        counts.append(log.snapshot()["details"]["total"])
        assert log.snapshot("x") is None
        log.start("x", parent_id="a")
        assert sorted(log.snapshot("x")["workflow_ids"]) == sorted(["c", held])
    assert counts == [5 if more else 4] * 2


def test_a_canvas_that_is_forgotten_is_not_added_to_the_plan_of_who_sent_it():
    log = WorkflowLog(Hub(OperationStore(Limits(max_finished=0))))
    for held in "xy":
        log.write(plan(("chain", -1), ("task", 0, held), held=held, parent_id="a"))
    log.run("x")
    log.write(plan(*CHAIN))
    assert log.snapshot()["details"]["total"] == 4


def test_members_that_the_plan_does_not_name_are_found_by_their_group():
    log = WorkflowLog()
    log.write(plan(("group", -1, "g"), ("task", 0, "a"), held="g", tasks=3))
    log.run("a")
    assert log.said("workflow:g")[-1] == 0.3333
    for one in "bc":
        log.start(one, group_id="g")
        log.write(completed(operation_id=one, run=f"run-{one}"))
    assert log.said("workflow:g")[-1] == "completed"


def test_a_plan_may_come_in_parts():
    log = WorkflowLog()
    log.write(plan(*CHAIN[:2], tasks=3))
    log.write(plan(*CHAIN[2:], first=2))
    log.run("a", "b")
    assert log.snapshot()["state"] == "running"
    log.run("c")
    assert log.snapshot()["state"] == "completed"


def test_a_plan_that_comes_late_finds_its_tasks():
    log = WorkflowLog()
    log.run("a")
    log.start("b")
    log.write(plan(*CHAIN))
    assert log.said() == ["queued", "started", 0.3333]
    assert log.snapshot()["details"]["completed"] == 1
    log.write(completed(operation_id="b", run="run-b"))
    log.run("c")
    assert log.said()[-1] == "completed"


def test_what_a_late_plan_says_at_once_has_ids_of_its_own():
    log = WorkflowLog()
    log.run("a")
    log.write(plan(*CHAIN))
    assert log.said() == ["queued", "started", 0.3333]
    ids = [one["event_id"] for one in log.events()]
    assert len(set(ids)) == 3
    since = ids[1]
    _, *events = WorkflowClient(log.hub).send("subscribe", workflow_id="c", since=since)
    assert [one["event_type"] for one in events] == ["progress"]


def test_a_plan_read_twice_changes_nothing():
    log = WorkflowLog()
    log.write(plan(*CHAIN), plan(*CHAIN))
    log.run("a", "b", "c")
    assert log.snapshot()["details"]["total"] == 3
    assert log.said().count("completed") == 1


def test_two_hubs_give_the_same_ids():
    def events(hub):
        log = WorkflowLog(hub)
        log.write(plan(*CHAIN))
        log.run("a", "b", "c", fraction=0.5)
        return [one["event_id"] for one in log.events()]

    assert events(Hub()) == events(Hub())
    assert len(set(events(Hub()))) == len(events(Hub()))


def test_a_single_task_is_shown_as_a_workflow_when_it_is_asked_for():
    log = WorkflowLog()
    log.start("c")
    log.write(progress(0.5, operation_id="c", run="run-c"))
    assert log.hub.store.get("workflow:c") is None
    log.hub.show_workflow("workflow:c")
    assert log.snapshot()["progress"] == 0.5
    log.write(completed(operation_id="c", run="run-c"))
    assert log.snapshot()["state"] == "completed"


def test_a_single_task_is_shown_to_who_waits_for_a_workflow():
    log = WorkflowLog()
    session = Session(1, Permit(None))
    log.hub.subscriptions.subscribe(session, "workflow:c", replay=None, since=None)
    log.run("c")
    assert log.said() == ["queued", "started", "completed"]


def test_a_task_that_becomes_a_workflow_stays_one():
    log = WorkflowLog()
    log.start("a")
    log.hub.show_workflow("workflow:a")
    log.write(plan(("chain", -1), ("task", 0, "x"), ("task", 0, "a"), held="a"))
    assert log.snapshot("workflow:a")["details"]["total"] == 2


def test_a_workflow_is_forgotten_with_its_operation():
    log = WorkflowLog(Hub(OperationStore(Limits(max_finished=2))))
    log.write(plan(*CHAIN))
    log.run("a", "b", "c")
    log.run("x", "y", "z")
    assert log.hub.store.get("workflow:c") is None
    assert log.hub.workflows.get("workflow:c") is None
    log.write(plan(*CHAIN))
    assert log.hub.workflows.get("workflow:c") is None
    assert log.hub.store.history_bytes == sum(
        one.history.size + one.counted_size + one.plan_size + RECORD_BYTES
        for one in log.hub.store.oldest_first()
    )


def test_a_workflow_counts_its_memory():
    log = WorkflowLog()
    log.write(plan(*CHAIN))
    assert log.hub.store.get("workflow:c").plan_size > 1_000


def test_a_client_watches_a_workflow_by_the_id_that_it_holds():
    log = WorkflowLog()
    client = WorkflowClient(log.hub)
    log.write(plan(*CHAIN))
    reply = client.ask("subscribe", workflow_id="c")
    assert (reply["operation_id"], reply["workflow_id"]) == ("workflow:c", "c")
    assert reply["operation"]["operation_type"] == "celery.chain"
    log.run("a", "b", "c")
    assert client.read()[-1]["event_type"] == "completed"
    assert client.ask("get_operation", workflow_id="c")["operation"]["state"] == "completed"
    assert client.ask("get_history", workflow_id="c")["events"][0]["data"]["status"] == "queued"
    reply = client.ask("unsubscribe", workflow_id="c")
    assert (reply["operation_id"], reply["workflow_id"]) == ("workflow:c", "c")


def test_a_client_resumes_a_workflow():
    log = WorkflowLog()
    log.write(plan(*CHAIN))
    log.run("a")
    since = log.events()[-1]["event_id"]
    log.run("b", "c")
    reply, *events = WorkflowClient(log.hub).send("subscribe", workflow_id="c", since=since)
    assert reply["recovered"] is True
    assert [one["event_type"] for one in events] == ["progress", "completed"]


def test_a_client_that_waits_for_a_workflow_gets_the_single_task():
    log = WorkflowLog()
    client = WorkflowClient(log.hub)
    assert client.ask("subscribe", workflow_id="t")["operation"] is None
    log.start("t")
    assert {one["operation_id"] for one in client.read()} == {"workflow:t"}
    log.write(completed(operation_id="t", run="run-t"))
    assert client.read()[-1]["event_type"] == "completed"


def test_the_steps_of_a_workflow_are_selected():
    log = WorkflowLog()
    log.write(plan(*CHAIN))
    log.start("a")
    client = WorkflowClient(log.hub)
    client.ask("subscribe", steps_of="c", replay="none")
    log.start("b")
    log.start("other")
    assert {one["operation_id"] for one in client.read()} == {"b"}
    listed = client.ask("list_operations", steps_of="c")["operations"]
    assert {one["operation_id"] for one in listed} == {"a", "b"}


def test_a_task_that_its_own_plan_does_not_name_makes_no_second_workflow():
    """Its part of the plan was lost, or a stranger has written that."""
    log = WorkflowLog()
    WorkflowClient(log.hub).ask("subscribe", workflow_id="c")
    log.write(plan(("chain", -1), ("task", 0, "a"), held="c"))
    shown = log.hub.store.get("workflow:c")
    log.start("c")
    assert log.hub.store.get("workflow:c") is shown
    held = log.hub.store.history_bytes
    log.hub.show_workflow("workflow:c")
    assert (log.hub.store.get("workflow:c"), log.hub.store.history_bytes) == (shown, held)


def test_a_task_whose_history_is_empty_is_not_shown_as_a_workflow():
    hub = Hub()
    hub.store.create("t", 1.0)
    hub.show_workflow("workflow:t")
    hub.show_workflow("t")
    assert hub.store.get("workflow:t") is None


def test_the_progress_of_a_workflow_is_held_back_by_the_rate_limit():
    log = WorkflowLog(Hub(progress_interval=1.0))
    log.write(plan(*GROUP, held="g"))
    for one in "abc":
        log.start(one)
    log.write(progress(0.3, operation_id="a", run="run-a"), now=100.1)
    log.write(progress(0.6, operation_id="b", run="run-b"), now=100.2)
    assert log.said("workflow:g")[-1] == 0.0
    assert log.hub.next_due is not None
    log.hub.flush_due(101.0)
    assert log.said("workflow:g")[-1] == 0.3
    assert log.events("workflow:g")[-1]["event_id"].endswith("w")


def test_progress_that_was_held_back_of_a_workflow_that_is_gone_is_not_sent():
    log = WorkflowLog(Hub(progress_interval=1.0))
    log.write(plan(*GROUP, held="g"))
    log.start("a")
    log.start("b")
    log.start("c")
    log.hub.workflows.forget("workflow:g")
    assert log.hub.next_due == 101.0
    log.hub.flush_due(101.0)
    assert log.said("workflow:g") == ["queued", "started", 0.0]


def test_a_task_joins_the_workflow_of_its_group_and_of_who_started_it():
    log = WorkflowLog()
    log.write(plan(("group", -1, "g"), held="g", tasks=1), plan(*CHAIN))
    log.start("a")
    log.start("m", group_id="g", parent_id="a")
    assert sorted(log.snapshot("m")["workflow_ids"]) == ["c", "g"]


def test_what_a_step_starts_after_the_end_is_left_out():
    log = WorkflowLog()
    log.write(plan(*CHAIN))
    log.run("a", "b", "c")
    log.start("late", parent_id="c")
    assert log.snapshot()["details"]["total"] == 3


def test_a_plan_without_an_id_is_ignored():
    log = WorkflowLog()
    log.write(plan(*CHAIN, held=""))
    assert len(log.hub.store) == 0


def test_the_progress_view_shows_how_far_the_workflow_of_a_task_is():
    log = WorkflowLog()
    log.write(plan(*CHAIN))
    log.start("c")
    record = log.hub.store.get("c")
    shown = Disclosure(only_progress=True, hides_relations=False).of_snapshot(record)
    assert shown["workflow"]["total"] == 3
    hidden = Disclosure(only_progress=False, hides_relations=True).of_snapshot(record)
    assert "workflow" not in hidden
    assert "workflow_ids" not in hidden


def test_a_task_that_has_ended_is_shown_as_a_workflow():
    log = WorkflowLog()
    log.start("t")
    log.write(line("working", operation_id="t", run="run-t"))
    log.write(result(7, operation_id="t", run="run-t"), completed(operation_id="t", run="run-t"))
    reply, *events = WorkflowClient(log.hub).send("subscribe", workflow_id="t")
    assert reply["operation"]["state"] == "completed"
    assert [one["event_type"] for one in events] == ["result", "completed"]
    assert events[0]["data"]["result"] == 7
    assert {one["operation_id"] for one in events} == {"workflow:t"}


def test_a_group_of_two_plans_belongs_to_the_first():
    log = WorkflowLog()
    log.write(plan(*CHORD), plan(*CHORD, held="other"))
    log.hub.workflows.forget("workflow:other")
    log.hub.workflows.forget("workflow:unheard of")
    log.write(plan(*CHORD[:1], first=5, tasks=4))
    log.start("d", group_id="g")
    assert log.snapshot("d")["workflow_ids"] == ["c"]


def guarded_client(log, **claims):
    permit = guarded()
    permit.add(token(**claims), timestamp=NOW)
    return WorkflowClient(log.hub, permit)


@pytest.mark.parametrize(
    ("claims", "bar", "step", "tree"),
    [
        ({"ops": ["workflow:c"]}, True, True, True),
        ({"ops": ["c"]}, True, False, False),
        ({"ops": ["workflow:other"]}, False, False, False),
        ({"ops": ["a"]}, False, True, False),
        ({"ops": ["*"]}, True, True, True),
    ],
    ids=str,
)
def test_what_a_token_grants_of_a_workflow(claims, bar, step, tree):
    log = WorkflowLog()
    client = guarded_client(log, ids=[], **claims)
    # Before anything is known of it, too.
    assert ("error" not in client.ask("subscribe", workflow_id="c")) is bar
    log.write(plan(*CHAIN))
    log.start("a")
    assert ("error" not in client.ask("get_operation", workflow_id="c")) is bar
    assert ("error" not in client.ask("get_operation", operation_id="a")) is step
    assert ("error" not in client.ask("get_tree", workflow_id="c")) is tree
    assert ("error" not in client.ask("subscribe", steps_of="c")) is tree
    assert ("error" not in client.ask("list_operations", steps_of="c")) is tree


def test_a_workflow_whose_memory_another_one_has_taken_goes_on_nowhere():
    log = WorkflowLog()
    log.write(plan(*CHAIN))
    log.start("a")
    # So it was heard of last, and is evicted last.
    log.write(progress(0.1, operation_id="a", run="run-a"), now=200.0)
    log.hub.store.limits = Limits(max_history_bytes=1)
    log.write(plan(("chain", -1), ("task", 0, "x"), ("task", 0, "y"), held="y", parent_id="a"))
    assert len(log.hub.store) == 1
    assert log.hub.workflows.get("workflow:c") is None


def test_the_reason_of_a_retry_is_no_message_of_a_workflow():
    log = WorkflowLog()
    log.write(plan(*CHAIN))
    log.start("a")
    log.write(status("retrying", operation_id="a", run="run-a", message="secret"))
    log.write(plan(*GROUP, held="g", parent_id="a"))
    assert "secret" not in str(log.events())
    assert "secret" not in str(log.snapshot())


def test_the_tasks_of_somebodys_workflow_are_theirs():
    log = WorkflowLog()
    log.start("a")
    log.write(structs.replace(plan(*CHAIN), sub="anna"))
    log.start("b")
    client = guarded_client(log, ids=[], ops=["sub:anna"])
    other = guarded_client(log, ids=[], ops=["sub:otto"])
    for one in ("a", "b", "workflow:c"):
        assert "error" not in client.ask("get_operation", operation_id=one)
        assert other.ask("get_operation", operation_id=one)["code"] == "forbidden"
    assert "anna" not in str(log.events()) + str(log.events("b")) + str(log.snapshot("b"))


def test_a_task_of_a_workflow_is_not_shown_as_a_single_one_before_its_plan_is_read():
    log = WorkflowLog()
    client = WorkflowClient(log.hub)
    client.ask("subscribe", workflow_id="c")
    for task_id in "abc":
        run = f"run-{task_id}"
        started = status("started", operation_id=task_id, run=run, publication=run)
        log.write(structs.replace(started, workflow="c"))
    log.write(completed(operation_id="c", run="run-c"))
    assert log.hub.store.get("workflow:c") is None
    log.write(plan(*CHAIN))
    log.write(completed(operation_id="a", run="run-a"), completed(operation_id="b", run="run-b"))
    assert [one["event_type"] for one in client.read()].count("completed") == 1
    assert "workflow" not in log.events("a")[0]


def test_an_event_that_a_stranger_writes_of_a_workflow_makes_none():
    log = WorkflowLog()
    log.start("workflow:x")
    log.write(completed(operation_id="workflow:x", run="run-workflow:x"))
    assert len(log.hub.store) == 0


def test_progress_that_a_stranger_writes_of_a_workflow_does_not_stop_its_bar():
    log = WorkflowLog(Hub(progress_interval=0.05))
    log.write(plan(*CHAIN), status("started", operation_id="a", run="r"), now=1.0)
    for fraction in (0.1, 0.2):
        log.write(progress(fraction, operation_id="a", run="r"), now=2.0)
    log.write(progress(0.9, operation_id="workflow:c", run="workflow-1"), now=2.01)
    log.write(progress(0.3, operation_id="a", run="r"), now=3.0)
    log.hub.flush_due(4.0)
    assert log.said() == ["queued", "started", 0.1]


def calls_of(function):
    """The number of functions that a call enters."""
    entered = []
    sys.setprofile(lambda _, event, __: event == "call" and entered.append(1))
    try:
        function()
    finally:
        sys.setprofile(None)
    return len(entered)


@pytest.mark.parametrize("known", [False, True], ids=["before its tasks", "behind its tasks"])
@pytest.mark.parametrize("starter", ["", "a"], ids=["by a program", "by a task"])
def test_a_plan_costs_as_much_as_it_has_tasks(starter, known):
    def calls(tasks):
        log = WorkflowLog()
        ids = [f"task-{n}" for n in range(tasks)]
        log.write(plan(("chain", -1), ("task", 0, "a", "tasks.a"), held="a"))
        for one in ["a", *(ids if known else ())]:
            log.start(one)
        more = {"parent_id": starter} if starter else {}
        read = plan(("group", -1, "g"), *(("task", 0, one, "t") for one in ids), **more)
        return calls_of(lambda: log.write(read))

    assert calls(1_000) < 12 * calls(100)


def test_what_is_let_go_needs_no_garbage_collection():
    """A frozen object that is garbage in a cycle would stay for ever (sidecar/full_collections)."""
    log = WorkflowLog(Hub(OperationStore(Limits(max_finished=2))))

    def run(now):
        ids = [f"{now}-{one}" for one in "abc"]
        log.write(
            plan(("chain", -1), *[("task", 0, one, "t") for one in ids], held=ids[-1]),
            *[
                event
                for one in ids
                for event in (
                    status("started", operation_id=one, run="r"),
                    line("more", operation_id=one, run="r"),
                    progress(0.5, operation_id=one, run="r"),
                    completed(operation_id=one, run="r"),
                )
            ],
            now=float(now),
        )

    run(100)
    gc.collect()
    gc.disable()
    try:
        for now in range(101, 150):
            run(now)
        assert len(log.hub.store) == 2
        # What happens once for the first one is no matter; one cycle of each would be hundreds.
        assert gc.collect() < 30
    finally:
        gc.enable()
