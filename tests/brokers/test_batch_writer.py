from __future__ import annotations

import time

import pytest

from celery_wsprogress.backoff import MAX_DELAY, Backoff
from celery_wsprogress.brokers.batch_writer import IDLE_TIMEOUT, Announcements, BatchWriter
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.protocol import batches
from celery_wsprogress.protocol.events import Completed, CompletedData

EVENT = batches.encode_event(
    Completed(operation_id="op-1", timestamp=1.0, data=CompletedData(status="completed"))
)
HEARTBEAT = ([EVENT], [("op-1", "r1")], 7.5)

ANNOUNCEMENTS = Announcements(
    unreachable="%s cannot be reached (%s)",
    reachable="%s is reached again",
    program_error="%s: an error in a program",
)


class Broker:
    """Takes batches while it is there; opens writers that break with it."""

    def __init__(self):
        self.batches = []
        self.opened = 0
        self.there = True
        self.error = ConnectionError("no route to amqp://me:secret@broker")

    def open_writer(self):
        if not self.there:
            raise self.error
        self.opened += 1
        return BrokerWriter(self)


class BrokerWriter:
    def __init__(self, broker):
        self.broker = broker
        self.closed = False
        self.generation = broker.opened

    def publish(self, batch, *, confirm):
        assert not self.closed
        if not self.broker.there or self.generation != self.broker.opened:
            raise ConnectionError("broken pipe")
        self.broker.batches.append((batches.decode_batch(batch), confirm))

    def keep_alive(self):
        if not self.broker.there:
            raise ConnectionError("broken pipe")

    def close(self):
        self.closed = True


@pytest.fixture
def broker():
    return Broker()


@pytest.fixture
def writer(broker):
    return BatchWriter(
        broker.open_writer, "test://broker", ANNOUNCEMENTS, backoff=Backoff(chance=lambda: 1.0)
    )


def send(writer, now=0.0, *, confirm=True):
    writer.prepare([EVENT], confirm=confirm)
    return writer.flush(now)


def test_batches_are_counted_and_named(writer, broker):
    assert send(writer, confirm=True)
    assert send(writer, confirm=False)
    (one, first), (two, second) = broker.batches
    assert (one.counter, two.counter) == (1, 2)
    assert one.writer == two.writer != ""
    assert (first, second) == (True, False)
    assert broker.opened == 1


def test_a_broken_connection_is_replaced_at_once_and_without_a_word(writer, broker, caplog):
    send(writer)
    broker.opened += 1
    assert not send(writer, now=7.0)
    assert writer.pending
    assert writer.retry_at == 7.0
    assert not writer.broker_down
    assert writer.flush(7.0)
    assert [batch.counter for batch, _ in broker.batches] == [1, 2]
    assert caplog.text == ""


def test_a_batch_that_failed_keeps_its_counter(writer, broker):
    broker.there = False
    assert not send(writer)
    for _ in range(3):
        assert not writer.flush(0.0)
    broker.there = True
    assert writer.flush(0.0)
    assert not writer.pending
    assert send(writer)
    assert [batch.counter for batch, _ in broker.batches] == [1, 2]


def test_pauses_grow_up_to_a_limit(writer, broker):
    broker.there = False
    send(writer)
    pauses = []
    for _ in range(10):
        writer.flush(100.0)
        pauses.append(writer.retry_at - 100.0)
    assert pauses == sorted(pauses)
    assert pauses[0] == 0.5
    assert pauses[-1] == MAX_DELAY
    broker.there = True
    writer.flush(200.0)
    broker.there = False
    send(writer)
    writer.flush(300.0)
    assert writer.retry_at == 300.5


def test_one_line_when_the_broker_goes_and_one_when_it_returns(writer, broker, caplog):
    broker.there = False
    send(writer)
    for _ in range(20):
        writer.flush(0.0)
    assert writer.broker_down
    broker.there = True
    writer.flush(0.0)
    send(writer)
    assert [record.getMessage() for record in caplog.records] == [
        "test://broker cannot be reached (ConnectionError)",
        "test://broker is reached again",
    ]


def test_what_a_client_library_says_is_not_logged(writer, broker, caplog):
    """It may quote the URL, and so a password."""
    caplog.set_level("DEBUG")
    broker.there = False
    send(writer)
    writer.flush(0.0)
    broker.there = True
    writer.flush(0.0)
    writer._writer.keep_alive = broker.open_writer
    broker.there = False
    writer.tick(1.0)
    assert len(caplog.records) == 3
    assert "secret" not in caplog.text


def test_a_bad_address_is_explained(writer, broker, caplog):
    broker.there = False
    broker.error = ConfigurationError("broker URL", "redis://:***@x/nine", "a number")
    send(writer)
    writer.flush(0.0)
    assert "broker URL is 'redis://:***@x/nine'" in caplog.text


@pytest.mark.parametrize("kind", [TypeError, AttributeError, NameError, ImportError])
def test_an_error_in_a_program_is_told_once_as_what_it_is(writer, broker, caplog, kind):
    broker.there = False
    broker.error = kind("get_connection() missing 1 required positional argument")
    send(writer)
    for _ in range(20):
        writer.flush(0.0)
    [record] = caplog.records
    assert "an error in a program" in record.getMessage()
    assert "cannot be reached" not in record.getMessage()
    assert record.exc_info[0] is kind
    broker.there = True
    assert writer.flush(0.0)


def test_a_sign_is_written_like_any_batch(writer, broker):
    writer.prepare(*HEARTBEAT, confirm=False, perishable=True)
    assert writer.flush(0.0)
    send(writer)
    (sign, confirm), (batch, _) = broker.batches
    assert (sign.alive, sign.at, len(sign.events)) == ((("op-1", "r1"),), 7.5, 1)
    assert confirm is False
    assert batch.alive == ()
    assert [sign.counter, batch.counter] == [1, 2]


def test_a_sign_survives_a_connection_that_was_closed_at_the_other_end(writer, broker):
    send(writer)
    broker.opened += 1
    writer.prepare(*HEARTBEAT, confirm=False, perishable=True)
    assert not writer.flush(0.0)
    assert writer.flush(0.0)
    assert broker.batches[-1][0].alive == (("op-1", "r1"),)


def test_a_sign_is_not_kept_while_the_broker_is_away_and_leaves_no_gap(writer, broker):
    send(writer)
    broker.there = False
    writer.prepare(*HEARTBEAT, confirm=False, perishable=True)
    for _ in range(5):
        assert not writer.flush(0.0)
    assert writer.broker_down
    broker.there = True
    assert writer.flush(0.0)
    assert send(writer)
    batches = [batch for batch, _ in broker.batches]
    assert [batch.counter for batch in batches] == [1, 2, 3]
    assert (batches[1].alive, batches[1].events) == ((), [])


def test_a_batch_after_a_sign_that_was_given_up_is_kept(writer, broker):
    broker.there = False
    writer.prepare(*HEARTBEAT, confirm=False, perishable=True)
    writer.flush(0.0)
    writer.flush(0.0)
    broker.there = True
    writer.flush(0.0)
    broker.there = False
    send(writer)
    writer.flush(0.0)
    writer.flush(0.0)
    broker.there = True
    assert writer.flush(0.0)
    assert len(broker.batches[-1][0].events) == 1


def test_an_idle_connection_is_let_go(writer, broker):
    send(writer, now=100.0)
    writer.tick(100.0 + IDLE_TIMEOUT - 1)
    assert writer.connected
    writer.tick(100.0 + IDLE_TIMEOUT)
    assert not writer.connected
    assert send(writer, now=1000.0)
    assert broker.opened == 2


def test_a_connection_that_dies_while_idle_is_no_loss(writer, broker, caplog):
    send(writer)
    broker.there = False
    writer.tick(1.0)
    assert not writer.connected
    writer.tick(2.0)
    broker.there = True
    assert send(writer)
    assert caplog.text == ""


def test_the_overhead_is_that_of_the_next_batch(writer):
    assert writer.overhead >= len(batches.join_batch("x" * 8, 1, (), sent=time.time()))
