"""The laws of an operation's life."""

from __future__ import annotations

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lives import (
    OPERATION,
    child_lives,
    completed,
    error,
    interleavings,
    log,
    logs,
    progress,
    queued,
    result,
    status,
)

from celery_wsprogress.events import Completed, Error, Log, Progress, Status
from celery_wsprogress.lifecycle import TRANSITIONS, Operation, State, Step, Verdict


def fold(events):
    """Fold a log; return the operation and the delivered events."""
    operation = Operation(OPERATION, heard_at=events[0].timestamp)
    delivered = []
    for event in events:
        verdict, told = operation.fold(event)
        if verdict is Verdict.DELIVER:
            delivered.append(told)
    return operation, delivered


def words(events):
    """What the events say, in a word each."""
    return [e.data.status if isinstance(e, Status) else type(e).__name__.lower() for e in events]


def is_end(event):
    return isinstance(event, (Completed, Error))


def test_the_table_knows_every_step_in_every_state():
    for state, step in product([None, *State], Step):
        assert TRANSITIONS[state][step] in {*State, Verdict.BEHIND, Verdict.OVER}


def test_a_life_in_order():
    operation, delivered = fold(
        [
            queued(at=1.0, operation_type="t", metadata={"a": 1}),
            status("received", at=2.0, worker="w"),
            status("started", at=3.0, attempt=1, metadata={}),
            progress(0.5, at=4.0, message="half"),
            result(42, at=5.0),
            completed(at=5.0, duration=2.0),
        ]
    )
    assert words(delivered) == [
        "queued", "received", "started", "progress", "result", "completed",
    ]  # fmt: skip
    snapshot = operation.snapshot()
    assert snapshot["state"] == snapshot["status"] == "completed"
    assert (snapshot["queued_at"], snapshot["received_at"], snapshot["started_at"]) == (1, 2, 3)
    assert (snapshot["duration"], snapshot["finished_at"], snapshot["worker"]) == (2.0, 5.0, "w")
    assert (snapshot["operation_type"], snapshot["metadata"]) == ("t", {"a": 1})
    assert snapshot["message"] == "half"


@given(logs())
def test_each_run_ends_once_and_says_nothing_after_its_end(events):
    _, delivered = fold(events)
    over = set()
    for event in delivered:
        if isinstance(event, Status) and event.data.status in {"queued", "received"}:
            continue  # these are of a publication, and may be told late
        assert event.run not in over
        if is_end(event):
            over.add(event.run)


@given(logs())
def test_an_operation_ends_again_only_after_it_started_again(events):
    _, delivered = fold(events)
    ended = False
    for event in delivered:
        if isinstance(event, Status) and event.data.status == "started":
            ended = False
        assert not (ended and is_end(event))
        ended = ended or is_end(event)


@given(logs())
def test_delivery_is_in_log_order_and_without_repeats(events):
    _, delivered = fold(events)
    places = [next(i for i, e in enumerate(events) if _same(e, event)) for event in delivered]
    assert places == sorted(set(places))


def _same(event, delivered):
    if is_end(delivered):
        return (
            is_end(event) and event.run == delivered.run and event.timestamp == delivered.timestamp
        )
    return event is delivered


@given(logs())
def test_no_log_line_is_lost_while_its_run_goes_on(events):
    _, delivered = fold(events)
    over, started, ended = set(), set(), False
    for event in events:
        if isinstance(event, Status) and event.data.status == "started":
            ended = ended and event.run in over
            started.add(event.run)
        if isinstance(event, Log) and event.run not in over and event.run in started and not ended:
            assert event in delivered
        if is_end(event) or (isinstance(event, Status) and event.data.status == "retrying"):
            over.add(event.run)
        ended = ended or (is_end(event) and event in delivered)


@given(st.data())
def test_the_order_of_writers_does_not_change_where_one_run_ends(data):
    child = data.draw(child_lives("r1", "p1"))
    writers = [[queued(at=1.0)], [status("received", at=2.0)], child]
    usual, _ = fold([event for writer in writers for event in writer])
    mixed, _ = fold(data.draw(interleavings(writers)))
    mixed.heard_at = usual.heard_at
    for field in ("event_count", "last_event_id"):
        setattr(mixed, field, getattr(usual, field))
    assert mixed.snapshot() == usual.snapshot()


@given(logs())
def test_a_snapshot_always_has_the_base_fields(events):
    operation = Operation(OPERATION, heard_at=events[0].timestamp)
    for event in events:
        operation.fold(event)
        snapshot = operation.snapshot()
        assert isinstance(snapshot["started_at"], float)
        assert math.isfinite(snapshot["progress"])
        assert isinstance(snapshot["metadata"], dict)
        assert isinstance(snapshot["status"], str)
        assert snapshot["status"]
        if operation.state.ended:
            assert snapshot["status"] in {"completed", "error"}


@given(logs())
def test_every_delivered_end_has_a_duration(events):
    _, delivered = fold(events)
    assert all(event.data.duration >= 0 for event in delivered if is_end(event))


@pytest.mark.parametrize("late", [queued(), status("received"), status("started", metadata={})])
def test_a_status_that_is_behind_completes_the_snapshot_and_is_not_delivered(late):
    operation, _ = fold([status("started", metadata={}, at=3.0), completed(at=4.0)])
    assert operation.fold(late)[0] is Verdict.BEHIND
    assert operation.state is State.COMPLETED


def test_a_late_caller_completes_metadata_but_undoes_nothing():
    operation, _ = fold(
        [
            status("started", metadata={"who": "task"}),
            queued(metadata={"who": "caller", "room": 7}, tags=["a"], at=1.0),
        ]
    )
    assert operation.metadata == {"who": "task", "room": 7}
    assert (operation.tags, operation.queued_at) == (["a"], 1.0)


def test_a_retry_is_received_before_the_first_attempt_says_so():
    operation, delivered = fold(
        [
            status("started", run="r1", metadata={}, attempt=1),
            status("received", run="r2", publication="p2"),
            progress(0.4, run="r1"),
            status("retrying", run="r1"),
        ]
    )
    assert words(delivered) == ["started", "received", "progress", "retrying"]
    assert operation.state is State.RETRYING
    operation.fold(status("started", run="r2", publication="p2", metadata={}, attempt=2))
    assert (operation.state, operation.progress, operation.attempt) == (State.RUNNING, 0.0, 2)


def test_overlapping_runs_end_once_by_the_one_that_started_last():
    operation, delivered = fold(
        [
            status("started", run="a", metadata={}),
            status("started", run="b", publication="p2", metadata={}),
            log("late", run="a"),
            progress(0.9, run="a"),
            completed(run="a"),
            completed(run="b"),
        ]
    )
    assert words(delivered) == ["started", "started", "log", "completed"]
    assert delivered[-1].run == "b"
    assert operation.progress == 1.0


def test_a_redelivered_success_that_is_only_received_does_not_reopen():
    operation, delivered = fold(
        [
            status("started", metadata={}),
            completed(),
            status("received", run="r2", publication="p1"),
            error("revoked", run="r2", status="cancelled"),
        ]
    )
    assert words(delivered) == ["started", "completed", "received"]
    assert operation.snapshot()["status"] == "completed"


def test_an_operation_that_runs_again_reopens_and_ends_again():
    operation, delivered = fold(
        [
            status("started", run="a", metadata={}, at=1.0),
            error(run="a", at=2.0),
            queued(publication="p2", at=3.0),
            status("started", run="b", publication="p2", metadata={}, at=4.0),
            completed(run="b", at=9.0),
        ]
    )
    assert words(delivered) == ["started", "error", "queued", "started", "completed"]
    assert (operation.error, operation.duration, operation.started_at) == (None, 5.0, 4.0)


def test_an_end_without_a_start_is_an_end():
    operation, delivered = fold([completed(at=5.0)])
    assert words(delivered) == ["completed"]
    assert operation.state is State.COMPLETED
    assert delivered[0].data.duration == 0.0


def test_a_cancelled_run_that_never_started():
    operation, delivered = fold(
        [queued(), status("received"), error("revoked", status="cancelled")]
    )
    assert words(delivered) == ["queued", "received", "error"]
    assert operation.snapshot()["state"] == "cancelled"
    assert operation.snapshot()["status"] == "error"


def test_a_word_of_the_tasks_own_is_only_a_label():
    operation, _ = fold([status("started", metadata={}), status("uploading", message="3 files")])
    snapshot = operation.snapshot()
    assert (snapshot["state"], snapshot["status"], snapshot["message"]) == (
        "running",
        "uploading",
        "3 files",
    )


def test_running_is_what_started_is_called_in_a_snapshot():
    operation, _ = fold([status("started", metadata={})])
    assert operation.snapshot()["status"] == "running"


def test_progress_is_taken_over_whole():
    operation, _ = fold(
        [progress(0.3, current=3, total=10, unit="rows", rate=1.5, eta=4.5, message="m")]
    )
    assert isinstance(operation, Operation)
    snapshot = operation.snapshot()
    assert {name: snapshot[name] for name in ("current", "total", "unit", "rate", "eta")} == {
        "current": 3, "total": 10, "unit": "rows", "rate": 1.5, "eta": 4.5,
    }  # fmt: skip
    assert isinstance(progress(0.1), Progress)
