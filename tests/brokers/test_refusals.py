"""What Redis answers while it cannot serve: it is said in its own words, and it ends."""

import json
import threading
from contextlib import contextmanager

import pytest
import redis
from support.conditions import eventually
from support.event_log import publish
from support.ports import free_port
from support.sidecars import SidecarThread
from websockets.sync.client import connect

from celery_wsprogress.brokers import BrokerAddress, open_writer
from celery_wsprogress.brokers.batch_writer import Announcements, BatchWriter
from celery_wsprogress.brokers.failure import causes_of, describe, is_an_answer
from celery_wsprogress.protocol import batches

SAID = Announcements(
    unreachable="Task events cannot reach %s (%s)",
    program_error="%s",
    reachable="Task events reach %s again",
)


@pytest.fixture
def server(make_redis):
    return make_redis(
        options={"enable-debug-command": "yes", "busy-reply-threshold": "100", "save": "3600 1"}
    )


@pytest.fixture
def admin(server):
    # Reconnects by itself: it is shut out at times, too.
    with redis.Redis(port=server.port) as client:
        client.ping()
        yield client


@pytest.fixture
def line_to(monkeypatch):
    """Make the line of a worker, which tries again at once."""
    made = []

    def make(url):
        address = BrokerAddress(url)
        made.append(BatchWriter(lambda: open_writer(address), "here", SAID, address.secrets))
        return made[-1]

    yield make
    for line in made:
        line.close()


@contextmanager
def failing_save(server, admin):
    """A background save fails: nobody may write until one is well."""
    admin.set("changed", "1")
    (server.folder / "dump.rdb").mkdir()
    admin.bgsave()
    eventually(lambda: admin.info("persistence")["rdb_last_bgsave_status"] == "err")
    yield
    (server.folder / "dump.rdb").rmdir()
    admin.bgsave()
    eventually(lambda: admin.info("persistence")["rdb_last_bgsave_status"] == "ok")


@contextmanager
def too_few_replicas(server, admin):
    admin.config_set("min-replicas-to-write", 1)
    yield
    admin.config_set("min-replicas-to-write", 0)


@contextmanager
def of_a_replica(server, admin):
    admin.config_set("replica-serve-stale-data", "yes")
    admin.replicaof("127.0.0.1", 1)
    yield
    admin.replicaof("NO", "ONE")


@contextmanager
def without_memory(server, admin):
    admin.config_set("maxmemory", 1)
    yield
    admin.config_set("maxmemory", 0)


def test_what_a_server_refuses_to_write_is_said_and_written_afterwards(
    server, admin, line_to, caplog
):
    """Each reason for itself, and also where one follows the other in one outage."""
    line = line_to(server.url)
    line.prepare([], confirm=True)
    assert line.flush(0.0)
    reasons = (
        (failing_save, "MISCONF"),
        (too_few_replicas, "NOREPLICAS"),
        (of_a_replica, "READONLY"),
        (without_memory, "OOM"),
    )
    line.prepare([], confirm=True)
    for reason, word in reasons:
        with reason(server, admin):
            for _ in range(3):
                assert not line.flush(0.0)
        assert len([one for one in caplog.records if word in one.getMessage()]) == 1
    assert line.flush(0.0)
    assert "reach here again" in caplog.records[-1].getMessage()
    assert admin.xlen("celery_wsprogress") == 2


@contextmanager
def a_script_that_does_not_end(server, admin):
    def run():
        with (
            redis.Redis(port=server.port, socket_timeout=600) as client,
            pytest.raises(redis.ResponseError),
        ):
            client.eval("while true do end", 0)

    thread = threading.Thread(target=run)
    thread.start()
    eventually(lambda: answer_to(server) == "BUSY")
    yield
    admin.script_kill()
    thread.join()


def answer_to(server):
    """The first word of what a newcomer is told, or nothing."""
    try:
        with redis.Redis(port=server.port, socket_timeout=1) as client:
            client.ping()
    except redis.RedisError as exc:
        said = describe(exc).partition(": ")[2]
        return said.partition(" ")[0]
    return ""


@contextmanager
def a_file_that_is_loaded(server, admin):
    admin.config_set("rdbcompression", "no")
    for number in range(1000):
        admin.set(f"key {number}", "x" * 2000)
    admin.config_set("loading-process-events-interval-bytes", 1024)
    admin.config_set("key-load-delay", 50_000)
    with redis.Redis(port=server.port, socket_timeout=600) as client:
        thread = threading.Thread(target=client.execute_command, args=("DEBUG", "RELOAD"))
        thread.start()
        eventually(lambda: answer_to(server) == "LOADING")
        yield
        admin.config_set("key-load-delay", 0)
        thread.join()


@contextmanager
def too_many_clients(server, admin):
    admin.config_set("maxclients", 1)  # which is the one that says so
    admin.client_kill_filter(_type="normal", skipme=True)
    yield
    admin.config_set("maxclients", 1000)


@contextmanager
def a_new_password(server, admin):
    admin.acl_setuser("worker", enabled=True, reset_passwords=True, passwords="+another-4711")
    admin.client_kill_filter(_type="normal", skipme=True)
    yield
    admin.acl_setuser("worker", enabled=True, reset_passwords=True, passwords="+geheim-4711")


@pytest.mark.timeout(300)
def test_a_server_that_cannot_be_read_is_said_everywhere_and_read_afterwards(
    server, admin, line_to, caplog, monkeypatch
):
    admin.acl_setuser(
        "worker", enabled=True, passwords="+geheim-4711", keys=["*"], commands=["+@all"]
    )
    url = server.url.replace("://", "://worker:geheim-4711@")
    # It is the answers that count here, and not the pauses between the tries.
    address = BrokerAddress(url, {"socket_timeout": 2.0})
    monkeypatch.setattr("celery_wsprogress.backoff.MAX_DELAY", 0.5)
    with SidecarThread(address) as server_of_clients, connect(server_of_clients.url) as socket:
        connection = server_of_clients.sidecar.ingest.status
        socket.recv(timeout=30)
        for number, (reason, word) in enumerate(
            (
                (a_script_that_does_not_end, "BUSY"),
                (a_file_that_is_loaded, "LOADING"),
                (too_many_clients, "max number of clients reached"),
                (a_new_password, "invalid username-password pair"),
            )
        ):
            line = line_to(url)
            line.prepare([], confirm=True)
            with reason(server, admin):
                eventually(lambda word=word: word in connection.error, what=word)
                for _ in range(3):
                    assert not line.flush(0.0)
                socket.send(json.dumps({"command": "ping"}))
                assert word in told(socket)["broker_error"]
                written = [one.getMessage() for one in caplog.records if word in one.getMessage()]
                assert any("Task events cannot reach" in one for one in written)
                assert any("refuses to be read" in one for one in written)
            eventually(lambda: connection.connected, what=f"{word} is over")
            eventually(lambda line=line: line.flush(0.0))
            publish(address, batches.join_batch(f"w{number}", 1, []))
            socket.send(json.dumps({"command": "ping"}))
            assert "broker_error" not in told(socket)
    assert "4711" not in caplog.text


def told(socket):
    """The reply to a ping, behind whatever comes before it."""
    while True:
        frame = json.loads(socket.recv(timeout=60))
        if frame.get("status") == "pong":
            return frame


def test_a_server_of_a_cluster_says_so(make_redis):
    # Its own choice, 10,000 above the other port, may be taken.
    server = make_redis(options={"cluster-enabled": "yes", "cluster-port": str(free_port())})
    address = BrokerAddress(server.url)
    with pytest.raises(redis.RedisError) as caught:
        publish(address, b"one")
    assert is_an_answer(caught.value)
    assert "CLUSTERDOWN" in describe(caught.value)
    with redis.Redis(port=server.port) as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        eventually(lambda: client.cluster("INFO")["cluster_state"] == "ok")
    publish(address, b"one")


def test_too_many_clients_are_an_answer():
    said = redis.ConnectionError("max number of clients reached")
    assert is_an_answer(said)
    assert describe(said) == "ConnectionError: max number of clients reached"
    assert not is_an_answer(redis.ConnectionError("Error 111 connecting to host:6379."))


def test_an_error_whose_causes_form_a_circle_is_described():
    first, second = ConnectionError("a"), ConnectionError("b")
    first.__cause__, second.__cause__ = second, first
    assert describe(first) == "ConnectionError"
    assert list(causes_of(first)) == [first, second]
