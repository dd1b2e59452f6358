import logging
import threading
from contextlib import suppress

import pytest
from amqp.exceptions import ConsumerCancelled
from support.conditions import eventually
from support.event_log import batches, opened, publish, read_until

from celery_wsprogress.brokers import (
    EXCHANGE,
    MAX_BATCH_BYTES,
    BrokerAddress,
    open_reader,
    open_writer,
)
from celery_wsprogress.brokers.amqp import stream
from celery_wsprogress.brokers.amqp.epochs import name_epochs
from celery_wsprogress.brokers.amqp.stream_queue import name_log


@pytest.fixture
def address(rabbitmq_url):
    return BrokerAddress(rabbitmq_url)


@pytest.fixture
def warnings(caplog, monkeypatch):
    """Gives what was warned of: each warning is one a process, so it is made to forget."""
    for name in ("_warned_of_arguments", "_warned_of_refusal"):
        monkeypatch.setattr(stream, name, threading.Event())
    caplog.set_level(logging.WARNING, "celery_wsprogress")
    return lambda: [record.getMessage() for record in caplog.records]


def read_for_ever(reader, position):
    while True:
        entries = reader.read(position, wait=600)
        position = entries[-1].position


def test_positions_are_whole_numbers_from_0(address):
    publish(address, b"a", b"b")
    entries = read_until(open_reader(address), 2)
    assert [entry[:2] for entry in entries] == [("0", b"a"), ("1", b"b")]


def test_what_is_written_before_any_reader_is_kept(address):
    publish(address, b"early")
    reader = open_reader(address)
    assert reader.replayable
    assert batches(read_until(reader, 1)) == [b"early"]


def test_many_writers_that_come_at_once_make_one_log(address):
    """All find no stream and make it; the first epoch counts."""
    barrier = threading.Barrier(8)
    written = {b"%d" % number for number in range(8)}

    def write(batch):
        barrier.wait()
        eventually(lambda: is_published(address, batch))

    threads = [threading.Thread(target=write, args=[batch]) for batch in written]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one, other = open_reader(address), open_reader(address)
    assert one.epoch == other.epoch
    eventually(lambda: set(batches(one.read("", wait=0.5))) == written)


def is_published(address, batch):
    """Try it, as a worker does: the broker may refuse what comes while the stream is being made."""
    with suppress(Exception):
        publish(address, batch)
        return True
    return False


def test_a_log_that_was_deleted_and_made_again_is_a_new_epoch(address, channel):
    """Also when it has grown beyond the old position by then."""
    publish(address, b"1", b"2")
    reader = open_reader(address)
    last = read_until(reader, 2)[-1]
    reader.close()
    channel.queue_delete(name_log(EXCHANGE))
    publish(address, b"3", b"4", b"5", b"6")
    again = open_reader(address, last.position, reader.epoch)
    assert again.epoch != reader.epoch
    assert batches(read_until(again, 4)) == [b"3", b"4", b"5", b"6"]
    assert open_reader(address).epoch == again.epoch


def test_a_log_that_is_deleted_under_a_reader_is_an_error(address, channel):
    publish(address, b"1")
    reader = open_reader(address)
    (entry,) = read_until(reader, 1)
    channel.queue_delete(name_log(EXCHANGE))
    with pytest.raises(ConsumerCancelled):
        reader.read(entry.position, wait=600)
    again = open_reader(address, entry.position, reader.epoch)
    assert again.epoch != reader.epoch
    publish(address, b"2")
    assert batches(read_until(again, 1)) == [b"2"]


def test_the_epochs_that_are_deleted_under_a_reader_are_made_again(address, channel):
    publish(address, b"1")
    reader = open_reader(address)
    read_until(reader, 1)
    channel.queue_delete(name_epochs(EXCHANGE))
    with pytest.raises(ConsumerCancelled):
        reader.read("0", wait=600)
    one, other = open_reader(address, "0", reader.epoch), open_reader(address)
    assert one.epoch == other.epoch != reader.epoch


def test_what_no_log_would_keep_is_not_confirmed(address, channel):
    writer = open_writer(address)
    channel.queue_delete(name_log(EXCHANGE))
    with pytest.raises(Exception, match="NO_ROUTE"):
        writer.publish(b"lost", confirm=True)
    writer.close()
    publish(address, b"written again")
    assert batches(read_until(open_reader(address), 1)) == [b"written again"]


def test_the_log_takes_what_it_may(address):
    """And what is retained is read by those who come late."""
    address = address._replace(log_bytes=1_000_000)
    batch = b"x" * MAX_BATCH_BYTES
    publish(address, batch)
    epoch = open_reader(address).epoch
    writer = open_writer(address)

    def trimmed():
        writer.publish(batch, confirm=True)
        return open_reader(address).read("", wait=5)[0].position != "0"

    for _ in range(100):
        writer.publish(batch, confirm=True)
    eventually(trimmed)
    retained = open_reader(address)
    first = retained.read("", wait=5)[0]
    size = (int(retained.end) - int(first.position) + 1) * MAX_BATCH_BYTES
    assert size < 1_500_000
    # Whoever was away since then goes on with what there is.
    late = open_reader(address, "0", epoch)
    assert late.epoch == epoch
    assert late.read("0", wait=5)[0] == first


def test_a_stream_with_other_arguments_is_used_as_it_is(address, warnings):
    publish(address, b"1")
    address = address._replace(log_bytes=5_000_000)
    publish(address, b"2")
    for _ in range(2):
        assert batches(read_until(open_reader(address), 2)) == [b"1", b"2"]
    (warning,) = warnings()
    assert "used as it is" in warning
    assert "x-max-length-bytes" in warning
    assert f"delete the queue {EXCHANGE}.log" in warning
    assert "wsprogress_log_bytes" in warning


def test_whoever_may_not_declare_uses_what_others_declared(address, rabbitmq_server, warnings):
    publish(address, b"1")
    only = BrokerAddress(rabbitmq_server.url_of("only", may_declare=f"^{EXCHANGE}$"))
    publish(only, b"2")
    reader = open_reader(only)
    assert reader.replayable
    assert batches(read_until(reader, 2)) == [b"1", b"2"]


def test_without_the_right_to_make_a_stream_it_is_live_only(address, rabbitmq_server, warnings):
    allowed = rf"^{EXCHANGE}(\..*\.[0-9a-f]+)?$"
    limited = BrokerAddress(rabbitmq_server.url_of("limited", may_declare=allowed))
    check_live_only(limited)
    (warning,) = warnings()
    assert "live only" in warning
    assert "guest" not in warning


@pytest.mark.timeout(300)
def test_where_streams_are_switched_off_it_is_live_only(rabbitmq_without_streams, warnings):
    address = BrokerAddress(rabbitmq_without_streams.url)
    if open_reader(address).replayable:
        pytest.skip("this server cannot be without streams")
    check_live_only(address)
    (warning,) = warnings()
    assert "live only" in warning


def check_live_only(address):
    publish(address, b"nobody listens")
    one, other = open_reader(address), open_reader(address)
    assert not one.replayable
    assert one.end == ""
    assert one.epoch != other.epoch
    publish(address, b"live")
    assert batches(read_until(one, 1)) == [b"live"]
    one.close()
    publish(address, b"while it was away")
    again = open_reader(address, "1", one.epoch)
    assert again.epoch == one.epoch
    assert b"while it was away" in batches(read_until(again, 1))


def test_a_message_without_anything_is_an_empty_batch(address, channel):
    import amqp

    reader = open_reader(address)
    channel.basic_publish(amqp.Message(), exchange=EXCHANGE)
    assert batches(read_until(reader, 1)) == [b""]


@pytest.mark.timeout(300)
def test_stopped_killed_and_back_with_its_data_and_without(own_rabbitmq):
    """One server for all of it: starting one takes its time."""
    address = BrokerAddress(own_rabbitmq.url, {"heartbeat": 2.0})
    publish(address, *(b"%d" % n for n in range(100)))
    reader = open_reader(address)
    (*_, last) = read_until(reader, 50)

    own_rabbitmq.pause()
    with pytest.raises(Exception, match="heartbeats"):
        read_for_ever(reader, last.position)
    reader.close()
    own_rabbitmq.resume()

    writer = open_writer(address)
    reader = open_reader(address, last.position, reader.epoch)
    for n in range(100, 200):
        writer.publish(b"%d" % n, confirm=True)
    own_rabbitmq.kill()
    for _ in range(2):  # a broken connection is not replaced behind anybody's back
        with pytest.raises(Exception, match=r"."):
            read_for_ever(reader, last.position)
    for thing in (writer, reader):
        thing.close()
    own_rabbitmq.start()
    writer = opened(open_writer, address)
    again = opened(open_reader, address, "60", reader.epoch)
    assert again.epoch == reader.epoch
    writer.publish(b"200", confirm=True)
    assert batches(read_until(again, 140, "60")) == [b"%d" % n for n in range(61, 201)]

    own_rabbitmq.kill()
    own_rabbitmq.start(fresh=True)
    publish(address, b"new")
    fresh = open_reader(address, "60", reader.epoch)
    assert fresh.epoch != reader.epoch
    assert batches(read_until(fresh, 1)) == [b"new"]
