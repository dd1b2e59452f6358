"""The steps of a workflow as indented lines."""

from __future__ import annotations

import pytest

from celery_wsprogress.cli.step_tree import StepTree

TREE = {
    "total": 3,
    "nodes": [
        {"index": 0, "parent": None, "kind": "chain", "state": "running"},
        {"index": 1, "parent": 0, "kind": "group", "state": "running", "group_id": "g"},
        *[
            {"index": index, "parent": parent, "kind": "task", "state": "waiting", "weight": 1.0}
            | {"operation_id": one, "operation_type": f"shop.{one}", "progress": 0.0}
            for index, parent, one in ((2, 1, "a"), (3, 1, "b"), (4, 0, "c"))
        ],
    ],
}


def event(kind, task_id, **data):
    return {"event_type": kind, "operation_id": task_id, "data": data}


@pytest.fixture
def tree():
    tree = StepTree()
    tree.load(TREE)
    return tree


def states(tree):
    return [line.split(maxsplit=1)[1] for line in tree.lines()]


def test_it_is_indented(tree):
    assert tree.lines() == [
        "  group     0 of 2",
        "    shop.a  waiting",
        "    shop.b  waiting",
        "  shop.c    waiting",
    ]
    assert [tree.label(one) for one in ("a", "c", "x")] == ["    a", "  c", ""]


def test_it_follows_events(tree):
    assert tree.report(event("status", "a", status="queued"))
    assert states(tree)[1] == "waiting"
    tree.report(event("status", "a", status="started", operation_type="shop.a"))
    tree.report(event("progress", "a", progress=0.5))
    tree.report(event("progress", "a", progress=0.25))
    assert states(tree)[1] == " 50% [######......]".strip()
    tree.report(event("completed", "a"))
    tree.report(event("status", "b", status="queued"))
    tree.report(event("error", "b", error="no", status="error"))
    tree.report(event("error", "c", error="no", status="error"))
    assert states(tree) == ["2 of 2", "done", "failed", "skipped"]
    assert not tree.report(event("completed", "of another workflow"))


def test_it_takes_over_snapshots_and_cancellations(tree):
    operation = {"state": "running", "progress": 0.75}
    tree.report({**event("snapshot", "a"), "operation": operation})
    tree.report({**event("snapshot", "b"), "operation": {"state": "queued", "progress": 0.0}})
    tree.report(event("error", "c", error="no", status="cancelled"))
    assert states(tree)[1:] == ["75% [#########...]", "waiting", "cancelled"]
    tree.report({**event("snapshot", "b"), "operation": {"state": "cancelled", "progress": 0.0}})
    assert states(tree)[2] == "cancelled"


def test_it_keeps_what_it_knows_when_it_is_loaded_again(tree):
    tree.report(event("status", "a", status="queued"))
    tree.load(TREE)
    tree.report(event("error", "a", error="no", status="error"))
    assert states(tree)[1] == "failed"


def test_large_groups_show_what_runs(tree):
    members = [
        {"index": at, "parent": 0, "kind": "task", "state": "waiting", "operation_id": f"t{at}"}
        | {"operation_type": "shop.resize", "progress": 0.0}
        for at in range(1, 10_001)
    ]
    group = {"index": 0, "parent": None, "kind": "group", "state": "running", "group_id": "g"}
    tree.load({"total": 10_000, "nodes": [group, *members]})
    tree.report(event("status", "t9000", status="started"))
    lines = tree.lines()
    assert len(lines) == 8
    assert "0%" in lines[6]
    assert lines[7] == "  ... 9,993 more"


def test_a_tree_as_deep_as_it_has_nodes(tree):
    nodes = [
        {"index": at, "parent": at - 1 if at else None, "kind": "group", "state": "waiting"}
        for at in range(3_000)
    ]
    tree.load({"total": 0, "nodes": nodes})
    assert len(tree.lines()) == 2_999


def test_names_are_escaped(tree):
    tree.report(event("status", "a", status="started", operation_type="x\x1b[2J\nname"))
    assert all(line.isprintable() for line in tree.lines())
    assert tree.label("a").isprintable()
