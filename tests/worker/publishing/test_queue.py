from __future__ import annotations

import json
from functools import partial

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from celery_wsprogress.worker.publishing import encoded_events
from celery_wsprogress.worker.publishing.queue import EventQueue
from celery_wsprogress.worker.publishing.queue_entries import LazyEvent, Priority
from celery_wsprogress.worker.run_info import RunInfo
from celery_wsprogress.worker.tracker import Tracker

ROOM = 30_000
RUN = RunInfo("op-1", "tasks.demo", "r1")


def line(n, run=RUN, length=0):
    return encoded_events.log(run, 0.0, "info", f"{n}".ljust(length), {})


def make(limit=1_000_000):
    return EventQueue(limit, event_interval=0.01, progress_interval=0.1)


def make_tracker(queue, run=RUN):
    class Sink:
        schedule = queue.schedule

    return Tracker(run, Sink())


def told(taken):
    """What the events say: messages of logs, fractions of progress, types of the others."""
    found = []
    for event in map(json.loads, taken.events):
        data = event["data"]
        found.append(data.get("progress", data.get("message", event["event_type"])))
    return found


def test_nothing_is_due_while_there_is_nothing():
    queue = make()
    assert not queue
    assert queue.next_due() is None
    assert queue.next_batch(0.0, ROOM).events == []


def test_the_first_event_after_a_pause_is_due_at_once():
    queue = make()
    queue.put([line(1)])
    assert queue.next_due() <= 0.0
    assert told(queue.next_batch(5.0, ROOM)) == ["1"]
    queue.put([line(2)])
    assert queue.next_due() == 5.01


def lives(count):
    return [encoded_events.started(RUN, 0.0) for _ in range(count)]


def test_the_life_of_many_short_runs_leaves_in_fewer_batches():
    queue = make()
    seen = []
    for count in (1, 2, 4, 20):
        queue.put(lives(count))
        queue.next_batch(5.0, ROOM)
        queue.put(lives(1))
        seen.append(round(queue.next_due() - 5.0, 6))
        queue.next_batch(6.0, ROOM)
    assert seen == [0.01, 0.01, 0.02, 0.05]


@pytest.mark.parametrize(
    "said", [line(1), encoded_events.status(RUN, 0.0, "w", "", {})], ids=["log", "word"]
)
def test_what_a_task_says_does_not_wait_for_that(said):
    queue = make()
    queue.put(lives(80))
    queue.next_batch(5.0, ROOM)
    queue.put([*lives(1), said, *lives(1)])
    assert queue.next_due() == 5.01
    queue.next_batch(5.01, ROOM)
    make_tracker(queue).update_progress(0.5)
    assert queue.next_due() == 5.02


def test_what_found_no_room_does_not_wait():
    queue = make()
    queue.put([line(n, length=900) for n in range(20)])
    assert len(queue.next_batch(5.0, 10_000).events) < 20
    assert queue.next_due() == 5.0
    queue.put([line(20)])
    assert queue.next_due() == 5.0


def test_progress_is_paced_per_tracker_and_the_last_value_follows():
    queue = make()
    one, two = make_tracker(queue), make_tracker(queue)
    one.update_progress(0.1)
    assert told(queue.next_batch(5.0, ROOM)) == [0.1]
    one.update_progress(0.2)
    one.update_progress(0.3)
    assert queue.next_due() == 5.1
    two.update_progress(0.9)
    assert queue.next_due() == 5.01
    assert told(queue.next_batch(5.01, ROOM)) == [0.9]
    assert queue.next_due() == 5.1
    assert told(queue.next_batch(5.1, ROOM)) == [0.3]
    assert not queue


def test_a_hurry_leaves_out_the_pacing():
    queue = make()
    tracker = make_tracker(queue)
    tracker.update_progress(0.1)
    queue.next_batch(5.0, ROOM)
    tracker.update_progress(0.2)
    assert queue.next_due(immediate=True) < 5.0
    assert told(queue.next_batch(5.0, ROOM, immediate=True)) == [0.2]


def test_reports_keep_their_order_and_leave_before_values():
    queue = make()
    tracker = make_tracker(queue)
    tracker.update_progress(0.1)
    queue.put([line(n) for n in range(5)])
    assert told(queue.next_batch(0.0, ROOM)) == ["0", "1", "2", "3", "4", 0.1]


def test_a_sealed_value_leaves_before_what_was_said_after_it():
    queue = make()
    tracker = make_tracker(queue)
    tracker.update_progress(0.1)
    queue.next_batch(0.0, ROOM)
    tracker.update_progress(0.5)
    queue.flush_progress(tracker.slot, 0.001)
    queue.put([line("status")])
    tracker.update_progress(0.6)
    assert told(queue.next_batch(0.01, ROOM)) == [0.5, "status"]
    assert told(queue.next_batch(0.101, ROOM)) == [0.6]


def test_a_tracker_without_a_new_value_seals_nothing():
    queue = make()
    queue.flush_progress(make_tracker(queue).slot, 0.0)
    assert not queue


def test_only_progress_need_not_be_confirmed():
    queue = make()
    tracker = make_tracker(queue)
    tracker.update_progress(0.1)
    assert queue.next_batch(0.0, ROOM).confirm is False
    tracker.update_progress(0.2)
    queue.put([line(1)])
    assert queue.next_batch(1.0, ROOM).confirm is True


def test_batches_are_filled_up_to_their_room():
    queue = make()
    queue.put([line(n, length=900) for n in range(100)])
    tracker = make_tracker(queue)
    tracker.update_progress(0.5)
    seen = []
    while queue:
        taken = queue.next_batch(0.0, 10_000, immediate=True)
        assert 0 < sum(len(event) + 1 for event in taken.events) <= 10_000
        seen += told(taken)
    assert [str(one).strip() for one in seen] == [*map(str, range(100)), "0.5"]


def lazy(text, run=RUN):
    return LazyEvent(lambda: line(text, run))


@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from([lazy, line]), st.integers(1, 20)),
            st.tuples(st.none(), st.integers(200, 3_000)),
        )
    )
)
def test_lazy_events_keep_their_place(steps):
    queue, count, seen = make(), 0, []
    for make_event, size in steps:
        if make_event is None:
            seen += told(queue.next_batch(0.0, size))
            continue
        for _ in range(size):
            count += 1
            queue.put([make_event(count)])
    while queue:
        seen += told(queue.next_batch(0.0, ROOM))
    assert seen == [str(n + 1) for n in range(count)]
    assert queue.size == 0


def test_batches_of_lazy_events_are_filled_up_to_their_room():
    queue = make()
    queue.put([LazyEvent(lambda: line(1, length=900)) for _ in range(20)])
    assert queue.next_due() <= 0.0
    sizes = []
    while queue:
        batch = queue.next_batch(5.0, 3_500)
        assert batch.confirm
        assert sum(len(event) + 1 for event in batch.events) <= 3_500
        sizes.append(len(batch.events))
        # What found no room does not wait.
        assert not queue or queue.next_due() == 5.0
    assert sizes == [3] * 6 + [2]


@pytest.mark.parametrize("run", [RUN, RunInfo("x" * 1_001, "tasks.demo", "r1")], ids=["", "id"])
def test_a_lazy_event_that_cannot_be_encoded_holds_up_nothing(caplog, run):
    queue = make()
    queue.put([lazy("x", run) if run is not RUN else LazyEvent(lambda: 1 / 0), lazy("after")])
    assert told(queue.next_batch(0.0, ROOM)) == ["after"]
    assert len(caplog.records) == 1


def growing(text, drop=None):
    """A chunk that waits for more."""
    return LazyEvent(lambda: line(text), Priority.LOG, 1_000, RUN, drop=drop, waits=True)


def test_chunks_wait_for_more_unless_other_events_are_sent():
    queue = make()
    queue.put([growing(1)])
    assert queue.next_due() <= 0.0
    queue.next_batch(5.0, ROOM)
    queue.put([growing(2)])
    assert queue.next_due() == 5.02
    queue.put([line(3)])
    assert queue.next_due() == 5.01
    assert told(queue.next_batch(6.0, ROOM)) == ["2", "3"]


def test_a_chunk_that_is_dropped_is_told_and_counted():
    queue, dropped = make(limit=3_500), []
    queue.put([growing(n, lambda n=n: dropped.append(n)) for n in range(5)])
    assert dropped == [0, 1]
    warning, *rest = told(queue.next_batch(0.0, ROOM))
    assert warning.startswith("2 of this task's log lines, chunks")
    assert rest == ["2", "3", "4"]


def test_a_chunk_is_encoded_once_though_it_finds_no_room():
    queue, encoded = make(), []

    def encode(n):
        encoded.append(n)
        return line(n, length=100)

    queue.put(
        [LazyEvent(partial(encode, n), Priority.LOG, 1_000, RUN, waits=True) for n in range(3)]
    )
    assert told(queue.next_batch(0.0, 200))[0].startswith("0")
    assert encoded == [0, 1]
    assert queue.size < 1_500
    while queue:
        queue.next_batch(0.0, 200)
    assert encoded == [0, 1, 2]
    assert queue.size == 0


def test_an_event_that_finds_no_room_keeps_its_priority():
    queue = make()
    queue.put([LazyEvent(partial(line, n, length=100)) for n in range(3)])
    while queue:
        queue.next_batch(0.0, 200)
    assert queue.size == 0


def test_a_forked_child_lets_go_of_chunks():
    queue, dropped = make(), []
    queue.put([growing(0, lambda: dropped.append(0)), growing(1), line(2)])
    queue.detach()
    assert dropped == [0]


def test_a_time_limit_while_an_event_is_encoded_is_the_tasks_and_costs_no_event():
    queue = make()
    limits = [SoftTimeLimitExceeded()]

    def encode():
        if limits:
            raise limits.pop()
        return line("lazy")

    queue.put([LazyEvent(encode), line("said")])
    with pytest.raises(SoftTimeLimitExceeded):
        queue.next_batch(0.0, ROOM)
    assert told(queue.next_batch(0.0, ROOM)) == ["lazy", "said"]


def test_when_full_the_oldest_lines_go_and_one_warning_says_how_many():
    queue = make(limit=10_000)
    other = RunInfo("op-2", "tasks.other", "r2")
    queue.put([encoded_events.started(RUN, 0.0), line("lost", other)])
    queue.put([line(n, length=400) for n in range(100)])
    queue.put([encoded_events.completed(RUN, 0.0)])
    assert queue.size <= 10_000
    taken = told(queue.next_batch(0.0, ROOM))
    warnings, rest = taken[:2], taken[2:]
    kept = [int(one) for one in rest if one not in ("", "completed")]
    assert kept == list(range(100 - len(kept), 100))
    assert rest[0] == ""
    assert rest[-1] == "completed"
    assert warnings[0].startswith("1 of this task's log lines")
    assert warnings[1].startswith(f"{100 - len(kept)} of this task's log lines")


def test_the_warning_belongs_to_the_run_that_lost_lines():
    queue = make(limit=1_000)
    queue.put([line(n, length=900) for n in range(3)])
    [warning, *_] = map(json.loads, queue.next_batch(0.0, ROOM).events)
    assert (warning["operation_id"], warning["run"]) == ("op-1", "r1")
    assert warning["data"]["level"] == "warning"


def test_results_and_ends_are_kept_beyond_the_limit_but_not_for_ever():
    queue = make(limit=10_000)
    for _ in range(30):
        queue.put([encoded_events.result(RUN, 0.0, "x" * 400), encoded_events.completed(RUN, 0.0)])
    kinds = told(queue.next_batch(0.0, 1_000_000))
    assert kinds.count("completed") == 30
    assert 0 < kinds.count("result") < 30
    for _ in range(1_000):
        queue.put([encoded_events.completed(RUN, 0.0)])
    assert queue.size <= 40_000


def test_a_task_id_that_no_reader_takes_holds_up_nothing(caplog):
    queue = make()
    huge = RunInfo("x" * 1_001, "tasks.demo", "r1")
    queue.put([encoded_events.completed(huge, 0.0), encoded_events.completed(RUN, 0.0)])
    assert told(queue.next_batch(0.0, ROOM)) == ["completed"]
    assert "No reader accepts a task id that is so long: xxx" in caplog.text


@given(st.lists(st.sampled_from(Priority)), st.integers(1_000, 5_000))
def test_the_size_is_never_lost_count_of(kinds, limit):
    queue = make(limit=limit)
    for kind in kinds:
        queue.put([structs.replace(line(1, length=200), priority=kind)])
        assert queue.size <= 4 * limit
    while queue:
        queue.next_batch(0.0, ROOM)
    assert queue.size == 0


def test_how_far_a_run_was_at_its_end_outlasts_a_full_buffer():
    """No later value follows that one."""
    queue = make(limit=10_000)
    tracker = make_tracker(queue)
    queue.put([line(n, length=200) for n in range(100)])
    tracker.update_progress(0.5)
    queue.flush_progress(tracker.slot, 0.0)
    tracker.update_progress(0.75)
    tracker.mark_ended()
    queue.flush_progress(tracker.slot, 1.0)
    queue.put([encoded_events.completed(RUN, 1.0)])
    said = []
    while queue:
        said += told(queue.next_batch(2.0, ROOM))
    assert said[-2:] == [0.75, "completed"]
    assert 0.5 not in said
