"""Waves: everyone is written to, who has many watchers takes turns, and no fault ends one."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lives import doubted_logs, log, progress, status
from loops import run

from celery_wsprogress.access import Permit
from celery_wsprogress.hub import Hub
from celery_wsprogress.selector import EVERYTHING
from celery_wsprogress.session import Session
from celery_wsprogress.sidecar.waves import AT_A_TIME, Waves
from celery_wsprogress.wire import Batch


class Outlet:
    """Notes what it is made to do, and fails if it is to."""

    def __init__(self, note, *, fails=False):
        self.passed_on = []
        self._note, self._fails = note, fails

    def flush(self):
        self._note()
        if self._fails:
            raise RuntimeError("broken")

    def pass_on(self, frames):
        self.passed_on.append(frames)


class Written:
    """Sessions that note in which order they are written to."""

    def __init__(self):
        self.order = []
        self.observed = []
        self.waves = Waves(self.observed.append)

    def sessions(self, name, count, *, fails=()):
        def outlet(number):
            note = partial(self.order.append, (name, number))
            return Outlet(note, fails=number in fails)

        return [Session(n, Permit(None), outlet(n)) for n in range(count)]

    async def settle(self):
        for _ in range(100):
            await asyncio.sleep(0)


@pytest.fixture
def written():
    return Written()


@pytest.mark.parametrize("count", [0, 1, AT_A_TIME, AT_A_TIME + 1, 5 * AT_A_TIME + 3])
def test_everyone_is_written_to_once_and_in_order(written, count):
    async def scenario():
        written.waves.begin(written.sessions("a", count), 1.0)
        assert len(written.order) == min(count, AT_A_TIME), "the beginning at once"
        await written.settle()

    run(scenario())
    assert written.order == [("a", number) for number in range(count)]
    assert written.observed == [1.0] * (count > 0)


def test_a_small_wave_does_not_wait_for_a_large_one(written):
    async def scenario():
        written.waves.begin(written.sessions("large", 10 * AT_A_TIME), 1.0)
        await asyncio.sleep(0)
        written.waves.begin(written.sessions("middling", 2 * AT_A_TIME), 2.0)
        written.waves.begin(written.sessions("small", 1), None)
        await written.settle()

    run(scenario())
    names = [name for name, _ in written.order]
    assert names.index("small") < names.index("middling") + 2 * AT_A_TIME
    assert written.observed == [2.0, 1.0]
    assert len(written.order) == 12 * AT_A_TIME + 1


@pytest.mark.parametrize("number", [3, AT_A_TIME + 3])
def test_who_cannot_be_written_to_costs_nobody_else_anything(written, number, caplog):
    async def scenario():
        written.waves.begin(written.sessions("a", 2 * AT_A_TIME, fails={number}), 1.0)
        await written.settle()

    run(scenario())
    assert len(written.order) == 2 * AT_A_TIME
    assert [record.message for record in caplog.records] == ["A client could not be written to"]


# What is worked out once for all.


class Socket:
    """An outlet that may be paused, and what it was given, of the one way and of the other."""

    def __init__(self):
        self.session = Session(1, Permit(None), self)
        self.paused = False
        self.alone = []
        self.shared = []
        self.sent = b""

    def flush(self):
        if not self.paused:
            self.alone.append(self.session.take(100_000, 0.0))
            self.sent += self.alone[-1]

    def pass_on(self, frames):
        if not self.paused:
            self.session.take_news()
            self.shared.append(frames)
            self.sent += frames


class Watched:
    """A hub, its waves and some sockets."""

    def __init__(self):
        self.hub, self.waves, self.count = Hub(), Waves(lambda _: None), 0

    def socket(self, operation_id="op-1"):
        made = Socket()
        self.hub.watch(made.session, operation_id, replay=None, since=None)
        return made

    def write(self, *events):
        self.count += 1
        batch = Batch("w", self.count, events)
        woken = self.hub.accept(batch, epoch="e", position=f"{self.count}-0", now=0.0)
        self.waves.begin(woken, None)


def test_all_who_had_read_everything_are_passed_the_very_same_bytes():
    watched = Watched()
    sockets = [watched.socket() for _ in range(5)]
    watched.write(status("started", metadata={}))
    watched.write(log("a"), log("b"))
    first = sockets[0]
    assert [len(first.shared), len(first.alone)] == [2, 0]
    for other in sockets[1:]:
        assert all(a is b for a, b in zip(first.shared, other.shared, strict=True))


def test_who_has_something_besides_takes_both():
    watched = Watched()
    asked, other = watched.socket(), watched.socket()
    asked.session.reply(b"answer")
    watched.write(status("started", metadata={}))
    assert (len(asked.shared), len(other.shared)) == (0, 1)
    assert b"answer" in asked.sent
    assert asked.sent.endswith(other.sent)
    watched.write(log("a"))
    assert asked.shared == other.shared[1:], "it has caught up"


def test_who_is_paused_keeps_its_news_and_reads_on_from_there():
    watched = Watched()
    slow, other = watched.socket(), watched.socket()
    watched.write(status("started", metadata={}))
    slow.paused = True
    watched.write(log("a"))
    assert slow.session.has_news
    watched.write(log("b"), operation_of_another := log("c", operation_id="op-2"))
    assert operation_of_another.operation_id not in slow.session.reading
    slow.paused = False
    slow.flush()
    assert slow.sent == other.sent
    assert not slow.session.has_news


def test_news_of_what_is_no_longer_watched_are_not_sent():
    watched = Watched()
    gone = watched.socket()
    watched.write(status("started", metadata={}))
    gone.paused = True
    watched.write(log("a"))
    assert gone.session.reading == {"op-1"}
    watched.hub.unwatch(gone.session, "op-1")
    assert not gone.session.has_news


@given(doubted_logs(), st.data())
def test_whichever_way_it_goes_the_same_bytes_come_in_the_same_order(events, data):
    """Of two who watch the same, one is asked for a take each time: what no wave ever passed on."""
    watched = Watched()
    one, plain = Socket(), Session(2, Permit(None))
    for session in (one.session, plain):
        watched.hub.select(session, EVERYTHING, replay="none")
    taken = b""
    for event in [*events, progress(0.5, operation_id="op-2")]:
        one.paused = data.draw(st.booleans())
        watched.write(event)
        if not one.paused:
            one.flush()
            while plain.has_news:
                taken += plain.take(100_000, 0.0)
    one.paused = False
    one.flush()
    while plain.has_news:
        taken += plain.take(100_000, 0.0)
    assert one.sent == taken
