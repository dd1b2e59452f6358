"""What the log takes of a Redis that has other things to keep."""

import logging
import threading

import kombu
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from support.event_log import batches, publish, read_until

from celery_wsprogress.brokers import (
    EXCHANGE,
    MAX_BATCH_BYTES,
    BrokerAddress,
    open_reader,
    open_writer,
)
from celery_wsprogress.brokers.redis import exchange, server_memory
from celery_wsprogress.brokers.redis import reader as redis_reader
from celery_wsprogress.brokers.redis.server_memory import (
    ServerMemory,
    max_entries_for,
    max_log_bytes,
    parse_memory,
)
from celery_wsprogress.common_settings import LOG_BYTES

LARGE = b"x" * 30_000


@pytest.fixture
def warnings(caplog, monkeypatch):
    """Gives what was warned of: each warning is one a process, so it is made to forget."""
    monkeypatch.setattr(server_memory, "_warned", (threading.Event(), threading.Event()))
    caplog.set_level(logging.WARNING, "celery_wsprogress")
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.fixture
def server(make_redis):
    return make_redis(options={"maxmemory": "24mb", "maxmemory-policy": "noeviction"})


@pytest.fixture
def client(server):
    with redis.Redis(port=server.port) as client:
        yield client


@given(st.integers(1_000_000, 10**12), st.floats(0, MAX_BATCH_BYTES), st.floats(0, 100_000))
def test_as_many_entries_are_kept_as_have_room(bound, size, kept):
    entries = max_entries_for(bound, size, kept)
    assert 1 <= entries <= server_memory.MAX_ENTRIES
    assert entries * size * server_memory.OVERHEAD <= bound + 1


@pytest.mark.parametrize(
    ("said", "most", "bound"),
    [
        (None, 0, LOG_BYTES),
        (None, 10**12, LOG_BYTES),
        (None, 40_000_000, 10_000_000),
        (30_000_000, 40_000_000, 30_000_000),
        (10**9, 0, 10**9),
    ],
)
def test_the_log_takes_what_is_said_else_a_share(said, most, bound):
    assert max_log_bytes(said, ServerMemory(most)) == bound


@pytest.mark.parametrize("info", [b"", b"maxmemory:\r\n", b"maxmemory:many\r\n", None, [b"x"]])
def test_a_server_that_says_nothing_of_its_memory_has_no_limit(info):
    assert parse_memory(info) == ServerMemory(0, "")


def test_plain_tasks_are_sent_while_the_log_is_full(server, client, warnings):
    """Nothing is set: of what the server has, the log takes a part."""
    writer = open_writer(BrokerAddress(server.url))
    for _ in range(2000):  # 60 MB
        writer.publish(LARGE, confirm=True)
    assert client.memory_usage(EXCHANGE, samples=0) < 6_300_000
    with kombu.Connection(server.url) as connection:
        queue = connection.SimpleQueue("celery")
        for _ in range(100):
            queue.put("x" * 50_000)
        assert queue.qsize() == 100
    writer.publish(b"newest", confirm=True)
    assert client.xrevrange(EXCHANGE, count=1)[0][1] == {b"batch": b"newest"}
    assert warnings() == []


def test_small_batches_behind_large_ones_take_no_more(server, client, monkeypatch):
    monkeypatch.setattr(exchange, "MAINTENANCE_INTERVAL", 0.0)
    address = BrokerAddress(server.url, log_bytes=1_000_000)
    for size in (30_000, 100, 3_000, 30_000, 1_000):
        publish(address, *[b"x" * size] * min(1_500_000 // size, 2_500))
        assert client.memory_usage(EXCHANGE, samples=0) < 1_050_000


def test_a_bound_that_leaves_little_is_warned_of_once(server, warnings):
    address = BrokerAddress(server.url, log_bytes=20_000_000)
    publish(address, b"one")
    open_reader(address).close()
    (warning,) = warnings()
    assert "20000000 bytes (wsprogress_log_bytes) of the 25165824" in warning


@pytest.mark.parametrize(
    ("policy", "lost"), [("allkeys-lru", "Celery's queues"), ("volatile-ttl", "Celery's results")]
)
def test_a_server_that_evicts_is_warned_of_once_on_each_side(
    server, client, warnings, policy, lost
):
    client.config_set("maxmemory-policy", policy)
    address = BrokerAddress(server.url)
    publish(address, b"one")
    (warning,) = warnings()
    publish(address, b"two")
    open_reader(address).close()
    assert warnings() == [warning]
    for warned in server_memory._warned:
        warned.clear()
    open_reader(address).close()
    assert warnings() == [warning, warning]
    assert policy in warning
    assert lost in warning


def test_without_a_limit_the_policy_does_not_matter(client, server, warnings):
    client.config_set("maxmemory-policy", "allkeys-lru")
    client.config_set("maxmemory", 0)
    publish(BrokerAddress(server.url), b"one")
    open_reader(BrokerAddress(server.url)).close()
    assert warnings() == []


def test_a_user_who_may_not_ask_is_served_all_the_same(server, client, warnings, monkeypatch):
    monkeypatch.setattr(exchange, "MAINTENANCE_INTERVAL", 0.0)
    client.config_set("maxmemory-policy", "allkeys-lru")
    keys = (f"~{EXCHANGE}", f"~{EXCHANGE}.epoch")
    rights = ("+ping", "+select", "+xadd", "+set", "+xread", "+xrevrange", "+xinfo|stream")
    client.execute_command("ACL", "SETUSER", "limited", "on", "nopass", *keys, *rights, "+getrange")
    address = BrokerAddress(f"redis://limited:x@127.0.0.1:{server.port}/0")
    publish(address, b"one", b"two", b"three")
    # Nobody's log of refusals is filled: a writer takes each for an answer.
    refused = {entry["object"]: int(entry["count"]) for entry in client.acl_log()}
    assert refused == {"expire": 2, "info": 1, "memory|usage": 1, "xlen": 1}
    reader = open_reader(address)
    assert batches(read_until(reader, 3)) == [b"one", b"two", b"three"]
    assert warnings() == []


def test_what_nobody_writes_or_reads_expires(server, client):
    address = BrokerAddress(server.url)
    publish(address, b"one")
    for key in (EXCHANGE, f"{EXCHANGE}.epoch"):
        assert exchange.MAX_AGE < client.ttl(key) <= exchange.EXPIRY
        client.expire(key, 100)
    open_reader(address).read("", wait=0)
    for key in (EXCHANGE, f"{EXCHANGE}.epoch"):
        assert client.ttl(key) > exchange.MAX_AGE


def test_an_epoch_that_a_reader_names_expires_too(server, client):
    address = BrokerAddress(server.url)
    open_reader(address)
    assert client.ttl(f"{EXCHANGE}.epoch") > 0
    client.set(f"{EXCHANGE}.epoch", "no epoch")
    open_reader(address)
    assert client.ttl(f"{EXCHANGE}.epoch") > 0


@pytest.mark.parametrize("lost", [(EXCHANGE,), (EXCHANGE, f"{EXCHANGE}.epoch")])
def test_a_log_that_was_evicted_goes_on(server, client, lost, monkeypatch):
    """Under a reader and a writer that are there: what was not read is a gap in the counters."""
    monkeypatch.setattr(redis_reader, "MAINTENANCE_INTERVAL", 0.0)
    address = BrokerAddress(server.url)
    writer, reader = open_writer(address), open_reader(address)
    writer.publish(b"one", confirm=True)
    (entry,) = read_until(reader, 1)
    writer.publish(b"never read", confirm=True)
    client.delete(*lost)
    assert reader.read(entry.position, wait=0.1) == []
    writer.publish(b"three", confirm=True)
    assert batches(read_until(reader, 1, entry.position)) == [b"three"]
    again = open_reader(address, entry.position, reader.epoch)
    assert again.epoch == reader.epoch
    assert batches(read_until(again, 1, entry.position)) == [b"three"]
