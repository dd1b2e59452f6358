from __future__ import annotations

import pytest

from celery_wsprogress.cli import event_lines

pytestmark = pytest.mark.usefixtures("in_utc")

UUID = "550e8400-e29b-41d4-a716-446655440000"


def event(kind, **data):
    return {"event_type": kind, "operation_id": "op-1", "timestamp": 45_005.7, "data": data}


@pytest.mark.parametrize(
    ("happened", "line"),
    [
        (
            event("status", status="queued", message="", details={}, operation_type="t.build"),
            "12:30:05  queued     t.build",
        ),
        (
            event(
                "status", status="started", message="", operation_type="t", attempt=2, worker="w@h"
            ),
            "12:30:05  started    t (on w@h, attempt 2)",
        ),
        (
            event("status", status="retrying", message="ValueError", retry_in=0.5, attempt=1),
            "12:30:05  retrying   ValueError (again in 0.5 s)",
        ),
        (
            event(
                "status",
                status="retrying",
                message="no",
                retry_in=90,
                starts_at=45_095.7,
                attempt=1,
                max_attempts=4,
            ),
            "12:30:05  retrying   no (attempt 1 of 4, again in 1 min 30 s)",
        ),
        (
            event("status", status="scheduled", message="", operation_type="t", starts_at=45_245.7),
            "12:30:05  scheduled  t (starts in 4 min 0 s, at 12:34:05)",
        ),
        (
            event(
                "status", status="scheduled", message="", starts_at=131_405.7, expires_at=131_465.7
            ),
            (
                "12:30:05  scheduled  (starts in 24 h 0 min, at 1970-01-02 12:30:05, "
                "expires at 1970-01-02 12:31:05)"
            ),
        ),
        (
            event("status", status="uploading", message="to the archive", details={}),
            "12:30:05  status     uploading: to the archive",
        ),
        (event("status", status="idle", message=""), "12:30:05  status     idle"),
        (event("progress", progress=0.29, message="rows"), "12:30:05   29%       rows"),
        (event("progress", progress=0.999, message=""), "12:30:05   99%"),
        (
            event(
                "progress",
                progress=0.25,
                message="rows",
                current=1_000,
                total=4_000,
                unit="rows",
                rate=123.456,
                eta=24.3,
            ),
            "12:30:05   25%       rows (1,000 of 4,000 rows, 123 rows/s, 24 s left)",
        ),
        (
            event("progress", progress=0.2, message="", current=7, indeterminate=True),
            "12:30:05  ...%       (7)",
        ),
        (event("log", level="warning", message="careful"), "12:30:05  warning    careful"),
        (
            event("chunk", stream="answer", index=0, chunk="two\nlines"),
            "12:30:05  answer     two\\nlines",
        ),
        (event("chunk", stream="rows", index=1, chunk=[1]), "12:30:05  rows       [1]"),
        (
            event("chunk", stream="rows", index=2, chunk=None, closed=True),
            "12:30:05  rows       (closed)",
        ),
        (event("result", result={"a": "ö"}), '12:30:05  result     {"a": "ö"}'),
        (event("result", result=None), "12:30:05  result     null"),
        (event("completed", status="completed", duration=61), "12:30:05  completed  in 1 min 1 s"),
        (event("error", error="no", error_type="KeyError"), "12:30:05  error      KeyError: no"),
        (
            event("error", error="off", error_type="Revoked", status="cancelled"),
            "12:30:05  cancelled  Revoked: off",
        ),
        (
            event("snapshot")
            | {"operation": {"status": "running", "progress": 0.5, "message": "m"}, "missed": 1234},
            "12:30:05  missed     1,234 events that are not held any more; now running (50%, m)",
        ),
        (
            event("snapshot") | {"operation": {"status": "completed", "progress": 1}},
            "12:30:05  missed     some events that are not held any more; now completed (100%)",
        ),
        (event("later", new=1), '12:30:05  later      {"new": 1}'),
    ],
)
def test_an_event_is_a_line(happened, line):
    assert event_lines.event_line(happened) == line


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ({"status": "scheduled", "starts_at": 45_245.7}, "scheduled  starts in 3 min 59 s"),
        ({"status": "retrying", "starts_at": 45_008.2}, "retrying   starts again in 2.0 s"),
        ({"status": "scheduled", "starts_at": 45_006.9}, ""),
        ({"status": "scheduled", "starts_at": 1e300}, ""),
        ({"status": "scheduled", "starts_at": "soon"}, ""),
        ({"status": "queued"}, ""),
    ],
)
def test_what_waits_is_counted_down(data, line):
    found = event_lines.countdown_line(event("status", **data), 45_007.0)
    assert found == (f"12:30:07  {line}" if line else "")


def test_the_operation_is_named_where_there_are_several():
    line = event_lines.event_line(event("log", level="info", message="x"), "550e8400")
    assert line == "12:30:05  550e8400  info       x"


@pytest.mark.parametrize("field", ["message", "level"])
def test_what_a_task_says_is_shown_and_never_obeyed(field):
    bad = "a\x1b[2J\r\nb\x9b\u202e"
    line = event_lines.event_line(event("log", **{"level": "info", "message": "x", field: bad}))
    assert line.isprintable()
    assert r"a\x1b[2J\r\nb\x9b\u202e" in line


def test_a_long_result_is_cut():
    line = event_lines.event_line(event("result", result="x" * 1_000_000))
    assert len(line) < event_lines.MAX_RESULT + 50
    assert line.endswith("…")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (2.14, "2.1 s"), (59.4, "59 s"), (60, "1 min 0 s"), (7_384, "2 h 3 min")],
)
def test_a_duration(seconds, text):
    assert event_lines.duration(seconds) == text


def test_short_names():
    assert event_lines.short_names([UUID, "nightly", "x" * 30]) == {
        UUID: "550e8400",
        "nightly": "nightly",
        "x" * 30: "x" * 23 + "…",
    }


def test_two_operations_are_never_called_the_same():
    other = UUID[:-1] + "1"
    assert event_lines.short_names([UUID, other]) == {UUID: UUID, other: other}


@pytest.mark.parametrize(
    ("text", "fits"), [("abcdef", "abcd"), ("日本語", "日本"), ("a日本", "a日")]
)
def test_a_line_fits_the_terminal(text, fits):
    assert event_lines.truncate_to_width(text, 4) == fits


def test_a_table():
    assert event_lines.table([("a", 1), ("long", 1_000)]) == ["a         1", "long  1,000"]
    assert event_lines.table([("a", 1), ("b", "x\n"), ("c", {"d": 1.5})]) == [
        *("a  1", r"b  x\n", 'c  {"d": 1.5}')
    ]
    assert event_lines.table([]) == []


def test_a_workflow_tells_how_many_steps_are_over():
    details = {"total": 7, "completed": 2, "failed": 1, "running": 1, "step": "shop.a\n"}
    moved = event("progress", progress=0.5, message="rows", details=details)
    of_workflow = {**moved, "operation_id": "workflow:c"}
    line = event_lines.event_line(of_workflow)
    assert line == "12:30:05   50%       rows (3 of 7 steps, shop.a\\n)"
    assert event_lines.event_line(moved) == "12:30:05   50%       rows"
