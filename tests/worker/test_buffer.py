from __future__ import annotations

import json

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from celery_wsprogress.worker import reports
from celery_wsprogress.worker.buffer import Buffer
from celery_wsprogress.worker.reports import Draft, Kind
from celery_wsprogress.worker.runs import Run
from celery_wsprogress.worker.tracker import Tracker

ROOM = 30_000
RUN = Run("op-1", "tasks.demo", "r1")


def line(n, run=RUN, length=0):
    return reports.log(run, 0.0, "info", f"{n}".ljust(length), {})


def make(limit=1_000_000):
    return Buffer(limit, event_interval=0.01, progress_interval=0.1)


def make_tracker(buffer, run=RUN):
    class Outlet:
        offer = buffer.offer

    return Tracker(run, Outlet())


def told(taken):
    """What the events say: messages of logs, fractions of progress, types of the others."""
    found = []
    for event in map(json.loads, taken.events):
        data = event["data"]
        found.append(data.get("progress", data.get("message", event["event_type"])))
    return found


def test_nothing_is_due_while_there_is_nothing():
    buffer = make()
    assert not buffer
    assert buffer.due() is None
    assert buffer.take(0.0, ROOM).events == []


def test_the_first_event_after_a_pause_is_due_at_once():
    buffer = make()
    buffer.put([line(1)])
    assert buffer.due() <= 0.0
    assert told(buffer.take(5.0, ROOM)) == ["1"]
    buffer.put([line(2)])
    assert buffer.due() == 5.01


def lives(count):
    return [reports.started(RUN, 0.0) for _ in range(count)]


def test_the_life_of_many_short_runs_leaves_in_fewer_batches():
    buffer = make()
    seen = []
    for count in (1, 2, 4, 20):
        buffer.put(lives(count))
        buffer.take(5.0, ROOM)
        buffer.put(lives(1))
        seen.append(round(buffer.due() - 5.0, 6))
        buffer.take(6.0, ROOM)
    assert seen == [0.01, 0.01, 0.02, 0.05]


@pytest.mark.parametrize(
    "said", [line(1), reports.word(RUN, 0.0, "w", "", {})], ids=["log", "word"]
)
def test_what_a_task_says_does_not_wait_for_that(said):
    buffer = make()
    buffer.put(lives(80))
    buffer.take(5.0, ROOM)
    buffer.put([*lives(1), said, *lives(1)])
    assert buffer.due() == 5.01
    buffer.take(5.01, ROOM)
    make_tracker(buffer).update_progress(0.5)
    assert buffer.due() == 5.02


def test_what_found_no_room_does_not_wait():
    buffer = make()
    buffer.put([line(n, length=900) for n in range(20)])
    assert len(buffer.take(5.0, 10_000).events) < 20
    assert buffer.due() == 5.0
    buffer.put([line(20)])
    assert buffer.due() == 5.0


def test_progress_is_paced_per_tracker_and_the_last_value_follows():
    buffer = make()
    one, two = make_tracker(buffer), make_tracker(buffer)
    one.update_progress(0.1)
    assert told(buffer.take(5.0, ROOM)) == [0.1]
    one.update_progress(0.2)
    one.update_progress(0.3)
    assert buffer.due() == 5.1
    two.update_progress(0.9)
    assert buffer.due() == 5.01
    assert told(buffer.take(5.01, ROOM)) == [0.9]
    assert buffer.due() == 5.1
    assert told(buffer.take(5.1, ROOM)) == [0.3]
    assert not buffer


def test_a_hurry_leaves_out_the_pacing():
    buffer = make()
    tracker = make_tracker(buffer)
    tracker.update_progress(0.1)
    buffer.take(5.0, ROOM)
    tracker.update_progress(0.2)
    assert buffer.due(hurry=True) < 5.0
    assert told(buffer.take(5.0, ROOM, hurry=True)) == [0.2]


def test_reports_keep_their_order_and_leave_before_values():
    buffer = make()
    tracker = make_tracker(buffer)
    tracker.update_progress(0.1)
    buffer.put([line(n) for n in range(5)])
    assert told(buffer.take(0.0, ROOM)) == ["0", "1", "2", "3", "4", 0.1]


def test_a_sealed_value_leaves_before_what_was_said_after_it():
    buffer = make()
    tracker = make_tracker(buffer)
    tracker.update_progress(0.1)
    buffer.take(0.0, ROOM)
    tracker.update_progress(0.5)
    buffer.seal(tracker, 0.001)
    buffer.put([line("status")])
    tracker.update_progress(0.6)
    assert told(buffer.take(0.01, ROOM)) == [0.5, "status"]
    assert told(buffer.take(0.101, ROOM)) == [0.6]


def test_a_tracker_without_a_new_value_seals_nothing():
    buffer = make()
    buffer.seal(make_tracker(buffer), 0.0)
    assert not buffer


def test_only_progress_need_not_be_confirmed():
    buffer = make()
    tracker = make_tracker(buffer)
    tracker.update_progress(0.1)
    assert buffer.take(0.0, ROOM).confirm is False
    tracker.update_progress(0.2)
    buffer.put([line(1)])
    assert buffer.take(1.0, ROOM).confirm is True


def test_batches_are_filled_up_to_their_room():
    buffer = make()
    buffer.put([line(n, length=900) for n in range(100)])
    tracker = make_tracker(buffer)
    tracker.update_progress(0.5)
    seen = []
    while buffer:
        taken = buffer.take(0.0, 10_000, hurry=True)
        assert 0 < sum(len(event) + 1 for event in taken.events) <= 10_000
        seen += told(taken)
    assert [str(one).strip() for one in seen] == [*map(str, range(100)), "0.5"]


def draft(text, run=RUN):
    return Draft(lambda: line(text, run))


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("leave"), st.integers(1, 70)),
            st.tuples(st.just("put"), st.integers(1, 3)),
            st.tuples(st.just("take"), st.integers(200, 3_000)),
        )
    )
)
def test_what_is_left_keeps_its_place_among_what_is_put(steps):
    """Beside a buffer in which everything is put."""
    leaving, putting = make(), make()
    count, seen, expected = 0, [], []
    for step, size in steps:
        if step == "take":
            seen += told(leaving.take(0.0, size))
            expected += told(putting.take(0.0, size))
            # Whoever waits in one waits in the other.
            assert bool(leaving) == bool(putting)
            continue
        for _ in range(size):
            count += 1
            putting.put([line(count)])
            if step == "put" or not leaving.leave([draft(count)]):
                leaving.put([draft(count)])
    while putting:
        expected += told(putting.take(0.0, ROOM))
    while leaving:
        seen += told(leaving.take(0.0, ROOM))
    assert seen == expected == [str(n + 1) for n in range(count)]


def test_batches_of_what_was_left_are_filled_up_to_their_room():
    buffer = make()
    assert buffer.leave([Draft(lambda: line(1, length=900)) for _ in range(20)])
    assert buffer.due() <= 0.0
    sizes = []
    while buffer:
        taken = buffer.take(5.0, 3_500)
        assert taken.confirm
        assert sum(len(event) + 1 for event in taken.events) <= 3_500
        sizes.append(len(taken.events))
        # What found no room does not wait.
        assert not buffer or buffer.due() == 5.0
    assert sizes == [3] * 6 + [2]


def test_only_drafts_are_left_and_only_so_many():
    buffer = make()
    assert not buffer.leave([draft("x"), line("y")])
    assert not buffer
    while buffer.leave([draft("x")]):
        assert len(buffer._left) < 100
    assert buffer.size == 0


@pytest.mark.parametrize("run", [RUN, Run("x" * 1_001, "tasks.demo", "r1")], ids=["", "id"])
def test_a_draft_that_cannot_be_said_holds_up_nothing(caplog, run):
    buffer = make()
    bad = draft("x", run) if run is not RUN else Draft(lambda: 1 / 0)
    for say in (buffer.leave, buffer.put):
        say([bad, draft("after")])
        assert told(buffer.take(0.0, ROOM)) == ["after"]
    assert len(caplog.records) == 2


def test_a_time_limit_while_a_draft_is_made_is_the_tasks_and_costs_no_event():
    buffer = make()
    limits = [SoftTimeLimitExceeded()]

    def made():
        if limits:
            raise limits.pop()
        return line("left")

    buffer.leave([Draft(made)])
    with pytest.raises(SoftTimeLimitExceeded):
        buffer.put([line("said")])
    buffer.put([line("said in its wake")])
    assert told(buffer.take(0.0, ROOM)) == ["left", "said in its wake"]


def test_when_full_the_oldest_lines_go_and_one_warning_says_how_many():
    buffer = make(limit=10_000)
    other = Run("op-2", "tasks.other", "r2")
    buffer.put([reports.started(RUN, 0.0), line("lost", other)])
    buffer.put([line(n, length=400) for n in range(100)])
    buffer.put([reports.completed(RUN, 0.0)])
    assert buffer.size <= 10_000
    taken = told(buffer.take(0.0, ROOM))
    warnings, rest = taken[:2], taken[2:]
    kept = [int(one) for one in rest if one not in ("", "completed")]
    assert kept == list(range(100 - len(kept), 100))
    assert rest[0] == ""
    assert rest[-1] == "completed"
    assert warnings[0].startswith("1 of this task's log lines")
    assert warnings[1].startswith(f"{100 - len(kept)} of this task's log lines")


def test_the_warning_belongs_to_the_run_that_lost_lines():
    buffer = make(limit=1_000)
    buffer.put([line(n, length=900) for n in range(3)])
    [warning, *_] = map(json.loads, buffer.take(0.0, ROOM).events)
    assert (warning["operation_id"], warning["run"]) == ("op-1", "r1")
    assert warning["data"]["level"] == "warning"


def test_results_and_ends_are_kept_beyond_the_limit_but_not_for_ever():
    buffer = make(limit=10_000)
    for _ in range(30):
        buffer.put([reports.result(RUN, 0.0, "x" * 400), reports.completed(RUN, 0.0)])
    kinds = told(buffer.take(0.0, 1_000_000))
    assert kinds.count("completed") == 30
    assert 0 < kinds.count("result") < 30
    for _ in range(1_000):
        buffer.put([reports.completed(RUN, 0.0)])
    assert buffer.size <= 40_000


def test_a_task_id_that_no_reader_takes_holds_up_nothing(caplog):
    buffer = make()
    huge = Run("x" * 1_001, "tasks.demo", "r1")
    buffer.put([reports.completed(huge, 0.0), reports.completed(RUN, 0.0)])
    assert told(buffer.take(0.0, ROOM)) == ["completed"]
    assert "No reader takes so long a task id: xxx" in caplog.text


@given(st.lists(st.sampled_from(Kind)), st.integers(1_000, 5_000))
def test_the_size_is_never_lost_count_of(kinds, limit):
    buffer = make(limit=limit)
    for kind in kinds:
        buffer.put([structs.replace(line(1, length=200), kind=kind)])
        assert buffer.size <= 4 * limit
    while buffer:
        buffer.take(0.0, ROOM)
    assert buffer.size == 0


def test_how_far_a_run_was_at_its_end_outlasts_a_full_buffer():
    """No later value follows that one."""
    buffer = make(limit=10_000)
    tracker = make_tracker(buffer)
    buffer.put([line(n, length=200) for n in range(100)])
    tracker.update_progress(0.5)
    buffer.seal(tracker, 0.0)
    tracker.update_progress(0.75)
    tracker.ended = True
    buffer.seal(tracker, 1.0)
    buffer.put([reports.completed(RUN, 1.0)])
    said = []
    while buffer:
        said += told(buffer.take(2.0, ROOM))
    assert said[-2:] == [0.75, "completed"]
    assert 0.5 not in said
