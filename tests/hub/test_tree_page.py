"""The command ``get_tree`` shows the tasks of a workflow."""

from __future__ import annotations

import pytest
from support.sample_events import completed, error, plan
from support.workflow_logs import WorkflowClient, WorkflowLog

CHORD = [
    ("chain", -1),
    ("group", 0, "g"),
    ("task", 1, "a", "tasks.a"),
    ("task", 1, "b", "tasks.b", 2.0),
    ("task", 0, "c", "tasks.c"),
]


@pytest.fixture
def log():
    log = WorkflowLog()
    log.write(plan(*CHORD))
    log.run("a")
    return log


def test_a_tree_is_shown_with_its_states(log):
    reply = WorkflowClient(log.hub).ask("get_tree", workflow_id="c")
    assert reply["total"] == 3
    assert reply["next"] is None
    assert [
        (one["index"], one["parent"], one["kind"], one["state"], one.get("progress"))
        for one in reply["nodes"]
    ] == [
        (0, None, "chain", "running", None),
        (1, 0, "group", "running", None),
        (2, 1, "task", "completed", 1.0),
        (3, 1, "task", "waiting", 0.0),
        (4, 0, "task", "waiting", 0.0),
    ]
    group, second = reply["nodes"][1], reply["nodes"][3]
    assert group["group_id"] == "g"
    assert (second["operation_id"], second["operation_type"]) == ("b", "tasks.b")
    assert second["weight"] == 2.0


def test_what_never_runs_is_skipped(log):
    log.start("b")
    log.write(error(operation_id="b", run="run-b"), error(operation_id="c", run="never"))
    nodes = WorkflowClient(log.hub).ask("get_tree", workflow_id="c")["nodes"]
    assert [one["state"] for one in nodes] == ["error", "error", "completed", "error", "skipped"]


def test_a_task_that_a_step_has_started_hangs_on_it(log):
    log.start("extra", parent_id="b")
    assert WorkflowClient(log.hub).ask("get_tree", workflow_id="c")["nodes"][-1]["parent"] == 3


def test_a_tree_comes_in_pages(log):
    client = WorkflowClient(log.hub)
    first = client.ask("get_tree", workflow_id="c", limit=2)
    assert first["next"] == "2"
    rest = client.ask("get_tree", workflow_id="c", cursor=first["next"])
    assert [one["index"] for one in rest["nodes"]] == [2, 3, 4]


def test_a_page_is_bounded_in_bytes():
    log, name = WorkflowLog(), "n" * 1_000
    nodes = [("group", -1, "g"), *[("task", 0, f"{at:0>900}", name) for at in range(900)]]
    for first in range(0, len(nodes), 100):
        log.write(plan(*nodes[first : first + 100], held="g", first=first))
    reply = WorkflowClient(log.hub).ask("get_tree", workflow_id="g")
    assert 300 < len(reply["nodes"]) < 700
    assert reply["next"] == str(len(reply["nodes"]))


def test_a_large_tree_takes_steps():
    log = WorkflowLog()
    nodes = [("group", -1, "g"), *[("task", 0, str(at)) for at in range(700)]]
    for first in range(0, len(nodes), 200):
        log.write(plan(*nodes[first : first + 200], held="g", first=first))
    assert len(WorkflowClient(log.hub).ask("get_tree", workflow_id="g")["nodes"]) == 701


def test_a_single_task_is_a_tree_of_one_node():
    log = WorkflowLog()
    log.start("t")
    reply = WorkflowClient(log.hub).ask("get_tree", workflow_id="t")
    assert [(one["operation_id"], one["parent"]) for one in reply["nodes"]] == [("t", None)]
    log.write(completed(operation_id="t", run="run-t"))
    assert (
        WorkflowClient(log.hub).ask("get_tree", workflow_id="t")["nodes"][0]["state"] == "completed"
    )


def test_an_unknown_workflow_has_no_tree(log):
    reply = WorkflowClient(log.hub).ask("get_tree", workflow_id="unheard of")
    assert (reply["total"], reply["nodes"], reply["next"]) == (0, [], None)


@pytest.mark.parametrize("cursor", [7, "x", "-1", ""])
def test_a_cursor_that_is_none_is_refused(log, cursor):
    reply = WorkflowClient(log.hub).ask("get_tree", workflow_id="c", cursor=cursor)
    assert reply["code"] == "invalid_command"


def test_without_an_id_there_is_no_tree(log):
    assert WorkflowClient(log.hub).ask("get_tree")["code"] == "invalid_command"
