from __future__ import annotations

import pytest

from celery_wsprogress.cli.operation_table import description_of, moment_of, operation_table

pytestmark = pytest.mark.usefixtures("in_utc")

UUID = "550e8400-e29b-41d4-a716-446655440000"


def operation(name="op-1", state="running", **more):
    return {"operation_id": name, "state": state, "progress": 0.5, "operation_type": "t", **more}


def test_its_columns():
    assert operation_table(
        [
            operation(started_at=1.0, message="half", current=1, total=2),
            operation("b", "queued", progress=0.0, queued_at=61.0),
            operation("c", indeterminate=True),
        ]
    ) == [
        "ID    STATE    DONE  AT        TYPE",
        "op-1  running   50%  00:00:01  t     1 of 2, half",
        "b     queued     0%  00:01:01  t",
        "c     running  ...%            t",
    ]


def test_short_ids():
    table = operation_table([operation(UUID), operation(f"workflow:{UUID}")], short_ids=True)
    assert [line.split()[0] for line in table[1:]] == ["550e8400", "workflow:550e8400"]


def test_marks_before_the_ids():
    table = operation_table([operation("a"), operation("b")], marks=["> ", "    "])
    assert [line.partition("running")[0] for line in table[1:]] == ["> a    ", "    b  "]


def test_a_line_is_cut_and_holds_nothing_that_moves_the_cursor():
    lines = operation_table([operation("\x1b[31m", message="\u6f22" * 100)], 60)
    assert all(line.isprintable() for line in lines)
    assert len(lines[1]) < 60


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"state": "error", "error": "no", "error_type": "ValueError"}, "ValueError: no"),
        ({"state": "cancelled", "error": "revoked"}, "revoked"),
        ({"state": "completed", "message": "all", "current": 2, "total": 2}, "all"),
        ({"message": ""}, ""),
    ],
)
def test_what_is_said_of_it(fields, text):
    assert description_of(operation(**fields)) == text


def test_the_latest_moment_counts():
    assert moment_of(operation(started_at=2.0, queued_at=1.0, finished_at=3.0)) == 3.0
    assert moment_of(operation(started_at=None, queued_at=1.0)) == 1.0
    assert moment_of(operation()) == 0.0
