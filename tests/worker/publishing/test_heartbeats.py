from __future__ import annotations

import json
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_wsprogress.brokers import MAX_BATCH_BYTES
from celery_wsprogress.protocol import batches
from celery_wsprogress.worker.publishing import encoded_events
from celery_wsprogress.worker.publishing.heartbeats import (
    REPEAT_STARTED_INTERVAL,
    ActiveRun,
    HeartbeatSchedule,
)
from celery_wsprogress.worker.run_info import RunInfo
from celery_wsprogress.worker.signals.active_runs import copy_of_changing_set

OVERHEAD = len(batches.join_batch("x" * 8, 1, ()))
ROOM = MAX_BATCH_BYTES - OVERHEAD


def active(name, since=0.0, metadata=None):
    run = RunInfo(name, "tasks.demo", "r1", metadata=metadata or {})
    return ActiveRun(name, "r1", since, lambda: encoded_events.started(run, since))


def make(*runs, interval=10.0):
    schedule = HeartbeatSchedule(interval)
    schedule.source = lambda: list(runs)
    return schedule


def alive(taken):
    return [name for sign in taken for name, _ in sign.alive]


def announced(taken):
    return [json.loads(event)["operation_id"] for sign in taken for event in sign.events]


def test_nothing_is_due_without_a_witness_or_before_something_was_said():
    schedule = HeartbeatSchedule(10.0)
    assert not schedule.idle
    schedule.source = lambda: [active("op-1")]
    assert schedule.idle
    assert not schedule.is_due(1e9)
    schedule.schedule(5.0)
    assert not schedule.idle
    assert not schedule.is_due(14.9)
    assert schedule.is_due(15.0)


def test_it_is_due_again_while_something_goes_on_or_may_begin():
    schedule = make(active("op-1"))
    assert alive(schedule.next(15.0, 1_000.0, ROOM)) == ["op-1"]
    assert schedule.due == 25.0
    schedule.source = list
    assert schedule.next(25.0, 1_010.0, ROOM) == []
    assert schedule.due == 35.0
    schedule.source = lambda: None
    assert schedule.next(35.0, 1_020.0, ROOM) == ()
    assert schedule.idle


def test_what_is_emitted_while_the_witness_is_asked_is_not_missed():
    schedule = HeartbeatSchedule(10.0)

    def source():
        schedule.schedule(15.0)

    schedule.source = source
    schedule.schedule(5.0)
    schedule.next(15.0, 1_000.0, ROOM)
    assert schedule.due == 25.0


def test_a_run_is_announced_with_the_first_sign_after_each_of_its_minutes():
    schedule = make(active("op-1", since=1_000.5), active("op-2", since=1_030.5))
    heard = []
    for second in range(1_000, 1_200, 10):
        taken = schedule.next(0.0, float(second), ROOM)
        schedule.mark_sent(float(second))
        heard += [(second, name) for name in announced(taken)]
    assert heard == [
        (1_070, "op-1"), (1_100, "op-2"), (1_130, "op-1"), (1_160, "op-2"), (1_190, "op-1"),
    ]  # fmt: skip


def test_it_is_announced_as_it_was_when_it_began():
    run = RunInfo("op-1", "tasks.demo", "r1", "p1", metadata={"a": 1}, tags=("t",), worker="w")
    how = {"stream_result": False, "acks_late": True}
    schedule = make(ActiveRun("op-1", "r1", 12.5, lambda: encoded_events.started(run, 12.5, **how)))
    [sign] = schedule.next(0.0, 75.0, ROOM)
    [event] = batches.decode_batch(batches.join_batch("w", 1, *sign)).events
    assert (event.timestamp, event.run, event.publication) == (12.5, "r1", "p1")
    assert (event.data.status, event.data.metadata, event.data.tags) == ("started", {"a": 1}, ["t"])
    assert event.data.stream_result is False
    assert (sign.alive, sign.at) == ([("op-1", "r1")], 75.0)


def test_what_was_announced_in_vain_is_announced_again():
    """The broker was away, and may be back without its data."""
    schedule = make(active("op-1", since=0.0))
    schedule.mark_sent(50.0)
    assert announced(schedule.next(0.0, 65.0, ROOM)) == ["op-1"]
    assert announced(schedule.next(0.0, 75.0, ROOM)) == ["op-1"]
    schedule.mark_sent(75.0)
    assert announced(schedule.next(0.0, 85.0, ROOM)) == []
    assert announced(schedule.next(0.0, 500.0, ROOM)) == ["op-1"]


def test_very_many_runs_are_announced_less_often():
    every = 2 * REPEAT_STARTED_INTERVAL
    schedule = make(*(active(f"op-{n}") for n in range(1_200)))
    schedule.mark_sent(0.0)
    assert announced(schedule.next(0.0, every - 1, ROOM)) == []
    assert len(announced(schedule.next(0.0, every, ROOM))) == 1_200


def test_a_run_that_cannot_be_announced_costs_the_others_nothing(caplog):
    def announce():
        raise ValueError("ours")

    schedule = make(ActiveRun("op-1", "r1", 0.0, announce), active("op-2"))
    taken = schedule.next(0.0, 65.0, ROOM)
    assert announced(taken) == ["op-2"]
    assert alive(taken) == ["op-1", "op-2"]
    assert "run r1 cannot be announced again" in caplog.text


@pytest.mark.parametrize("name", ["", "x" * 1_001, "\ud800"])
def test_a_name_that_no_reader_takes_is_left_out(name):
    schedule = make(ActiveRun(name, "r1", 60.0, None), active("op-2", since=60.0))
    taken = schedule.next(0.0, 65.0, ROOM)
    assert alive(taken) == ["op-2"]
    assert batches.decode_batch(batches.join_batch("w", 1, *taken[0])).alive == (("op-2", "r1"),)


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40) | st.builds(
    lambda letter, n: letter * n, st.sampled_from(["x", "\x00", "€"]), st.integers(500, 1_000)
)
runs = st.builds(
    active,
    names,
    st.floats(0, 1_000),
    st.dictionaries(st.just("k"), st.integers(0, 8_000).map(lambda n: "x" * n)),
)


@given(st.lists(runs, max_size=60), st.integers(1, 10**12))
def test_no_batch_is_too_large_and_every_run_is_named_once(active, counter):
    schedule = make(*active)
    schedule.mark_sent(0.0)
    # The counter has up to twelve digits more here than in `ROOM`.
    taken = schedule.next(0.0, 1_735_734_005.456, ROOM - 12)
    encoded = [batches.join_batch("x" * 8, counter, *sign) for sign in taken]
    assert all(len(batch) <= MAX_BATCH_BYTES for batch in encoded)
    read = [batches.decode_batch(batch) for batch in encoded]
    assert [name for batch in read for name, _ in batch.alive] == [one[0] for one in active]
    assert announced(taken) == [one[0] for one in active]
    assert all(batch.malformed == 0 for batch in read)


def test_a_set_that_changes_meanwhile():
    class Request:
        pass

    kept, late = [Request() for _ in range(3)], Request()
    changing = weakref.WeakSet(kept)

    class Changing:
        """The set, which another thread adds to while it is read for the first time."""

        def __iter__(self):
            for one in changing:
                changing.add(late)
                yield one

    assert set(copy_of_changing_set(Changing())) == {*kept, late}
