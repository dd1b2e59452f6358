import socket

import pytest
from support.event_log import batches, opened, read_until

from celery_wsprogress.brokers import EXCHANGE, BrokerAddress, open_writer
from celery_wsprogress.brokers.amqp.queue import open_reader

SHORT = {"read_timeout": 0.5, "write_timeout": 0.5}


@pytest.fixture
def address(rabbitmq_url):
    return BrokerAddress(rabbitmq_url)


def queue_of(reader):
    return f"{EXCHANGE}.{socket.gethostname()}.{reader.epoch}"


def test_a_reader_comes_back_to_its_queue(address):
    reader, writer = open_reader(address, "", ""), open_writer(address)
    writer.publish(b"1", confirm=True)
    (first,) = read_until(reader, 1)
    reader.read(first.position, wait=0)  # which acknowledges it
    reader.read(first.position, wait=0.2)
    reader.close()
    writer.publish(b"2", confirm=True)
    again = open_reader(address, first.position, reader.epoch)
    assert again.epoch == reader.epoch
    assert [entry[:2] for entry in read_until(again, 1)] == [("2", b"2")]


def test_what_was_not_acknowledged_comes_again(address):
    reader, writer = open_reader(address, "", ""), open_writer(address)
    writer.publish(b"1", confirm=True)
    (first,) = read_until(reader, 1)
    reader.close()
    again = open_reader(address, first.position, reader.epoch)
    assert [entry.batch for entry in read_until(again, 1)] == [b"1"]


def test_a_first_reader_starts_now(address):
    first, writer = open_reader(address, "", ""), open_writer(address)
    writer.publish(b"before", confirm=True)
    reader = open_reader(address, "", "")
    writer.publish(b"after", confirm=True)
    assert reader.epoch != first.epoch
    assert not reader.replayable
    assert [entry.batch for entry in read_until(reader, 1)] == [b"after"]


def test_a_queue_that_is_gone_is_a_new_epoch(address, channel):
    reader = open_reader(address, "", "")
    reader.close()
    channel.queue_delete(queue_of(reader))
    again = open_reader(address, "17", reader.epoch)
    assert again.epoch != reader.epoch
    open_writer(address).publish(b"1", confirm=True)
    assert [entry.position for entry in read_until(again, 1)] == ["1"]


@pytest.mark.parametrize(
    ("said", "most"),
    [(None, 64_000_000), (2_000_000, 2_000_000), (10**9, 64_000_000)],
)
def test_the_queue_is_durable_capped_and_expires(address, channel, said, most):
    reader = open_reader(address._replace(log_bytes=said), "", "")
    # Declaring it with the same arguments is the broker's own comparison.
    channel.queue_declare(
        queue_of(reader),
        durable=True,
        exclusive=False,
        auto_delete=False,
        arguments={
            "x-queue-type": "classic",
            "x-expires": 300_000,
            "x-max-length-bytes": most,
            "x-overflow": "drop-head",
        },
    )


def test_heartbeats_keep_an_idle_reader(rabbitmq_url):
    address = BrokerAddress(rabbitmq_url, {"heartbeat": 2.0})
    reader = open_reader(address, "", "")
    for _ in range(30):  # six seconds: the broker would have closed it by now
        assert list(reader.read("", wait=0.2)) == []
    open_writer(address).publish(b"1", confirm=True)
    assert batches(read_until(reader, 1)) == [b"1"]


@pytest.mark.timeout(300)
def test_stopped_killed_and_back(own_rabbitmq):
    """One server for all of it: starting one takes its time."""
    address = BrokerAddress(own_rabbitmq.url, {**SHORT, "heartbeat": 2.0})
    reader = open_reader(address, "", "")
    # A server that has just started may take longer to make a log.
    open_writer(BrokerAddress(own_rabbitmq.url)).publish(b"1", confirm=True)
    (first,) = read_until(reader, 1)

    own_rabbitmq.pause()
    with pytest.raises(Exception, match="heartbeats"):
        reader.read(first.position, wait=600)
    reader.close()
    own_rabbitmq.resume()

    reader = open_reader(address, first.position, reader.epoch)
    own_rabbitmq.kill()
    for _ in range(2):  # a broken connection is not replaced behind anybody's back
        with pytest.raises(Exception, match=r"."):
            reader.read(first.position, wait=600)
    reader.close()
    own_rabbitmq.start()

    opened(open_writer, address).publish(b"while the sidecar was away", confirm=True)
    again = opened(open_reader, address, first.position, reader.epoch)
    assert again.epoch == reader.epoch
    assert read_until(again, 1)[-1].batch == b"while the sidecar was away"
