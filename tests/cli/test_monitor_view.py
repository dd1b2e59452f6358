from __future__ import annotations

import pytest

from celery_wsprogress.cli.monitor_view import MonitorView, Show, Sort, next_of


def operation(name, state="running", at=0.0, **more):
    return {"operation_id": name, "state": state, "started_at": at, "progress": 0.0, **more}


OPERATIONS = [
    operation("old", at=1.0, operation_type="shop.report", tags=["nightly"], progress=0.9),
    operation("new", at=3.0, operation_type="shop.mail", worker="w1", message="Sending"),
    operation("waits", "queued", 2.0, operation_type="shop.report"),
    operation("done", "completed", 9.0, operation_type="a.b", progress=1.0),
    operation("lost", "error", 8.0, operation_type="a.b", error="no sign"),
]


def shown(**view):
    return [row.operation["operation_id"] for row in MonitorView(**view).rows(OPERATIONS)]


@pytest.mark.parametrize(
    ("sort", "ids"),
    [
        (Sort.STATE, ["new", "old", "waits", "done", "lost"]),
        (Sort.NEWEST, ["done", "lost", "new", "waits", "old"]),
        (Sort.DONE, ["old", "new", "waits", "done", "lost"]),
        (Sort.TYPE, ["done", "lost", "new", "old", "waits"]),
    ],
)
def test_what_comes_first(sort, ids):
    assert shown(sort=sort) == ids


@pytest.mark.parametrize(
    ("view", "ids"),
    [
        ({"show": Show.ACTIVE}, ["new", "old", "waits"]),
        ({"show": Show.ENDED}, ["done", "lost"]),
        ({"show": Show.FAILED}, ["lost"]),
        ({"operation_type": "report"}, ["old", "waits"]),
        ({"operation_type": "shop.*"}, ["new", "old", "waits"]),
        ({"operation_type": "*report"}, ["old", "waits"]),
        ({"tag": "night"}, ["old"]),
        ({"text": "SENDING w1"}, ["new"]),
        ({"text": "nightly report"}, ["old"]),
        ({"text": "sign"}, ["lost"]),
        ({"text": "sending w2"}, []),
    ],
)
def test_filters(view, ids):
    assert shown(**view) == ids


def test_steps_are_folded_into_their_workflow():
    operations = [
        operation("workflow:w", at=1.0),
        operation("step", at=2.0, workflow_ids=["w"]),
        operation("of another", at=3.0, workflow_ids=["gone"]),
    ]

    def rows(**view):
        return [(one["operation_id"], step) for one, step in MonitorView(**view).rows(operations)]

    assert rows() == [("of another", False), ("workflow:w", False)]
    assert rows(folded=False) == [
        ("of another", False),
        ("workflow:w", False),
        ("step", True),
    ]


def test_the_choice_after_the_last_is_the_first():
    assert next_of(Show.ALL) is Show.ACTIVE
    assert next_of(Show.FAILED) is Show.ALL
