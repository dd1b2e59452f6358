import os

import pytest
from support.conditions import eventually
from support.event_log import batches, read_until
from support.ports import free_port

from celery_wsprogress.brokers import EXCHANGE, BrokerAddress, open_reader, open_writer

SHORT = {"read_timeout": 0.5, "write_timeout": 0.5}


@pytest.fixture
def address(rabbitmq_url):
    return BrokerAddress(rabbitmq_url)


def publish_for_ever(writer):
    while True:
        writer.publish(b"x" * 30_000, confirm=False)


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


def test_an_exchange_that_is_deleted_is_an_error_and_then_made_again(address, channel):
    writer = open_writer(address)
    channel.exchange_delete(EXCHANGE)
    with pytest.raises(Exception, match="NOT_FOUND"):
        writer.publish(b"1", confirm=True)
    writer.close()
    open_writer(address).publish(b"2", confirm=True)
    assert batches(read_until(open_reader(address), 1)) == [b"2"]


def test_heartbeats_keep_an_idle_connection(rabbitmq_url):
    address = BrokerAddress(rabbitmq_url, {"heartbeat": 2.0})
    reader, writer = open_reader(address), open_writer(address)
    for _ in range(30):  # six seconds: the broker would have closed either of them by now
        assert list(reader.read("", wait=0.2)) == []
        writer.keep_alive()
    writer.publish(b"1", confirm=True)
    assert batches(read_until(reader, 1)) == [b"1"]


def test_a_writer_that_was_forked_lets_the_parents_connection_be(address):
    reader, writer = open_reader(address), open_writer(address)
    child = os.fork()
    if not child:
        writer.close()
        os._exit(0)
    os.waitpid(child, 0)
    writer.publish(b"1", confirm=True)
    assert batches(read_until(reader, 1)) == [b"1"]


def test_the_first_url_that_answers_is_taken(rabbitmq_url):
    nobody = f"amqp://guest:guest@127.0.0.1:{free_port()}//"
    open_writer(BrokerAddress(f"{nobody};{rabbitmq_url}")).publish(b"1", confirm=True)


@pytest.mark.timeout(300)
def test_a_stopped_broker_is_not_waited_for(own_rabbitmq):
    address = BrokerAddress(own_rabbitmq.url, SHORT)
    writer, other = open_writer(address), open_writer(address)
    own_rabbitmq.pause()
    with pytest.raises(TimeoutError):
        writer.publish(b"2", confirm=True)
    with pytest.raises(Exception, match=r"timed out|temporarily unavailable"):
        publish_for_ever(other)
    with pytest.raises(Exception, match=r"timed out"):
        open_writer(address)
    for thing in (writer, other):
        thing.close()
    own_rabbitmq.resume()

    writer = open_writer(address)
    own_rabbitmq.kill()
    for _ in range(2):  # a broken connection is not replaced behind anybody's back
        with pytest.raises(Exception, match=r"."):
            writer.keep_alive()
    writer.close()
    with pytest.raises(OSError, match="refused"):
        open_writer(address)
