"""Whoever begins to read in the middle, or let an operation go, agrees with who has read all."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from support.heartbeats import observe_heartbeat
from support.sample_events import (
    OPERATION,
    RECEIPTS,
    completed,
    doubted_logs,
    error,
    given_back,
    log,
    logs,
    places_of,
    progress,
    result,
    stalled,
    status,
    without_early_ends,
)

from celery_wsprogress.operations.operation import Operation
from celery_wsprogress.operations.snapshot import snapshot_of
from celery_wsprogress.operations.states import State, Verdict
from celery_wsprogress.protocol.events import Completed, Error

SHOWN = ("run", "state", "status", "started_at", "finished_at", "error", "attempt")


class Reader:
    """A fold that notes what became of each event."""

    def __init__(self):
        self.operation = Operation(OPERATION, first_seen_at=0.0)
        self.ended_by = []

    def read(self, event):
        """Take an event; whether it was delivered."""
        if event.run and not event.inferred:
            observe_heartbeat(self.operation, event.run, event.timestamp)
        verdict, _ = self.operation.fold(event)
        delivered = verdict is Verdict.DELIVER
        if delivered and is_end(event):
            self.ended_by.append(event.run)
        return delivered

    @property
    def run(self):
        return self.operation.run.id if self.operation.run else ""

    @property
    def shown(self):
        snapshot = snapshot_of(self.operation)
        return {name: snapshot[name] for name in SHOWN}


def is_end(event):
    return isinstance(event, (Completed, Error))


def check(events, first):
    """Hold a reader that begins at an event against one that has read them all."""
    started, received = places_of(("started",), events), places_of(RECEIPTS, events)
    # Of a run that was read to be received, and not to start, nobody can know that it had started.
    assume(not any(started[run] < first <= received.get(run, -1) for run in started))
    whole, late = Reader(), Reader()
    for event in events[:first]:
        whole.read(event)
    for place, event in enumerate(events[first:], first):
        owed, delivered = whole.read(event), late.read(event)
        run = whole.run
        if first <= started.get(run, -1) <= place:
            assert late.shown == whole.shown
            assert delivered is owed or event.run != run
        begun = started.get(event.run, len(events)) <= place
        if owed and begun and is_end(event) and not event.inferred and not delivered:
            # Then it was told another end, of a run that it has not read to start, nor this one.
            assert started[event.run] < first
            assert any(started[ended] < first for ended in late.ended_by)


THREE_RUNS = [
    status("started", run="a", metadata={}),
    status("started", run="b", metadata={}),
    completed(run="b"),
    status("started", run="c", metadata={}),
    log("late", run="a"),
    completed(run="c"),
]


@given(logs().map(without_early_ends), st.data())
def test_a_reader_that_begins_anywhere_agrees_as_soon_as_it_has_read_the_run_to_start(events, data):
    check(events, data.draw(st.integers(0, len(events))))


@given(doubted_logs().map(without_early_ends), st.data())
def test_so_does_one_where_sidecars_have_concluded_something(events, data):
    check(events, data.draw(st.integers(0, len(events))))


#: A sidecar's doubt is refuted before one begins to read, and another run speaks next.
REFUTED = [
    status("started", run="r0", metadata={}),
    stalled(run="r0"),
    progress(0.1, run="r0"),
    status("started", run="r1", metadata={}),
    given_back(run="r1"),
    progress(0.3, run="r0"),
    status("retrying", run="r0", publication=""),
    completed(run="r1", duration=10.0),
]


@given(st.integers(0, len(REFUTED)))
@example(4)
def test_a_doubt_that_was_refuted_before_one_began_to_read_ends_no_run(first):
    check(REFUTED, first)


@given(st.integers(0, len(THREE_RUNS)))
@example(3)
def test_a_late_word_of_an_earlier_run_is_no_news_wherever_one_begins_to_read(first):
    check(THREE_RUNS, first)


@pytest.mark.parametrize(
    "late",
    [
        progress(0.9, run="a"),
        result(1, run="a"),
        completed(run="a"),
        error(run="a"),
        status("a word", run="a", publication=""),
        status("retrying", run="a", publication=""),
        status("replaced", run="a", publication=""),
    ],
)
@pytest.mark.parametrize("behind", [[], [status("retrying", run="c")]], ids=["works", "waits"])
def test_whatever_a_run_says_that_is_not_known_it_takes_nobodys_place(late, behind):
    reader = Reader()
    for event in [status("started", run="c", metadata={}), *behind]:
        reader.read(event)
    before = reader.shown
    assert not reader.read(late)
    assert reader.shown == before


def test_a_line_of_a_run_that_is_not_known_is_not_lost():
    reader = Reader()
    reader.read(status("started", run="c", metadata={}))
    assert reader.read(log("late", run="a"))
    assert reader.run == "c"


def test_a_run_that_was_received_beside_the_current_one_may_end_without_a_start():
    """It is called off while it waits."""
    reader = Reader()
    for event in [
        status("started", run="c", metadata={}),
        status("received", run="d", publication="p2"),
        error("revoked", run="d", status="cancelled"),
    ]:
        reader.read(event)
    assert (reader.run, reader.operation.state) == ("d", State.CANCELLED)


@pytest.mark.parametrize("ends", ["a", "b"])
def test_of_two_runs_of_which_neither_was_read_to_start_the_first_that_ends_is_believed(ends):
    reader = Reader()
    lines = [log("1", run="a"), log("2", run="b"), log("3", run="a"), log("4", run="b")]
    assert [reader.read(line) for line in lines] == [True] * 4
    assert not reader.read(progress(0.1, run="a"))
    assert reader.read(completed(run=ends))
    assert not reader.read(completed(run="b" if ends == "a" else "a"))
    assert reader.ended_by == [ends]


def test_what_spoke_before_a_run_that_was_read_to_start_is_older():
    reader = Reader()
    lines = [log("1", run="a"), log("2", run="b"), status("started", run="c", metadata={})]
    assert all(map(reader.read, lines))
    assert not any(map(reader.read, [completed(run="a"), completed(run="b")]))
    assert reader.read(completed(run="c"))


def test_a_start_that_is_read_late_is_one():
    """As long as nothing says that its run is past: what it said before was taken for old."""
    reader = Reader()
    reader.read(status("started", run="c", metadata={}))
    assert not reader.read(progress(0.5, run="d"))
    assert reader.read(status("started", run="d", metadata={}))
    assert reader.read(completed(run="d"))
    assert (reader.run, reader.operation.state) == ("d", State.COMPLETED)
