"""A client that moves or is slow: nothing twice, nothing missing that is held, and told the truth.

Sidecars are hubs here, which read one log at different speeds. A client moves between them with
the last event id it saw, as a client does whose connection was lost.
"""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from support.deliveries import process
from support.frames import decoded, unframed
from support.heartbeats import observe_heartbeat
from support.sample_events import (
    completed,
    doubted_logs,
    error,
    log,
    logs,
    lost,
    progress,
    queued,
    stalled,
    status,
    without_early_ends,
    without_late_receipts,
)

from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.hub.cursor import ReplayCursor
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.hub.session import Session
from celery_wsprogress.hub.steps import take_all
from celery_wsprogress.hub.store import Limits, OperationStore
from celery_wsprogress.operations.history import History
from celery_wsprogress.operations.history_entry import Entry, Kind
from celery_wsprogress.operations.operation import Operation
from celery_wsprogress.operations.selector import EVERYTHING
from celery_wsprogress.operations.states import Verdict
from celery_wsprogress.protocol.batches import Batch
from celery_wsprogress.protocol.event_ids import parse_event_id
from celery_wsprogress.protocol.events import Progress

NOW = 200.0


class Sidecar:
    """A hub that reads a log, a list of batches of one writer, as far as it is told to."""

    def __init__(self, written, *, start=0, limits=None, epoch="e1"):
        self.hub = Hub(OperationStore(limits or Limits()))
        self.epoch = epoch
        self._written = written
        self._writer = "w"
        self._next = start

    def read(self, count=1_000_000):
        for number, events in list(enumerate(self._written, 1))[self._next :][:count]:
            batch = Batch(self._writer, number, events)
            process(self.hub, batch, epoch=self.epoch, position=f"{number}-0", now=100.0)
            self._next = number

    def read_anew(self, written, epoch):
        """The log was lost, and so was its writer; these are the ones that took their places."""
        self._written, self._next, self.epoch = written, 0, epoch
        self._writer = f"writer of {epoch}"
        self.read()


class Client:
    """A client that reads what it gets, on one sidecar after another."""

    def __init__(self, *, resync=False):
        self.seen = []
        self.session = None
        self._resync = resync
        self._hub = None

    def move(self, sidecar, operation_id="op-1", **how):
        if self._hub is not None:
            self._hub.subscriptions.disconnect(self.session)
        self._hub = sidecar.hub
        self.session = Session(1, Permit(None))
        self.session.accepts_snapshots = self._resync
        since = next((one["event_id"] for one in reversed(self.seen) if "event_id" in one), None)
        how = {"replay": None, "since": since, **how}
        return self._hub.subscriptions.subscribe(self.session, operation_id, **how)

    def read(self, limit=1_000_000):
        """One write's worth; its frames."""
        frames = decoded(self.session.take(limit, 0.0, NOW))
        self.seen += frames
        return frames

    def read_all(self, limit=1_000_000):
        frames = []
        while self.session.has_unread and not self.session.too_slow:
            frames += self.read(limit)
        return frames

    @property
    def ids(self):
        return [one["event_id"] for one in self.seen if "event_id" in one]


def watching(sidecar, count=0, *, resync=False):
    """A client that watches on a sidecar, and has seen the first batches that it reads."""
    client = Client(resync=resync)
    client.move(sidecar)
    sidecar.read(count)
    client.read_all()
    return client


def kinds(frames):
    return [f["data"].get("status") or f["data"].get("message") or f["event_type"] for f in frames]


def owed(written):
    """What an operation's watchers get, by the fold itself: event ids, and events."""
    oracle = Operation("op-1", first_seen_at=0.0)
    told = []
    for number, events in enumerate(written, 1):
        for index, event in enumerate(events):
            name = f"e1.{number}-0.{index}"
            speaks = event.run and not event.inferred
            again = observe_heartbeat(oracle, event.run, event.timestamp) if speaks else None
            if again is not None:
                told.append((f"{name}r", again))
            if oracle.fold(event)[0] is Verdict.DELIVER:
                told.append((name, event))
    return told


def lossless(told):
    return [name for name, event in told if not isinstance(event, Progress)]


def after_the_end(written):
    """The ids of what comes between an operation's end and its next start.

    To a sidecar that has let go of a finished operation only a start is news of it: it takes all
    else for late words, also the lines of a run that another one had overtaken.
    """
    oracle = Operation("op-1", first_seen_at=0.0)
    found = set()
    for number, events in enumerate(written, 1):
        for index, event in enumerate(events):
            had_ended = oracle.state.ended
            oracle.fold(event)
            if had_ended and oracle.state.ended:
                found.add(f"e1.{number}-0.{index}")
    return found


def in_order(ids):
    places = [parse_event_id(one)[1] for one in ids]
    return places == sorted(set(places))


@st.composite
def batches(draw, lives):
    """A log as several flushes wrote it."""
    events = list(draw(lives))
    written = []
    while events:
        size = draw(st.integers(1, 4))
        written.append(events[:size])
        events = events[size:]
    return written


def roam(client, sidecars, data):
    """Let a client read and move, and sidecars read, in any order; in the end everyone reads all.

    Yields:
        Each sidecar it went to, and what that said of what it had not seen.
    """
    every = st.sampled_from(sidecars)
    for step in data.draw(st.lists(st.sampled_from(["sidecar", "move", "client"]), max_size=30)):
        if step == "sidecar":
            data.draw(every).read(data.draw(st.integers(1, 3)))
        elif step == "client":
            client.read(data.draw(st.integers(1, 900)))
        elif client.ids:
            there = data.draw(every)
            yield there, client.move(there)
    for one in sidecars:
        one.read()
    client.read_all()


@given(batches(doubted_logs()), st.integers(2, 4), st.data())
def test_whoever_moves_between_sidecars_misses_nothing_and_sees_nothing_twice(
    written, number, data
):
    sidecars = [Sidecar(written) for _ in range(number)]
    client = Client()
    client.move(sidecars[0])
    for there, recovered in roam(client, sidecars, data):
        # Of a log that keeps everything a sidecar that has read any of it knows this.
        assert recovered is bool(there.hub.counts["events"])
    assert in_order(client.ids)
    assert set(lossless(owed(written))) <= set(client.ids) <= {name for name, _ in owed(written)}


@given(batches(logs().map(without_early_ends).map(without_late_receipts)), st.data())
def test_where_something_may_be_missing_it_is_said(written, data):
    """Sidecars that hold little or began to read late, where the log had been trimmed. (Nothing
    of a run that was given up: that it was is what they may have forgotten. Nor of what is said
    after an end but a start: whoever has let go of the operation takes that for a late word. Nor an
    end or a receipt on the wrong side of its run's start: they cannot know that they are late.)"""
    sidecars = [
        Sidecar(written, limits=Limits(max_finished=0)),
        Sidecar(written, start=data.draw(st.integers(0, len(written)))),
        Sidecar(written),
    ]
    client = Client()
    client.move(sidecars[-1])
    kept = True
    for _, recovered in roam(client, sidecars, data):
        kept = kept and recovered
    assert in_order(client.ids)
    if kept and not client.session.too_slow:
        assert set(lossless(owed(written))) - after_the_end(written) <= set(client.ids)


def test_whoever_let_go_of_an_operation_announces_its_next_run_as_everyone_does():
    """Found by hypothesis: a client that goes on watching where its operation is let go."""
    written = [
        [queued(publication="a")],
        [status("received", run="a", publication="a")],
        [status("started", run="a", publication="a", metadata={}), completed(run="a")],
        [queued(publication="b")],
        [status("received", run="b", publication="b")],
        [status("started", run="b", publication="b", metadata={}), completed(run="b")],
    ]
    keeps, forgets = Sidecar(written), Sidecar(written, limits=Limits(max_finished=0))
    client, other = watching(keeps, 1), watching(keeps)
    forgets.read(1)
    assert client.move(forgets) is True, "it still holds all there was"
    keeps.read()
    forgets.read()
    told = kinds(client.read_all())
    assert told == kinds(other.read_all())
    assert told == ["received", "started", "completed", "started", "completed"]


def test_of_what_was_let_go_only_a_start_is_news():
    written = [
        [status("started", run="a", metadata={})],
        [status("started", run="b", metadata={}), completed(run="b")],
        [log("late", run="a")],
        [status("started", run="c", metadata={})],
    ]
    keeps, forgets = Sidecar(written), Sidecar(written, limits=Limits(max_finished=0))
    one, other = watching(keeps), watching(forgets)
    for sidecar in (keeps, forgets):
        sidecar.read()
    assert kinds(one.read_all()) == ["started", "started", "completed", "late", "started"]
    assert kinds(other.read_all()) == ["started", "started", "completed", "started"]


LATE = [log("late", run="a"), progress(0.9, run="a"), error(run="a")]


@pytest.mark.parametrize(
    ("how", "late"),
    [
        *product([{}, {"limits": Limits(max_finished=0)}, {"start": 1}, {"start": 2}], LATE),
        # Who has read neither to start believes the first that ends.
        *product([{"start": 3}], LATE[:2]),
    ],
)
def test_a_late_word_of_a_run_that_is_not_known_takes_nobodys_place(how, late):
    written = [
        [status("started", run="a", metadata={})],
        [status("started", run="b", metadata={}), completed(run="b")],
        [status("started", run="c", metadata={})],
        [late],
        [completed(run="c")],
    ]
    client = watching(sidecar := Sidecar(written, **how))
    sidecar.read()
    last = client.read_all()[-1]
    assert (last["event_type"], last["run"]) == ("completed", "c")


def test_a_sidecar_that_is_behind_repeats_nothing():
    written = [[status("started", metadata={})], [log("a")], [log("b")], [log("c")]]
    ahead, behind = Sidecar(written), Sidecar(written)
    client = watching(ahead, 3)
    behind.read(1)
    assert client.move(behind) is True
    behind.read(2)
    assert client.read_all() == []
    behind.read()
    assert kinds(client.read_all()) == ["c"]


def test_one_that_has_not_heard_of_the_operation_repeats_nothing_either():
    written = [
        [log("x", operation_id="op-2")],
        [status("started", metadata={}), log("a")],
        [log("b")],
    ]
    ahead, behind = Sidecar(written), Sidecar(written)
    client = watching(ahead, 2)
    behind.read(1)
    assert client.move(behind) is True
    behind.read()
    assert kinds(client.read_all()) == ["b"]


def test_what_a_fold_puts_before_an_event_has_its_own_place():
    silence = [stalled(), lost()]
    written = [[status("started", metadata={})], silence, [log("a")], [log("b")]]
    ahead, behind = Sidecar(written), Sidecar(written)
    client = Client()
    client.move(ahead)
    ahead.read(3)
    while client.session.has_unread and "e1.3-0.0r" not in client.ids:
        client.read(1)
    assert kinds(client.seen) == ["started", "stalled", "error", "started"]
    behind.read(2)
    assert client.move(behind) is True
    behind.read()
    assert kinds(client.read_all()) == ["a", "b"]


def test_what_was_seen_is_passed_over_also_when_only_a_selector_is_left():
    written = [[status("started", metadata={})], [log("a")], [log("b")], [log("c")]]
    ahead, behind = Sidecar(written), Sidecar(written)
    client = watching(ahead, 3)
    behind.read(1)
    client.move(behind)
    take_all(behind.hub.subscriptions.select(client.session, EVERYTHING, replay="last"))
    behind.hub.subscriptions.unsubscribe(client.session, ["op-1"])
    for _ in range(3):
        behind.read(1)
        client.read_all()
    assert kinds(client.seen) == ["started", "a", "b", "c"]


def test_a_log_that_was_lost_and_of_which_a_sidecar_has_not_heard_yet():
    old = [[status("started", metadata={})], [log("a")]]
    new = [[log("b")], [log("c")], [log("d")]]
    ahead, behind = Sidecar(old), Sidecar(old)
    client = Client()
    client.move(ahead)
    ahead.read()
    behind.read()
    ahead.read_anew(new[:2], "e2")
    client.read_all()
    assert client.move(behind, replay="none") is False
    behind.read_anew(new, "e2")
    assert kinds(client.read_all()) == ["d"]


def test_an_event_of_an_epoch_that_is_over_is_known_where_that_was_read():
    old = [[status("started", metadata={})], [log("a")], [log("b")]]
    sidecar = Sidecar(old)
    client = watching(sidecar, 2)
    sidecar.read()
    sidecar.read_anew([[log("c")]], "e2")
    assert client.move(sidecar) is False, "what the old log held at its end nobody knows"
    assert kinds(client.read_all()) == ["b", "c"]


def test_who_left_in_an_earlier_run_gets_the_rest_of_it():
    written = [
        [status("started", run="a", metadata={}), log("1", run="a")],
        [log("2", run="a"), error(run="a")],
        [status("started", run="b", metadata={}), log("3", run="b")],
    ]
    sidecar = Sidecar(written)
    client = watching(sidecar, 1)
    sidecar.read()
    assert client.move(sidecar) is True
    assert kinds(client.read_all()) == ["2", "error", "started", "3"]


def test_what_was_let_go_and_began_again_is_not_recovered():
    written = [
        [status("started", run="a", metadata={}), log("1", run="a")],
        [completed(run="a")],
        [status("started", run="b", metadata={})],
    ]
    sidecar = Sidecar(written, limits=Limits(max_finished=0))
    client = watching(sidecar, 1)
    sidecar.hub.subscriptions.disconnect(client.session)
    sidecar.read(1)
    assert client.move(sidecar) is False
    sidecar.read()
    assert client.move(sidecar) is False
    assert kinds(client.read_all()) == ["started"]
    assert client.move(sidecar) is True


def test_an_end_that_the_log_has_dropped_is_told_again_only_as_one_that_is_not_recovered():
    """A log may have dropped an operation's end and hold a late word of it: a sidecar that knows
    no more takes it for one that waits, asks the result backend, and appends what that says."""
    life = [[status("started", metadata={})], [completed(duration=1.0)], [status("received")]]
    told = structs.replace(completed(), inferred=True)
    keeps, restarted = Sidecar([*life, [told]]), Sidecar([*life, [told]], start=2)
    client = watching(keeps, 3)
    restarted.read(1)
    assert restarted.hub.get("op-1")["state"] == "received"
    keeps.read()
    assert client.read_all() == [], "whoever knows the first end shows no other"
    assert client.move(restarted) is False
    restarted.read()
    assert kinds(client.read_all()) == ["received", "completed"]


def test_since_goes_before_how_things_stand():
    written = [[status("started", metadata={}), progress(0.1)], [log("a")]]
    sidecar = Sidecar(written)
    client = watching(sidecar, 1)
    sidecar.read()
    client.move(sidecar, replay="last")
    assert kinds(client.read_all()) == ["a"]


@pytest.mark.parametrize("since", ["e9." + "1" * 200 + ".0", "e9", "", "x" * 1_000])
def test_what_is_no_event_id_is_not_kept(since):
    sidecar, client = Sidecar([]), Client()
    client.move(sidecar, since=since)
    assert (client.session.cursors["op-1"].unknown_since or "") in {"", "e9"}


# Falling off.


#: Histories that hold so little that a test can fall off them.
SHORT = Limits(max_history_entries=20)


def snapshots(frames):
    return [one for one in frames if one["event_type"] == "snapshot"]


def lines(count, first=0):
    return [[log(str(number))] for number in range(first, first + count)]


def test_who_falls_off_gets_a_snapshot_and_what_is_retained():
    written = [[status("started", metadata={}), log("x")], *lines(100), [progress(0.5)]]
    sidecar = Sidecar(written, limits=SHORT)
    client = watching(sidecar, 1, resync=True)
    sidecar.read()
    assert not client.session.too_slow
    told, *rest = client.read_all()
    assert told["event_type"] == "snapshot"
    assert (told["operation_id"], told["timestamp"], told["data"]) == ("op-1", NOW, {})
    assert told["operation"] == sidecar.hub.get("op-1")
    assert [one["event_type"] for one in rest] == ["log"] * len(rest), "progress was told"
    assert kinds(rest) == [str(number) for number in range(100 - len(rest), 100)]
    assert told["missed"] + len(rest) == 101
    assert client.ids[-1] == "e1.101-0.0"


def test_the_result_and_the_end_follow_a_snapshot_that_shows_the_end():
    written = [[status("started", metadata={})], *lines(100), [completed(duration=1.0)]]
    sidecar = Sidecar(written, limits=SHORT)
    client = watching(sidecar, resync=True)
    sidecar.read()
    told, *rest = client.read_all()
    assert told["operation"]["status"] == "completed"
    assert kinds(rest)[-1] == "completed"


def test_an_end_that_a_later_run_has_undone_does_not_follow():
    written = [
        [status("started", run="a", metadata={})],
        *([log(str(number), run="a")] for number in range(100)),
        [error(run="a"), status("started", run="b", metadata={}), log("b", run="b")],
    ]
    sidecar = Sidecar(written, limits=SHORT)
    client = watching(sidecar, resync=True)
    sidecar.read()
    told, *rest = client.read_all()
    assert told["operation"]["run"] == "b"
    assert {one["event_type"] for one in rest} == {"log"}


def test_a_since_from_before_what_is_retained_is_answered_by_a_snapshot():
    written = [[status("started", metadata={})], *lines(100)]
    sidecar, client, other = Sidecar(written, limits=SHORT), Client(resync=True), Client()
    client.move(sidecar)
    sidecar.read(1)
    client.read_all()
    other.seen += client.seen
    sidecar.read()
    assert client.move(sidecar) is False
    told, *rest = client.read_all()
    assert (told["event_type"], told["missed"]) == ("snapshot", None)
    assert other.move(sidecar) is False
    assert other.read_all() == rest, "who did not ask gets the same without it"


def test_who_comes_late_gets_what_is_retained_with_the_status():
    written = [[status("started", metadata={})], *lines(98)]
    sidecar, client = Sidecar(written, limits=SHORT), Client()
    sidecar.read()
    client.move(sidecar)
    client.read(1)
    process(sidecar.hub, Batch("w", 100, [progress(0.5)]), epoch="e1", position="100-0", now=1.0)
    assert not client.session.too_slow
    client.read_all()
    assert kinds(client.seen) == ["started", *map(str, range(80, 98)), "progress"]


def test_what_is_watched_with_everything_is_told_as_well():
    written = [[status("started", metadata={})], *lines(100)]
    sidecar = Sidecar(written, limits=SHORT)
    session = Session(1, Permit(None))
    session.accepts_snapshots = True
    take_all(sidecar.hub.subscriptions.select(session, EVERYTHING, replay="last"))
    sidecar.read()
    frames = decoded(session.take(1_000_000, NOW, 0.0))
    assert frames[0]["event_type"] == "snapshot"


def test_a_line_that_was_to_follow_a_snapshot_and_goes_is_told_of():
    labels = [[status(f"step {number}", run="b")] for number in range(3)]
    first = [[status("started", run="a", metadata={})], [progress(0.1, run="a")]]
    then = [[status("started", run="b", metadata={})], [log("x", run="b")], *labels]
    written = [*first, *then, [log("y", run="b")], [progress(0.2, run="b")]]
    sidecar = Sidecar(written, limits=Limits(max_history_entries=4))
    client = watching(sidecar, resync=True)
    sidecar.read(len(first) + len(then))
    assert snapshots(client.read(1))
    sidecar.read()
    client.read_all()
    missed = sum(one["missed"] for one in snapshots(client.seen))
    assert len(client.ids) + missed == len(written)


def test_a_chunk_that_goes_unread_is_a_gap_although_later_lines_went_before():
    """Lines and chunks are dropped each by themselves, so what goes is not always what is newer."""
    history = History()

    def write(kind, size, number):
        for seq in range(history.newest + 1, history.newest + 1 + number):
            frame = b'{"event_id":"e.%d.0"}' % seq + b"x" * size
            history.append(Entry(seq, 1, kind, "r", frame))

    write(Kind.CHUNK, 5_000, 100)
    write(Kind.OTHER, 100_000, 10)
    assert history.dropped_other_seq > 100
    cursor = ReplayCursor(0)
    cursor.attach(history)
    assert not cursor.has_gap(history)
    write(Kind.CHUNK, 2_600_000, 1)
    assert 0 < history.dropped_chunk_seq <= 100 < history.dropped_seq
    assert cursor.has_gap(history)
    cursor.mark_snapshot_sent(history)
    assert not cursor.has_gap(history)


@st.composite
def long_lives(draw):
    """One run after another, of nothing that is conflated."""
    events = []
    for number in range(draw(st.integers(1, 3))):
        run = f"r{number}"
        events.append(status("started", run=run, metadata={}))
        for at in range(draw(st.integers(0, 30))):
            label = draw(st.booleans())
            events.append(status(f"step {at}", run=run) if label else log(f"{run}-{at}", run=run))
        events.append(draw(st.sampled_from([completed(run=run), error(run=run)])))
    return [[one] for one in events[: draw(st.integers(1, len(events)))]]


def reduced(frames):
    """What a page shows of an operation: the reducer of a client."""
    shown = {}
    for one in frames:
        if one["event_type"] == "snapshot":
            shown = {"status": one["operation"]["status"], "run": one["operation"]["run"]}
        elif one["event_type"] != "log":
            word = one["data"].get("status") or one["event_type"]
            shown = {"status": "running" if word == "started" else word, "run": one["run"]}
    return shown


@given(long_lives(), st.data())
def test_snapshots_and_events_add_up_to_the_operation(written, data):
    sidecar = Sidecar(written, limits=Limits(max_history_entries=8))
    client = watching(sidecar, resync=True)
    for _ in written:
        sidecar.read(1)
        if data.draw(st.integers(0, 9)) == 0:
            client.read(data.draw(st.integers(1, 2_000)))
    client.read_all(data.draw(st.integers(1, 2_000)))
    operation = sidecar.hub.get("op-1")
    assert in_order(client.ids)
    assert reduced(client.seen) == {name: operation[name] for name in ("status", "run")}
    missed = sum(one["missed"] for one in snapshots(client.seen))
    assert len(client.ids) + missed == operation["event_count"]
    if operation["state"] in {"completed", "error"}:
        assert client.ids[-1] == operation["last_event_id"], "the end comes as an event, and last"


def test_frames_of_a_snapshot_are_bounded():
    written = [[status("started", metadata={"x": "y" * 1_200_000})], *lines(100)]
    sidecar = Sidecar(written, limits=SHORT)
    client = watching(sidecar, resync=True)
    sidecar.read()
    told = unframed(client.session.take(1, NOW, 0.0))[0]
    assert len(told) < 1_000_000


def test_queued_alone_is_no_reason_for_a_snapshot():
    sidecar = Sidecar([[queued()]])
    client = watching(sidecar, resync=True)
    sidecar.read()
    assert kinds(client.read_all()) == ["queued"]
