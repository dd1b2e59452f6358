"""A session writes what is unread as far as its socket takes it, and then waits its turn."""

from __future__ import annotations

import pytest
from support.deliveries import process
from support.frames import decoded
from support.sample_events import log, progress, status

from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.hub import session as session_module
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.hub.session import MAX_WRITES_PER_FLUSH, Session
from celery_wsprogress.hub.steps import take_all
from celery_wsprogress.operations.history import MAX_ENTRIES
from celery_wsprogress.operations.selector import EVERYTHING
from celery_wsprogress.protocol.batches import Batch

NOW = 10.0


class Socket:
    """A writer that records what it is asked for."""

    def __init__(self, takes=1_000):
        self.takes = takes
        """Writes after which it is not ready any more."""
        self.written = []
        self.flushes = []
        self.closed = False

    @property
    def ready(self):
        return len(self.written) < self.takes

    def write(self, frames):
        self.written.append(frames)

    def flush_soon(self):
        self.flushes.append("soon")

    def flush_at(self, due):
        self.flushes.append(due)

    def close_too_slow(self):
        self.closed = True

    def frames(self):
        return decoded(b"".join(self.written))


class Sidecar:
    """A hub, and one session of it that has selected everything."""

    def __init__(self, **socket):
        self.hub = Hub()
        self.socket = Socket(**socket)
        self.session = Session(1, Permit(None), self.socket)
        take_all(self.hub.subscriptions.select(self.session, EVERYTHING, replay="none"))
        self.count = 0

    def write(self, *events):
        self.count += 1
        batch = Batch("w", self.count, events)
        process(self.hub, batch, epoch="e", position=str(self.count), now=NOW)

    def flush(self, now=NOW):
        self.session.flush(now, 0.0)


@pytest.fixture
def one_frame_per_write(monkeypatch):
    monkeypatch.setattr(session_module, "WRITE_BYTES", 1)


def test_from_the_end_of_its_rights_on_a_session_writes_nothing():
    sidecar = Sidecar()
    sidecar.session.valid_until = 100.0
    sidecar.write(log("a"))
    sidecar.session.flush(NOW, 100.0)
    assert sidecar.socket.written == []
    sidecar.session.valid_until = 200.0
    sidecar.session.flush(NOW, 100.0)
    assert len(sidecar.socket.written) == 1


def test_a_flush_writes_all_that_is_unread_in_one_piece():
    sidecar = Sidecar()
    sidecar.write(*(log("a", operation_id=f"op-{number}") for number in range(3)))
    sidecar.session.replies.add(b"{}")
    sidecar.flush()
    assert len(sidecar.socket.written) == 1
    assert [one.get("operation_id") for one in sidecar.socket.frames()] == [
        None, "op-0", "op-1", "op-2",
    ]  # fmt: skip
    assert not sidecar.session.has_unread
    assert sidecar.socket.flushes == []


def test_nothing_is_written_while_the_socket_takes_nothing():
    sidecar = Sidecar(takes=0)
    sidecar.write(log("a"))
    sidecar.flush()
    assert sidecar.socket.written == []
    assert sidecar.session.has_unread
    sidecar.socket.takes = 1
    sidecar.flush()
    assert [one["data"]["message"] for one in sidecar.socket.frames()] == ["a"]


def test_a_flush_without_anything_new_writes_nothing():
    sidecar = Sidecar()
    sidecar.flush()
    assert (sidecar.socket.written, sidecar.socket.flushes) == ([], [])


@pytest.mark.usefixtures("one_frame_per_write")
def test_after_some_writes_other_sessions_have_their_turn():
    sidecar = Sidecar()
    sidecar.write(*(log(str(number)) for number in range(MAX_WRITES_PER_FLUSH + 1)))
    sidecar.flush()
    assert len(sidecar.socket.written) == MAX_WRITES_PER_FLUSH
    assert sidecar.socket.flushes == ["soon"]
    sidecar.flush()
    messages = [one["data"]["message"] for one in sidecar.socket.frames()]
    assert messages == [str(number) for number in range(MAX_WRITES_PER_FLUSH + 1)]
    assert sidecar.socket.flushes == ["soon"]


@pytest.mark.usefixtures("one_frame_per_write")
def test_a_socket_that_is_full_meanwhile_gets_no_more():
    sidecar = Sidecar(takes=1)
    sidecar.write(log("a"), log("b"))
    sidecar.flush()
    assert [one["data"]["message"] for one in sidecar.socket.frames()] == ["a"]
    assert sidecar.socket.flushes == []


def test_progress_that_comes_too_soon_is_written_when_it_is_due():
    sidecar = Sidecar()
    sidecar.session.set_max_rate(None, 0.5)
    sidecar.write(progress(0.1))
    sidecar.flush()
    sidecar.write(progress(0.2))
    sidecar.flush(NOW + 1.0)
    assert [one["data"]["progress"] for one in sidecar.socket.frames()] == [0.1]
    assert sidecar.socket.flushes == [NOW + 2.0]
    sidecar.flush(NOW + 2.0)
    assert [one["data"]["progress"] for one in sidecar.socket.frames()] == [0.1, 0.2]
    assert sidecar.socket.flushes == [NOW + 2.0]


def test_the_connection_of_a_client_that_has_missed_events_is_closed():
    sidecar = Sidecar()
    sidecar.write(*(log("a") for _ in range(2 * MAX_ENTRIES)))
    sidecar.flush()
    assert sidecar.session.too_slow
    assert sidecar.socket.closed
    assert sidecar.socket.written == []


def test_after_the_end_of_a_subscription_nothing_that_was_to_be_replayed_is_sent():
    sidecar = Sidecar()
    reader = Session(2, Permit(None))
    sidecar.write(status("started", metadata={}), log("a"))
    sidecar.hub.subscriptions.subscribe(reader, "op-1", replay="all", since=None)
    assert reader.reading() == {"op-1"}
    sidecar.hub.subscriptions.unsubscribe(reader, ["op-1"])
    assert (reader.reading(), reader.cursors) == (set(), {})
    assert reader.take(1_000_000, NOW, 0.0) == b""


def test_after_the_end_of_a_selector_no_progress_that_was_held_back_is_sent():
    sidecar = Sidecar()
    sidecar.session.set_max_rate(None, 0.5)
    for value in (0.1, 0.2):
        sidecar.write(progress(value))
        sidecar.flush()
    assert sidecar.session.next_due == NOW + 2.0
    take_all(sidecar.hub.subscriptions.unselect(sidecar.session, EVERYTHING))
    assert sidecar.session.next_due is None
    sidecar.flush(NOW + 2.0)
    assert [one["data"]["progress"] for one in sidecar.socket.frames()] == [0.1]
