import json

import pytest
from kombu.transport import TRANSPORT_ALIASES, memory
from kombu.transport.virtual import BrokerState
from support.conditions import eventually
from support.event_log import publish
from support.sample_events import OPERATION, log, status
from support.sidecars import PATIENT, SidecarThread
from websockets.sync.client import connect

from celery_wsprogress.brokers import (
    EXCHANGE,
    BrokerAddress,
    exchange,
    lacks_fanout,
    open_reader,
    open_writer,
)
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.protocol import batches

MEMORY = BrokerAddress("memory://")


class _TopicChannel(memory.Channel):
    supports_fanout = False


class _TopicTransport(memory.Transport):
    """A transport without fanout, as most of the HTTP services are."""

    Channel = _TopicChannel
    global_state = BrokerState()
    implements = memory.Transport.implements.extend(exchange_type=frozenset(["direct", "topic"]))


@pytest.fixture
def topics_only(monkeypatch):
    monkeypatch.setitem(TRANSPORT_ALIASES, "topics", f"{__name__}:_TopicTransport")
    return BrokerAddress("topics://")


def test_each_reader_begins_now_in_an_epoch_of_its_own():
    one, writer = open_reader(MEMORY), open_writer(MEMORY)
    writer.publish(b"before", confirm=True)
    other = open_reader(MEMORY, "1", one.epoch)
    writer.publish(b"after", confirm=True)
    assert other.epoch != one.epoch
    assert not other.replayable
    assert [entry[:2] for entry in other.read("", wait=5)] == [("1", b"after")]
    one.close()
    other.close()


def test_a_client_is_told_that_nothing_can_be_sent_again():
    """To whichever sidecar it comes: each knows only what it has received itself."""
    address = MEMORY._replace(exchange="told")
    events = [batches.encode_event(one) for one in (status("started"), log("once"))]
    with SidecarThread(address, **PATIENT) as server, connect(server.url) as socket:
        said = ask(socket)
        assert (said["replayable"], "recovered" in said) == (False, False)
        publish(address, batches.join_batch("writer", 1, events))
        frames = [json.loads(socket.recv(timeout=60)) for _ in range(2)]
        assert frames[-1]["data"]["message"] == "once"
        seen = frames[0]["event_id"]
        with SidecarThread(address, **PATIENT) as other, connect(other.url) as elsewhere:
            said = ask(elsewhere, since=seen)
            assert (said["replayable"], said["recovered"]) == (False, False)
            assert said["operation"] is None


def ask(socket, **more):
    """Subscribe; the reply."""
    json.loads(socket.recv(timeout=60))
    socket.send(json.dumps({"command": "subscribe", "operation_id": OPERATION, **more}))
    return json.loads(socket.recv(timeout=60))


def test_a_closed_reader_leaves_no_queue_that_fills():
    reader, writer = open_reader(MEMORY), open_writer(MEMORY)
    queue = f".{reader.epoch}"
    reader.close()
    writer.publish(b"nobody listens", confirm=True)
    assert not [name for name in memory.Channel.queues if name.endswith(queue)]
    table = memory.Transport.global_state.exchanges[EXCHANGE]["table"]
    assert not [binding for binding in table if binding[-1].endswith(queue)]


def test_a_read_takes_so_many_bytes_and_leaves_the_rest(monkeypatch):
    monkeypatch.setattr(exchange, "MAX_READ_BYTES", 100_000)
    reader, writer = open_reader(MEMORY), open_writer(MEMORY)
    for _ in range(10):
        writer.publish(b"x" * 30_000, confirm=True)
    reads = [reader.read("", wait=5) for _ in range(3)]
    assert [len(entries) for entries in reads] == [4, 4, 2]
    assert [entry.position for entries in reads for entry in entries][-1] == "10"
    reader.close()


def test_a_message_that_is_too_large_is_left_out_and_said_once(caplog):
    reader, writer = open_reader(MEMORY), open_writer(MEMORY)
    for batch in (b"x" * 4_000_001, b"x" * 4_000_001, b"after"):
        writer.publish(batch, confirm=True)
    assert [entry.batch for entry in reader.read("", wait=5)] == [b"", b"", b"after"]
    assert caplog.text.count("has 4000001 bytes and is left out") == 1
    reader.close()


def test_without_fanout_one_queue_is_shared(topics_only):
    writer = open_writer(topics_only)
    writer.publish(b"\x00before", confirm=True)
    reader = open_reader(topics_only)
    writer.publish(b"after", confirm=True)
    entries = list(reader.read("", wait=5)) + list(reader.read("", wait=0))
    assert [entry.batch for entry in entries] == [b"\x00before", b"after"]
    reader.close()


def test_batches_that_the_broker_mixes_up_are_read_in_order_and_each_of_them():
    reader, writer = open_reader(MEMORY), open_writer(MEMORY)
    written = [
        batches.join_batch("w", number, [batches.encode_event(status("started"))])
        for number in range(7)
    ]
    for number in (1, 3, 2, 2, 6, 5):
        writer.publish(written[number], confirm=True)
    read = []
    # The fourth never comes.
    eventually(lambda: read.extend(reader.read("", wait=1)) or len(read) > 5)
    assert [batches.decode_batch(one.batch).counter for one in read] == [1, 2, 3, 2, 5, 6]
    assert [one.position for one in read] == ["1", "2", "3", "4", "5", "6"]
    reader.close()


def test_only_without_fanout_there_is_one_reader(topics_only):
    assert lacks_fanout(topics_only)
    for url in ("memory://", "filesystem://", "redis://x", "sentinel://x", "amqp://x"):
        assert not lacks_fanout(BrokerAddress(url))


def test_files_will_do(tmp_path):
    folders = {name: str(tmp_path / name) for name in ("in", "control")}
    for folder in folders.values():
        (tmp_path / folder).mkdir()
    options = {
        "data_folder_in": folders["in"],
        "data_folder_out": folders["in"],
        "control_folder": folders["control"],
    }
    address = BrokerAddress("filesystem://", options)
    one, other, writer = open_reader(address), open_reader(address), open_writer(address)
    writer.publish(b"\xff", confirm=True)
    assert [entry.batch for entry in one.read("", wait=10)] == [b"\xff"]
    assert [entry.batch for entry in other.read("", wait=10)] == [b"\xff"]
    for reader in (one, other):
        reader.close()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("nope://user:secret@host", "a broker URL that kombu knows"),
        ("redis://user:secret@host:port/0", "a broker URL"),
        ("os.path://user:secret@host", "a broker URL"),
        ("redis://127.0.0.1:1/0;nope.nope://user:secret@host", "a broker URL"),
    ],
)
def test_a_url_that_is_none_is_the_operators_error(url, sentence):
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        open_writer(BrokerAddress(url))
    assert "secret" not in str(caught.value)
