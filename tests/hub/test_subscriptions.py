"""The end of one subscription leaves the others alone."""

from __future__ import annotations

import pytest
from support.deliveries import process
from support.frames import decoded
from support.sample_events import OPERATION, chunk, log, progress, queued, status

from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.hub.session import Session
from celery_wsprogress.hub.steps import take_all
from celery_wsprogress.hub.subscriptions import RECORDS_PER_STEP
from celery_wsprogress.operations.history import MAX_CHUNK_BYTES, MAX_ENTRIES
from celery_wsprogress.operations.selector import EVERYTHING, Selector, SelectorField
from celery_wsprogress.protocol.batches import Batch

RED, BLUE = (Selector(SelectorField.TAG, value) for value in ("red", "blue"))


def red_and_blue(*selectors):
    """A hub of two operations, and a session that is to be sent both."""
    hub, session = Hub(), Session(1, Permit(None))
    for selector in selectors:
        take_all(hub.subscriptions.select(session, selector, replay="none"))
    events = [queued(operation_id=f"op-{tag}", tags=[tag]) for tag in ("red", "blue")]
    process(hub, Batch("w", 1, events), epoch="e", position="1", now=0.0)
    return hub, session


def taken(session):
    return [one["operation_id"] for one in decoded(session.take(1_000_000, 0.0, 0.0))]


def test_the_end_of_a_selector_takes_back_what_nothing_else_selects():
    hub, session = red_and_blue(RED, BLUE)
    take_all(hub.subscriptions.unselect(session, RED))
    assert session.selectors == {BLUE}
    assert taken(session) == ["op-blue"]


def test_the_end_of_a_selector_that_there_is_not_takes_nothing_back():
    hub, session = red_and_blue(EVERYTHING)
    take_all(hub.subscriptions.unselect(session, RED))
    assert session.selectors == {EVERYTHING}
    assert taken(session) == ["op-red", "op-blue"]


def test_what_was_selected_when_it_came_is_sent_whatever_selector_there_is_not_ends():
    hub, session = red_and_blue(RED)
    changed = status("started", operation_id="op-red", tags=["blue"], metadata={})
    process(hub, Batch("w", 2, [changed]), epoch="e", position="2", now=0.0)
    take_all(hub.subscriptions.unselect(session, BLUE))
    assert set(taken(session)) == {"op-red"}


def of_types(count, session=None, **events):
    hub, session = Hub(), session or Session(1, Permit(None))
    made = [queued(operation_id=f"op-{number}", tags=["red"], **events) for number in range(count)]
    process(hub, Batch("w", 1, made), epoch="e", position="1", now=0.0)
    return hub, session


@pytest.mark.parametrize("replay", ["last", "all"])
def test_what_comes_between_two_steps_of_a_selection_is_sent_once(replay):
    hub, session = of_types(1)
    take_all(hub.subscriptions.select(session, BLUE, replay="none"))
    steps = hub.subscriptions.select(session, RED, replay=replay)
    next(steps)
    events = [
        queued(operation_id="op-both", tags=["red", "blue"]),
        queued(operation_id="op-new", tags=["red"]),
    ]
    process(hub, Batch("w", 2, events), epoch="e", position="2", now=0.0)
    take_all(steps)
    assert sorted(taken(session)) == ["op-0", "op-both", "op-new"]


def test_what_was_selected_before_is_not_replayed():
    hub, session = of_types(3)
    take_all(hub.subscriptions.select(session, RED, replay="last"))
    assert len(taken(session)) == 3
    take_all(hub.subscriptions.select(session, EVERYTHING, replay="all"))
    assert taken(session) == []


def test_a_selection_and_its_end_take_steps():
    hub, session = of_types(3 * RECORDS_PER_STEP)
    take_all(hub.subscriptions.select(session, RED, replay="last"))
    steps = [
        sum(1 for _ in hub.subscriptions.select(session, EVERYTHING, replay="last")),
        sum(1 for _ in hub.subscriptions.unselect(session, EVERYTHING)),
        sum(1 for _ in hub.subscriptions.unselect(session, RED)),
    ]
    assert steps == [3, 3, 3]
    assert taken(session) == []


@pytest.mark.parametrize("replay", ["last", "all"])
def test_what_is_dropped_after_the_selection_and_before_it_is_read_is_a_gap(replay):
    hub, session = of_types(1)
    take_all(hub.subscriptions.select(session, EVERYTHING, replay=replay))
    session.accepts_snapshots = True
    lines = [log(f"{number}", operation_id="op-0") for number in range(MAX_ENTRIES + 10)]
    process(hub, Batch("w", 2, lines), epoch="e", position="2", now=0.0)
    frames = decoded(session.take(10**7, 0.0, 0.0))
    assert frames[0]["event_type"] == "snapshot"
    assert frames[-1]["data"]["message"] == f"{MAX_ENTRIES + 9}"


@pytest.mark.parametrize("replay", ["last", "all"])
def test_what_was_dropped_before_the_selection_is_no_gap(replay):
    hub, session = of_types(1)
    lines = [log(f"{number}", operation_id="op-0") for number in range(MAX_ENTRIES + 10)]
    process(hub, Batch("w", 2, lines), epoch="e", position="2", now=0.0)
    take_all(hub.subscriptions.select(session, EVERYTHING, replay=replay))
    kinds = {one["event_type"] for one in decoded(session.take(10**7, 0.0, 0.0))}
    assert "snapshot" not in kinds
    assert not session.too_slow


def test_before_anything_was_read_a_selection_replays_nothing():
    hub, session = Hub(), Session(1, Permit(None))
    take_all(hub.subscriptions.select(session, EVERYTHING, replay="all"))
    assert session.selectors == {EVERYTHING}
    assert taken(session) == []


def test_who_is_watched_by_id_is_not_replayed_by_a_selection():
    hub, session = of_types(2)
    hub.subscriptions.subscribe(session, "op-0", replay="none", since=None)
    take_all(hub.subscriptions.select(session, EVERYTHING, replay="last"))
    assert taken(session) == ["op-1"]


def write_progress(hub, session, number, *operation_ids):
    said = [progress(number / 10, operation_id=one, run="") for one in operation_ids]
    process(hub, Batch("w", number, said), epoch="e", position=f"{number}", now=0.0)
    return taken(session)


def test_the_end_of_a_selector_drops_the_progress_that_nothing_else_selects():
    hub, session = red_and_blue(RED, BLUE)
    session.set_max_rate(None, 0.01)
    taken(session)
    assert write_progress(hub, session, 2, "op-red", "op-blue") == ["op-red", "op-blue"]
    assert write_progress(hub, session, 3, "op-red", "op-blue") == []
    assert session.reading() == {"op-red", "op-blue"}
    take_all(hub.subscriptions.unselect(session, RED))
    assert session.reading() == {"op-blue"}
    assert session.next_due == 100.0


def test_what_is_selected_anew_keeps_its_rate():
    hub, session = of_types(1)
    session.set_max_rate(None, 0.01)
    take_all(hub.subscriptions.select(session, EVERYTHING, replay="none"))
    assert write_progress(hub, session, 2, "op-0") == ["op-0"]
    take_all(hub.subscriptions.unselect(session, EVERYTHING))
    take_all(hub.subscriptions.select(session, EVERYTHING, replay="last"))
    assert taken(session) == ["op-0", "op-0"]
    take_all(hub.subscriptions.unselect(session, EVERYTHING))
    take_all(hub.subscriptions.select(session, EVERYTHING, replay="none"))
    assert write_progress(hub, session, 3, "op-0") == []


def test_the_end_of_a_selector_takes_nothing_back_that_is_watched_by_id():
    hub, session = red_and_blue(RED)
    hub.subscriptions.subscribe(session, "op-red", replay=None, since=None)
    take_all(hub.subscriptions.unselect(session, RED))
    assert taken(session) == ["op-red"]


def test_a_stream_of_many_short_chunks_is_whole_for_those_who_come_late_whatever_else_there_is():
    hub, number = Hub(), 5_000
    for first in range(0, number, 500):
        chunks = [chunk("word ", index) for index in range(first, first + 500)]
        lines = [log("read " + "x" * 300) for _ in range(500)]
        batch = Batch("w", 1 + first // 500, [*chunks, *lines])
        process(hub, batch, epoch="e", position=f"{first + 1}", now=0.0)
    session = Session(1, Permit(None))
    hub.subscriptions.subscribe(session, OPERATION, replay=None, since=None)
    frames = []
    while session.has_unread:
        frames += decoded(session.take(65_536, 0.0, 0.0))
    seen = [one["data"]["index"] for one in frames if one["event_type"] == "chunk"]
    assert seen == [*range(number)]
    assert 0 < len(frames) - number <= MAX_ENTRIES


def test_a_stream_that_is_longer_than_a_history_says_where_its_beginning_is_missing():
    text, hub = "word " * 800, Hub()
    closes = MAX_CHUNK_BYTES // len(text)
    chunks = [*(chunk(text, index) for index in range(closes)), chunk(None, closes, closed=True)]
    events = [status("started", operation_type="t", metadata={}), *chunks]
    process(hub, Batch("w", 1, events), epoch="e", position="1", now=0.0)

    def chunks_since(since):
        session = Session(1, Permit(None))
        recovered = hub.subscriptions.subscribe(session, OPERATION, replay=None, since=since)
        frames = decoded(session.take(10_000_000, 0.0, 0.0))
        found = [one for one in frames if one["event_type"] == "chunk"]
        return (
            recovered,
            [one["event_id"] for one in found],
            [one["data"]["index"] for one in found],
        )

    _, ids, late = chunks_since(None)
    assert late[0] > 0
    assert late == [*range(late[0], closes + 1)]
    # Who was there goes on behind what he saw, unless what came next is not held any more.
    assert chunks_since(ids[-10]) == (True, ids[-9:], late[-9:])
    gone = f"{ids[0].rpartition('.')[0]}.5"
    assert chunks_since(gone) == (False, ids, late)
