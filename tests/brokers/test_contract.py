"""What every broker's writer and reader promise, whatever keeps the batches."""

import pickle
import threading
from pathlib import Path

import kombu
import pytest
from support.event_log import batches, read_until

from celery_wsprogress.brokers import EXCHANGE, MAX_BATCH_BYTES, BrokerAddress
from celery_wsprogress.brokers import open_reader as connect_reader
from celery_wsprogress.brokers import open_writer as connect_writer

REPLAYABLE = [
    pytest.param("redis_url", id="redis", marks=pytest.mark.redis),
    pytest.param("rabbitmq_url", id="rabbitmq", marks=pytest.mark.rabbitmq),
]
of_a_log = pytest.mark.parametrize("address", REPLAYABLE, indirect=True)
"""For what only a log that can be read again promises."""


@pytest.fixture(params=[*REPLAYABLE, pytest.param(None, id="memory")])
def address(request):
    url = request.getfixturevalue(request.param) if request.param else "memory://"
    return BrokerAddress(url)


@pytest.fixture
def opened():
    things = []
    yield things
    for thing in things:
        thing.close()


@pytest.fixture
def open_writer(address, opened):
    def opener():
        opened.append(connect_writer(address))
        return opened[-1]

    return opener


@pytest.fixture
def open_reader(address, opened):
    def opener(position="", epoch=""):
        opened.append(connect_reader(address, position, epoch))
        return opened[-1]

    return opener


def test_batches_come_back_as_the_bytes_they_were(open_writer, open_reader):
    reader, writer = open_reader(), open_writer()
    sent = [b'{"v":1}', b"", b"\x00\xff\xfe not text", "Grüße".encode(), b"x" * MAX_BATCH_BYTES]
    for batch in sent:
        writer.publish(batch, confirm=True)
    assert batches(read_until(reader, len(sent))) == sent


def test_order_is_kept_between_confirmed_and_unconfirmed(open_writer, open_reader):
    reader, writer = open_reader(), open_writer()
    sent = [b"%d" % n for n in range(1000)]
    for n, batch in enumerate(sent):
        writer.publish(batch, confirm=n % 7 == 0)
    assert batches(read_until(reader, len(sent))) == sent


def test_a_read_returns_many(open_writer, open_reader):
    reader, writer = open_reader(), open_writer()
    for n in range(200):
        writer.publish(b"%d" % n, confirm=True)
    entries, reads = [], 0
    while len(entries) < 200:
        position = entries[-1].position if entries else ""
        entries += reader.read(position, wait=0.5)
        reads += 1
    assert reads < 100


def test_positions_are_distinct_and_known_to_the_next_read(open_writer, open_reader):
    reader, writer = open_reader(), open_writer()
    for n in range(3):
        writer.publish(b"%d" % n, confirm=True)
    entries = read_until(reader, 3)
    writer.publish(b"3", confirm=True)
    entries += read_until(reader, 1, entries[-1].position)
    assert batches(entries) == [b"0", b"1", b"2", b"3"]
    assert len({entry.position for entry in entries}) == 4


def test_two_readers_both_get_everything(open_writer, open_reader):
    one, other, writer = open_reader(), open_reader(), open_writer()
    for n in range(50):
        writer.publish(b"%d" % n, confirm=True)
    expected = [b"%d" % n for n in range(50)]
    assert batches(read_until(one, 50)) == expected
    assert batches(read_until(other, 50)) == expected


def test_two_writers_reach_one_reader(open_writer, open_reader):
    reader, one, other = open_reader(), open_writer(), open_writer()
    one.publish(b"one", confirm=True)
    other.publish(b"other", confirm=True)
    assert batches(read_until(reader, 2)) == [b"one", b"other"]


def test_a_read_that_waits_in_vain_returns_nothing(open_reader):
    reader = open_reader()
    assert list(reader.read("", wait=0.2)) == []
    assert list(reader.read("", wait=0)) == []


def test_a_waiting_read_gets_what_is_published_meanwhile(open_writer, open_reader):
    reader, writer = open_reader(), open_writer()
    timer = threading.Timer(0.2, writer.publish, [b"late"], {"confirm": True})
    timer.start()
    assert batches(read_until(reader, 1)) == [b"late"]
    timer.join()


def test_closing_from_another_thread_ends_a_waiting_read(open_reader):
    reader = open_reader()
    outcome = []

    def read():
        try:
            while True:
                reader.read("", wait=600)
        except Exception as exc:
            outcome.append(exc)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    # Whether the read has begun to wait by now does not matter: it must end in any case.
    reader.close()
    thread.join(30)
    assert not thread.is_alive()
    assert len(outcome) == 1


def test_closing_ends_a_read_that_has_been_waiting(open_reader):
    reader = open_reader()
    ended = threading.Event()

    def read():
        with pytest.raises(Exception, match=r"."):
            reader.read("", wait=600)
        ended.set()

    threading.Thread(target=read, daemon=True).start()
    assert not ended.wait(0.5)
    reader.close()
    assert ended.wait(30)


def test_a_closed_reader_raises(open_reader):
    reader = open_reader()
    reader.close()
    with pytest.raises(Exception, match="closed"):
        reader.read("", wait=5)


def test_closing_twice_is_closing_once(open_writer, open_reader):
    for thing in (open_reader(), open_writer()):
        thing.close()
        thing.close()


def test_an_idle_writer_is_kept_alive(open_writer, open_reader):
    reader, writer = open_reader(), open_writer()
    for _ in range(3):
        writer.publish(b"x", confirm=False)
        writer.keep_alive()
    assert len(read_until(reader, 3)) == 3


def test_an_epoch_is_a_short_word(open_reader):
    epoch = open_reader().epoch
    assert epoch.isalnum()
    assert len(epoch) <= 8


@of_a_log
def test_a_reader_that_comes_later_reads_from_the_start(open_writer, open_reader):
    writer = open_writer()
    for n in range(3):
        writer.publish(b"%d" % n, confirm=True)
    assert batches(read_until(open_reader(), 3)) == [b"0", b"1", b"2"]


@of_a_log
def test_a_position_and_an_epoch_mean_the_same_to_every_reader(open_writer, open_reader):
    writer = open_writer()
    for n in range(500):
        writer.publish(b"%d" % n, confirm=n == 499)
    one, other = open_reader(), open_reader()
    entries = read_until(one, 500)
    assert one.epoch == other.epoch
    assert read_until(other, 500) == entries


@of_a_log
def test_what_comes_after_a_position_is_exact(open_writer, open_reader):
    writer = open_writer()
    for n in range(300):
        writer.publish(b"%d" % n, confirm=n == 299)
    first = open_reader()
    entries = read_until(first, 300)
    for index in (0, 1, 150, 298):
        position = entries[index].position
        again = open_reader(position, first.epoch)
        assert again.epoch == first.epoch
        assert read_until(again, 299 - index, position) == entries[index + 1 :]
    position = entries[-1].position
    assert list(open_reader(position, first.epoch).read(position, wait=0.2)) == []


@of_a_log
def test_a_reader_reads_on_from_wherever_it_is_told(open_writer, open_reader):
    reader, writer = open_reader(), open_writer()
    for n in range(20):
        writer.publish(b"%d" % n, confirm=True)
    entries = read_until(reader, 20)
    assert read_until(reader, 20) == entries
    assert read_until(reader, 15, entries[4].position) == entries[5:]


@of_a_log
def test_the_end_is_that_of_the_log_when_it_was_opened(open_writer, open_reader):
    early, writer = open_reader(), open_writer()
    for n in range(100):
        writer.publish(b"%d" % n, confirm=n == 99)
    late = open_reader()
    writer.publish(b"after", confirm=True)
    assert early.end == ""
    assert read_until(early, 101)[99].position == late.end


class _Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_nothing_is_ever_unpickled(address, open_reader, open_writer, tmp_path: Path):
    reader, writer = open_reader(), open_writer()
    sprung = tmp_path / "sprung"
    trap = pickle.dumps(_Trap(sprung))
    if address.url.startswith("redis"):
        writer.publish(trap, confirm=True)
    else:
        with kombu.Connection(address.url) as connection:
            connection.Producer().publish(
                trap,
                exchange=EXCHANGE,
                routing_key=EXCHANGE,
                content_type="application/x-python-serialize",
                content_encoding="binary",
            )
    assert batches(read_until(reader, 1)) == [trap]
    assert not sprung.exists()


def test_two_exchanges_of_one_broker_do_not_see_each_other(address, opened):
    """Not what passes, and not each other's epoch: a lost log of one is none of the other."""
    sides = {}
    for exchange in ("celery_wsprogress", "billing", "billing-2"):
        named = address._replace(exchange=exchange)
        sides[exchange] = connect_reader(named, "", ""), connect_writer(named)
        opened.extend(sides[exchange])
    for exchange, (_, writer) in sides.items():
        writer.publish(exchange.encode(), confirm=True)
    for exchange, (reader, _) in sides.items():
        assert batches(read_until(reader, 1)) == [exchange.encode()]
    assert len({reader.epoch for reader, _ in sides.values()}) == 3
