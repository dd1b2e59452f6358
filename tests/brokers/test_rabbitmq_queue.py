import logging
import os
import socket
import threading

import pytest
from servers import free_port
from waiting import eventually

from celery_wsprogress.brokers import (
    EXCHANGE,
    BrokerAddress,
    amqp_connection,
    open_reader,
    open_writer,
    rabbitmq_queue,
)

SHORT = {"read_timeout": 0.5, "write_timeout": 0.5}


@pytest.fixture
def address(rabbitmq_url):
    return BrokerAddress(rabbitmq_url)


@pytest.fixture
def channel(rabbitmq_server):
    with rabbitmq_server.connect() as connection:
        yield connection.channel()


def queue_of(reader):
    return f"{EXCHANGE}.{socket.gethostname()}.{reader.epoch}"


def publish_for_ever(writer):
    while True:
        writer.publish(b"x" * 30_000, confirm=False)


def read_all(reader, count):
    entries = []

    def enough():
        entries.extend(reader.read("", wait=1.0))
        return len(entries) >= count

    eventually(enough)
    return entries


def test_a_reader_comes_back_to_its_queue(address):
    reader, writer = open_reader(address), open_writer(address)
    writer.publish(b"1", confirm=True)
    (first,) = read_all(reader, 1)
    reader.read(first.position, wait=0)  # which acknowledges it
    reader.read(first.position, wait=0.2)
    reader.close()
    writer.publish(b"2", confirm=True)
    again = open_reader(address, first.position, reader.epoch)
    assert again.epoch == reader.epoch
    assert [tuple(entry) for entry in read_all(again, 1)] == [("2", b"2")]


def test_what_was_not_acknowledged_comes_again(address):
    reader, writer = open_reader(address), open_writer(address)
    writer.publish(b"1", confirm=True)
    (first,) = read_all(reader, 1)
    reader.close()
    again = open_reader(address, first.position, reader.epoch)
    assert [entry.batch for entry in read_all(again, 1)] == [b"1"]


def test_a_first_reader_starts_now(address):
    first, writer = open_reader(address), open_writer(address)
    writer.publish(b"before", confirm=True)
    reader = open_reader(address)
    writer.publish(b"after", confirm=True)
    assert reader.epoch != first.epoch
    assert not reader.replayable
    assert [entry.batch for entry in read_all(reader, 1)] == [b"after"]


def test_a_queue_that_is_gone_is_a_new_epoch(address, channel):
    reader = open_reader(address)
    reader.close()
    channel.queue_delete(queue_of(reader))
    again = open_reader(address, "17", reader.epoch)
    assert again.epoch != reader.epoch
    open_writer(address).publish(b"1", confirm=True)
    assert [entry.position for entry in read_all(again, 1)] == ["1"]


def test_the_queue_is_durable_capped_and_expires(address, channel):
    reader = open_reader(address)
    # Declaring it with the same arguments is the broker's own comparison.
    channel.queue_declare(
        queue_of(reader),
        durable=True,
        exclusive=False,
        auto_delete=False,
        arguments={
            "x-queue-type": "classic",
            "x-expires": 300_000,
            "x-max-length-bytes": 64_000_000,
            "x-overflow": "drop-head",
        },
    )


def test_an_exchange_of_another_kind_is_used_as_it_is(address, channel, caplog, monkeypatch):
    monkeypatch.setattr(rabbitmq_queue, "_warned_of_exchange", threading.Event())
    channel.exchange_declare(EXCHANGE, "fanout", durable=False, auto_delete=False)
    with caplog.at_level(logging.WARNING, "celery_wsprogress"):
        reader, writer = open_reader(address), open_writer(address)
    writer.publish(b"1", confirm=True)
    assert [entry.batch for entry in read_all(reader, 1)] == [b"1"]
    assert len([r for r in caplog.records if "other arguments" in r.message]) == 1


def test_an_exchange_that_is_deleted_is_an_error_and_then_made_again(address, channel):
    writer = open_writer(address)
    channel.exchange_delete(EXCHANGE)
    with pytest.raises(Exception, match="NOT_FOUND"):
        writer.publish(b"1", confirm=True)
    writer.close()
    reader = open_reader(address)
    open_writer(address).publish(b"2", confirm=True)
    assert [entry.batch for entry in read_all(reader, 1)] == [b"2"]


def test_only_what_is_confirmed_is_persistent(address, channel):
    queue = channel.queue_declare("", exclusive=True).queue
    writer = open_writer(address)
    channel.queue_bind(queue, EXCHANGE)
    writer.publish(b"end", confirm=True)
    writer.publish(b"progress", confirm=False)
    modes = {}

    def both():
        message = channel.basic_get(queue, no_ack=True)
        if message is not None:
            modes[message.body] = message.properties["delivery_mode"]
        return len(modes) == 2

    eventually(both)
    assert modes == {"end": 2, "progress": 1}


def test_heartbeats_keep_an_idle_connection(address, monkeypatch):
    monkeypatch.setattr(amqp_connection, "HEARTBEAT", 2.0)
    reader, writer = open_reader(address), open_writer(address)
    for _ in range(30):  # six seconds: the broker would have closed either of them by now
        assert list(reader.read("", wait=0.2)) == []
        writer.keep_alive()
    writer.publish(b"1", confirm=True)
    assert [entry.batch for entry in read_all(reader, 1)] == [b"1"]


def test_a_writer_that_was_forked_lets_the_parents_connection_be(address):
    reader, writer = open_reader(address), open_writer(address)
    child = os.fork()
    if not child:
        writer.close()
        os._exit(0)
    os.waitpid(child, 0)
    writer.publish(b"1", confirm=True)
    assert [entry.batch for entry in read_all(reader, 1)] == [b"1"]


def test_the_first_url_that_answers_is_taken(rabbitmq_url):
    nobody = f"amqp://guest:guest@127.0.0.1:{free_port()}//"
    open_writer(BrokerAddress(f"{nobody};{rabbitmq_url}")).publish(b"1", confirm=True)


@pytest.mark.timeout(300)
def test_stopped_killed_and_back(own_rabbitmq, monkeypatch):
    """One server for all of it: starting one takes its time."""
    monkeypatch.setattr(amqp_connection, "HEARTBEAT", 2.0)
    address = BrokerAddress(own_rabbitmq.url, SHORT)
    writer, other, reader = open_writer(address), open_writer(address), open_reader(address)
    writer.publish(b"1", confirm=True)
    (first,) = read_all(reader, 1)

    own_rabbitmq.pause()
    with pytest.raises(TimeoutError):
        writer.publish(b"2", confirm=True)
    with pytest.raises(Exception, match=r"timed out|temporarily unavailable"):
        publish_for_ever(other)
    with pytest.raises(Exception, match="heartbeats"):
        reader.read(first.position, wait=600)
    for thing in (writer, other, reader):
        thing.close()
    own_rabbitmq.resume()

    writer, reader = open_writer(address), open_reader(address, first.position, reader.epoch)
    own_rabbitmq.kill()
    for _ in range(2):  # a broken connection is not replaced behind anybody's back
        with pytest.raises(Exception, match=r"."):
            writer.keep_alive()
        with pytest.raises(Exception, match=r"."):
            reader.read(first.position, wait=600)
    for thing in (writer, reader):
        thing.close()
    with pytest.raises(OSError, match="refused"):
        open_writer(address)
    own_rabbitmq.start()

    open_writer(address).publish(b"while the sidecar was away", confirm=True)
    again = open_reader(address, first.position, reader.epoch)
    assert again.epoch == reader.epoch
    assert read_all(again, 1)[-1].batch == b"while the sidecar was away"
