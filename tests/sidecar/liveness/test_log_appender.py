"""What a sidecar writes, on real brokers."""

from __future__ import annotations

import pytest
from support.conditions import eventually
from support.sample_events import lost, result, stalled

from celery_wsprogress.brokers import MAX_BATCH_BYTES, BrokerAddress, open_reader
from celery_wsprogress.protocol import batches
from celery_wsprogress.sidecar.liveness import log_appender
from celery_wsprogress.sidecar.liveness.log_appender import LogAppender


@pytest.fixture
def appender(broker_url):
    made = LogAppender(BrokerAddress(broker_url))
    yield made
    made.stop()


@pytest.fixture
def read(broker_url):
    """Batches from the log, decoded, once there are so many events in them."""
    reader = open_reader(BrokerAddress(broker_url))
    found, position = [], ""

    def read(count):
        def enough():
            nonlocal position
            for entry in reader.read(position, wait=0.2):
                assert len(entry.batch) <= MAX_BATCH_BYTES
                found.append(batches.decode_batch(entry.batch))
                position = entry.position
            return sum(len(batch.events) for batch in found) >= count

        eventually(enough)
        return found

    yield read
    reader.close()


def test_a_conclusion_is_read_back_as_it_was(appender, read):
    appender.append([stalled(), lost()])
    [batch] = read(2)
    assert batch.events == [stalled(), lost()]
    assert batch.counter == 1


def test_many_go_together_as_far_as_they_fit_and_in_their_order(appender, read):
    events = [result("x" * 5_000, run=f"r{number}") for number in range(40)]
    for event in events:
        appender.append([event])
    batches = read(40)
    assert [event for batch in batches for event in batch.events] == events
    assert len(batches) < 40
    assert [batch.counter for batch in batches] == list(range(1, len(batches) + 1))


def test_what_waits_at_the_end_is_written(appender, read):
    appender.append([stalled()])
    appender.stop()
    assert read(1)[0].events == [stalled()]


def test_stopping_one_that_never_wrote_is_nothing(broker_url):
    LogAppender(BrokerAddress(broker_url)).stop()


def test_a_connection_nobody_needs_is_closed_and_opened_again(broker_url, read, monkeypatch):
    monkeypatch.setattr(log_appender, "KEEP_ALIVE_INTERVAL", 0.02)
    appender = LogAppender(BrokerAddress(broker_url), idle_timeout=0.1)
    try:
        appender.append([stalled()])
        read(1)
        eventually(lambda: not appender._batches.connected)
        appender.append([lost()])
        assert [batch.counter for batch in read(2)] == [1, 2]
    finally:
        appender.stop()


def test_what_a_broker_that_is_away_did_not_take_is_gone_and_leaves_no_gap(own_redis):
    appender = LogAppender(BrokerAddress(own_redis.url))
    appender.append([stalled(run="r1")])
    reader = open_reader(BrokerAddress(own_redis.url))
    eventually(lambda: reader.read("", wait=0.2))
    reader.close()
    own_redis.kill()
    appender.append([stalled(run="r2")])
    eventually(lambda: not appender._batches.connected)
    own_redis.start()
    appender.append([stalled(run="r3")])
    reader = open_reader(BrokerAddress(own_redis.url))
    eventually(lambda: len(reader.read("", wait=0.2)) == 3)
    found = [batches.decode_batch(entry.batch) for entry in reader.read("", wait=0.2)]
    # The second one is empty.
    assert [batch.counter for batch in found] == [1, 2, 3]
    assert [event.run for batch in found for event in batch.events] == ["r1", "r3"]
    reader.close()
    appender.stop()
