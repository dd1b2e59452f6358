"""A RabbitMQ whose memory is full: it takes nothing, and reads no more of whoever writes."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from support.conditions import eventually
from support.sample_events import lost, stalled

from celery_wsprogress.backoff import Backoff
from celery_wsprogress.brokers import (
    EXCHANGE,
    BrokerAddress,
    open_reader,
    open_writer,
)
from celery_wsprogress.brokers.amqp import epochs
from celery_wsprogress.brokers.amqp.stream_queue import name_log
from celery_wsprogress.brokers.batch_writer import Announcements, BatchWriter
from celery_wsprogress.brokers.failure import BrokerBlocked, describe
from celery_wsprogress.sidecar.liveness.log_appender import LogAppender


def words_in(entries):
    """Which of these words were read."""
    return {word for word in (b'"b"', b"WorkerLost") if any(word in one.batch for one in entries)}


def meanwhile(step, call, *arguments):
    """Call something that takes its time, and go on with the steps: heartbeats are to be given."""
    with ThreadPoolExecutor(1) as pool:
        called = pool.submit(call, *arguments)
        while not called.done():
            step()
    return called.result()


@pytest.mark.timeout(300)
def test_an_alarm_costs_no_connections_and_no_events(own_rabbitmq, monkeypatch, caplog):
    monkeypatch.setattr(epochs, "BLOCKED_RETRY_INTERVAL", 0.1)
    address = BrokerAddress(own_rabbitmq.url, {"read_timeout": 1.0, "heartbeat": 4.0})
    writer = BatchWriter(
        lambda: open_writer(address),
        "here",
        Announcements(unreachable="Task events cannot reach %s: %s", program_error="%s"),
        backoff=Backoff(lambda: 0.0),
        idle_timeout=1.0,
    )
    appender = LogAppender(address)
    entries = []
    with closing(open_reader(address)) as reader, closing(writer):

        def go_on():
            """What worker and sidecar do all the time."""
            assert writer.flush(time.monotonic()) or blocked
            writer.tick(time.monotonic())
            entries.extend(reader.read(entries[-1].position if entries else "", wait=0.1))
            if blocked:
                appender.append([lost()])

        blocked = False
        writer.prepare([b'{"event_type":"a"}'], confirm=True)
        appender.append([stalled()])
        eventually(lambda: go_on() or len(entries) >= 2)

        meanwhile(go_on, own_rabbitmq.control, "set_vm_memory_high_watermark", "0.000001")
        blocked = True
        writer.prepare([b'{"event_type":"b"}'], confirm=True)
        opened = meanwhile(go_on, own_rabbitmq.count_connections)
        until = time.monotonic() + 10  # several heartbeats, and longer than a writer may be idle
        while time.monotonic() < until:
            go_on()
        assert writer.pending
        assert meanwhile(go_on, own_rabbitmq.count_connections) <= opened == 3
        for said in ("Task events cannot reach here", "What this sidecar concludes"):
            (record,) = [one for one in caplog.records if said in one.getMessage()]
            assert "BrokerBlocked: the broker takes nothing until an alarm" in record.getMessage()

        meanwhile(go_on, own_rabbitmq.control, "set_vm_memory_high_watermark", "0.9")
        eventually(lambda: go_on() or len(words_in(entries)) == 2)
        blocked = False
        assert meanwhile(go_on, own_rabbitmq.count_connections) <= opened
    appender.stop()

    # Nobody has made the log yet: that takes a message, too.
    with own_rabbitmq.connect() as connection:
        connection.channel().queue_delete(name_log(EXCHANGE))
    own_rabbitmq.control("set_vm_memory_high_watermark", "0.000001")
    with pytest.raises(BrokerBlocked) as caught:
        open_writer(address)
    assert "alarm" in describe(caught.value)
    own_rabbitmq.control("set_vm_memory_high_watermark", "0.9")
    eventually(lambda: open_reader(address).close() or True)
