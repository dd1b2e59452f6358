"""Fan-out: every session is flushed, large deliveries take turns, and a fault ends none."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.asyncio_runner import run
from support.sample_events import doubted_logs, log, progress, status

from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.hub.deliveries import Delivery
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.hub.session import Session
from celery_wsprogress.hub.steps import take_all
from celery_wsprogress.hub.store import OperationStore
from celery_wsprogress.operations.selector import EVERYTHING
from celery_wsprogress.protocol.batches import Batch
from celery_wsprogress.sidecar.fan_out import SESSIONS_PER_TICK, FanOut


class Socket:
    """A writer that notes what is written, and may be paused or broken."""

    def __init__(self, note=None, *, fails=False):
        self.session = Session(1, Permit(None), self)
        self.paused = False
        self.written = []
        self._note, self._fails = note, fails

    @property
    def ready(self):
        if self._note is not None:
            self._note()
        if self._fails:
            raise RuntimeError("broken")
        return not self.paused

    @property
    def sent(self):
        return b"".join(self.written)

    def write(self, frames):
        self.written.append(frames)

    def flush_soon(self):
        raise AssertionError("it takes everything in one go")

    flush_at = close_too_slow = flush_soon

    def flush(self):
        self.session.flush(0.0, 0.0)


class Written:
    """Sessions that note in which order they are written to."""

    def __init__(self):
        self.order = []
        self.observed = []
        self.fan_out = FanOut(self.observed.append)

    def deliver(self, name, count, since, *, fails=()):
        """Deliver something to so many sessions."""
        record = OperationStore().create(name, 0.0)
        made = [
            Socket(partial(self.order.append, (name, number)), fails=number in fails)
            for number in range(count)
        ]
        sessions = tuple(one.session for one in made)
        self.fan_out.deliver([Delivery(record, 0, sessions, since)])

    async def settle(self):
        for _ in range(100):
            await asyncio.sleep(0)


@pytest.fixture
def written():
    return Written()


@pytest.mark.parametrize(
    "count", [0, 1, SESSIONS_PER_TICK, SESSIONS_PER_TICK + 1, 5 * SESSIONS_PER_TICK + 3]
)
def test_all_sessions_are_flushed_once_and_in_order(written, count):
    async def scenario():
        written.deliver("a", count, 1.0)
        assert len(written.order) == min(count, SESSIONS_PER_TICK), "the first ones at once"
        await written.settle()

    run(scenario())
    assert written.order == [("a", number) for number in range(count)]
    assert written.observed == [1.0] * (count > 0)


def test_a_small_delivery_does_not_wait_for_a_large_one(written):
    async def scenario():
        written.deliver("large", 10 * SESSIONS_PER_TICK, 1.0)
        await asyncio.sleep(0)
        written.deliver("medium", 2 * SESSIONS_PER_TICK, 2.0)
        written.deliver("small", 1, None)
        await written.settle()

    run(scenario())
    names = [name for name, _ in written.order]
    assert names.index("small") < names.index("medium") + 2 * SESSIONS_PER_TICK
    assert written.observed == [2.0, 1.0]
    assert len(written.order) == 12 * SESSIONS_PER_TICK + 1


@pytest.mark.parametrize("number", [3, SESSIONS_PER_TICK + 3])
def test_a_session_that_cannot_be_flushed_costs_the_others_nothing(written, number, caplog):
    async def scenario():
        written.deliver("a", 2 * SESSIONS_PER_TICK, 1.0, fails={number})
        await written.settle()

    run(scenario())
    assert len(written.order) == 2 * SESSIONS_PER_TICK
    assert [record.message for record in caplog.records] == ["A client could not be written to"]


# What the sessions write.


class Watched:
    """A hub, its fan-out and some sockets."""

    def __init__(self):
        self.hub, self.fan_out, self.count = Hub(), FanOut(lambda _: None), 0

    def socket(self, operation_id="op-1"):
        made = Socket()
        self.hub.subscriptions.subscribe(made.session, operation_id, replay=None, since=None)
        return made

    def write(self, *events):
        self.count += 1
        batch = Batch("w", self.count, events)
        self.hub.process_batch(batch, epoch="e", position=f"{self.count}-0", now=0.0)
        self.fan_out.deliver(self.hub.take_deliveries())


def test_sessions_that_had_read_everything_write_the_very_same_bytes():
    watched = Watched()
    sockets = [watched.socket() for _ in range(5)]
    watched.write(status("started", metadata={}))
    watched.write(log("a"), log("b"))
    first = sockets[0]
    assert len(first.written) == 2
    for other in sockets[1:]:
        assert all(a is b for a, b in zip(first.written, other.written, strict=True))


def test_a_reply_goes_with_what_is_new():
    watched = Watched()
    asked, other = watched.socket(), watched.socket()
    asked.session.replies.add(b"answer")
    watched.write(status("started", metadata={}))
    assert len(asked.written) == len(other.written) == 1
    assert b"answer" in asked.sent
    assert asked.sent.endswith(other.sent)
    watched.write(log("a"))
    assert asked.written[1] is other.written[1], "it has caught up"


def test_a_session_whose_socket_is_paused_reads_on_from_where_it_was():
    watched = Watched()
    slow, other = watched.socket(), watched.socket()
    watched.write(status("started", metadata={}))
    slow.paused = True
    watched.write(log("a"))
    assert slow.session.has_unread
    watched.write(log("b"), operation_of_another := log("c", operation_id="op-2"))
    assert operation_of_another.operation_id not in slow.session.reading()
    slow.paused = False
    slow.flush()
    assert slow.sent == other.sent
    assert not slow.session.has_unread


def test_what_is_unread_is_not_sent_after_the_subscription_has_ended():
    watched = Watched()
    gone = watched.socket()
    watched.write(status("started", metadata={}))
    gone.paused = True
    watched.write(log("a"))
    assert gone.session.reading() == {"op-1"}
    watched.hub.subscriptions.unsubscribe(gone.session, ["op-1"])
    assert not gone.session.has_unread


@given(doubted_logs(), st.data())
def test_a_paused_socket_gets_the_same_bytes_in_the_same_order(events, data):
    """Against a session that is read at the same times, without a fan-out."""
    watched = Watched()
    one, plain = Socket(), Session(2, Permit(None))
    for session in (one.session, plain):
        take_all(watched.hub.subscriptions.select(session, EVERYTHING, replay="none"))
    taken = b""
    for event in [*events, progress(0.5, operation_id="op-2")]:
        one.paused = data.draw(st.booleans())
        watched.write(event)
        if not one.paused:
            one.flush()
            while plain.has_unread:
                taken += plain.take(100_000, 0.0, 0.0)
    one.paused = False
    one.flush()
    while plain.has_unread:
        taken += plain.take(100_000, 0.0, 0.0)
    assert one.sent == taken
