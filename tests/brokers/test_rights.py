"""The rights that a user of the broker needs, and what is said where one is missing."""

import json
import re
import urllib.error
import urllib.request

import pytest
import redis
from support.conditions import eventually
from support.event_log import batches, publish, read_until
from support.sidecars import SidecarProcess, SidecarThread
from websockets.sync.client import connect

from celery_wsprogress.brokers import EXCHANGE, BrokerAddress, open_reader, open_writer
from celery_wsprogress.brokers.batch_writer import Announcements, BatchWriter
from celery_wsprogress.brokers.failure import describe
from celery_wsprogress.protocol.batches import join_batch

PASSWORD = "geheim-4711"

#: As docs/reference/brokers.md has them.
READS = ["+ping", "+select", "+xread", "+xrevrange", "+xinfo|stream", "+getrange"]
WRITES = ["+ping", "+select", "+xadd", "+set"]


def batch_writer(address):
    said = Announcements(unreachable="%s: %s", program_error="%s")
    return BatchWriter(lambda: open_writer(address), "redis://here", said, address.secrets)


@pytest.fixture
def user_of(redis_server, redis_url):
    """Make users of the shared Redis; they go with the test."""
    with redis.Redis(port=redis_server.port) as client:
        made = []

        def make(*rights, keys=("~celery_wsprogress", "~celery_wsprogress.epoch")):
            name = f"user{len(made)}"
            made.append(name)
            client.execute_command(
                "ACL", "SETUSER", name, "reset", "on", f">{PASSWORD}", *keys, *rights
            )
            return BrokerAddress(f"redis://{name}:{PASSWORD}@127.0.0.1:{redis_server.port}/0")

        yield make
        for name in made:
            client.execute_command("ACL", "DELUSER", name)


def test_these_rights_are_enough_on_redis(user_of):
    writer, reader = user_of(*WRITES), user_of(*READS)
    publish(writer, b"one")
    opened = open_reader(reader)
    (entry,) = read_until(opened, 1)
    assert entry.batch == b"one"
    again = open_reader(reader, entry.position, opened.epoch)
    assert again.epoch == opened.epoch
    publish(writer, b"two")
    assert batches(read_until(again, 1, entry.position)) == [b"two"]


def test_without_the_right_to_write_the_epoch_it_is_read_and_written(user_of):
    publish(user_of("+ping", "+xadd"), b"one")
    one, other = open_reader(user_of(*READS)), open_reader(user_of(*READS))
    assert one.epoch == other.epoch != ""
    assert batches(read_until(one, 1)) == [b"one"]


@pytest.mark.parametrize("missing", ["+ping", "+xread", "+xrevrange", "+getrange"])
def test_each_of_these_rights_is_needed_to_read(user_of, missing):
    publish(user_of(*WRITES), b"one")
    address = user_of(*(right for right in READS if right != missing))
    with pytest.raises(redis.ResponseError) as caught:
        open_reader(address).read("", wait=0)
    said = describe(caught.value, address.secrets)
    assert missing[1:] in said.lower()
    assert "NOPERM" in said
    assert PASSWORD not in said


@pytest.mark.parametrize("missing", ["+ping", "+xadd"])
def test_a_worker_says_which_right_it_lacks(user_of, missing, caplog):
    address = user_of(*(right for right in WRITES if right != missing))
    batches = batch_writer(address)
    batches.prepare([], confirm=True)
    for _ in range(3):
        assert not batches.flush(0.0)
    [said] = [record.getMessage() for record in caplog.records]
    assert "NOPERM" in said
    assert missing[1:] in said.lower()
    if missing == "+xadd":
        assert f"[XADD {EXCHANGE}]" in said


def test_a_worker_says_which_key_it_may_not_use(user_of, caplog):
    address = user_of(*WRITES, keys=("~celery",))
    batches = batch_writer(address)
    batches.prepare([], confirm=True)
    batches.flush(0.0)
    batches.flush(0.0)
    assert f"[XADD {EXCHANGE}]" in caplog.text


def test_a_wrong_password_is_said_and_not_shown(user_of, caplog):
    address = user_of(*WRITES)
    wrong = BrokerAddress(address.url.replace(PASSWORD, "falsch-0815"))
    batches = batch_writer(wrong)
    batches.prepare([], confirm=True)
    batches.flush(0.0)
    batches.flush(0.0)
    assert "WRONGPASS" in caplog.text or "invalid username-password" in caplog.text
    assert "falsch" not in caplog.text


def test_another_thing_in_the_place_of_the_log_is_said(user_of, redis_server, redis_url):
    with redis.Redis(port=redis_server.port) as client:
        client.rpush(EXCHANGE, "somebody's queue")
    for opener in (lambda: publish(BrokerAddress(redis_url), b"x"), open_of(redis_url)):
        with pytest.raises(redis.ResponseError) as caught:
            opener()
        assert "WRONGTYPE" in describe(caught.value)
        assert EXCHANGE in describe(caught.value)


def open_of(url):
    return lambda: open_reader(BrokerAddress(url)).read("", wait=0)


def test_a_sidecar_that_may_not_read_says_so_everywhere_and_once(user_of):
    address = user_of(*(right for right in READS if right != "+xread"))
    with SidecarProcess(address.url, wait=False) as sidecar:
        eventually(lambda: "refuses to be read" in sidecar.output)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{sidecar.http}/readyz", timeout=30)
        said = json.load(caught.value)["broker_error"]
        assert "NOPERM" in said
        assert f"[XREAD {EXCHANGE}]" in said
        # It tries again and again, and is never connected meanwhile.
        eventually(lambda: tries_of(sidecar) >= 3)
        assert sidecar.output.count("refuses to be read") == 1
        assert "Connected to the broker" not in sidecar.output
        assert PASSWORD not in sidecar.output


def tries_of(sidecar):
    """How often it could not reach the broker."""
    with urllib.request.urlopen(f"{sidecar.http}/metrics", timeout=30) as response:
        found = re.search(r"^\S*broker_lost_total (\d+)", response.read().decode(), re.MULTILINE)
    return int(found[1])


def test_clients_are_told_why_nothing_comes(user_of, redis_server):
    address = user_of(*READS)
    with (
        redis.Redis(port=redis_server.port) as admin,
        SidecarThread(address) as server,
        connect(f"{server.url}") as socket,
    ):
        assert "broker_error" not in json.loads(socket.recv(timeout=30))["data"]
        admin.execute_command("ACL", "SETUSER", "user0", "-xread")
        eventually(lambda: server.sidecar.ingest.status.error)
        for command in ({"command": "ping"}, {"command": "subscribe", "operation_id": "x"}):
            socket.send(json.dumps(command))
            assert f"[XREAD {EXCHANGE}]" in json.loads(socket.recv(timeout=30))["broker_error"]
        admin.execute_command("ACL", "SETUSER", "user0", "+xread")
        eventually(lambda: server.sidecar.ingest.status.connected)
        socket.send(json.dumps({"command": "ping"}))
        assert "broker_error" not in json.loads(socket.recv(timeout=30))


def test_a_refusal_on_rabbitmq_is_said_with_its_resource(rabbitmq_server, rabbitmq_url):
    publish(BrokerAddress(rabbitmq_url), join_batch("w", 1, []))
    url = rabbitmq_server.url_of("nothing", may_declare="^$", may_write="^$", may_read="^$")
    address = BrokerAddress(url)
    for opener, words in (
        (lambda: publish(address, b"x"), "ACCESS_REFUSED"),
        (open_of(url), "ACCESS_REFUSED"),
        (open_of(url.replace("guest@", "wrong@")), "ACCESS_REFUSED"),
        (open_of(url[:-1] + "nowhere"), "NOT_ALLOWED"),
    ):
        with pytest.raises(Exception, match=words) as caught:
            opener()
        assert words in describe(caught.value, address.secrets)


def test_these_rights_are_enough_on_rabbitmq(rabbitmq_server, rabbitmq_url):
    publish(BrokerAddress(rabbitmq_url), b"one")
    names = r"^celery_wsprogress(\.log|\.epochs)?$"
    writer = rabbitmq_server.url_of(
        "writer", may_declare="^$", may_write=r"^celery_wsprogress$", may_read="^$"
    )
    reader = rabbitmq_server.url_of("reader", may_declare="^$", may_write="^$", may_read=names)
    publish(BrokerAddress(writer), b"two")
    opened = open_reader(BrokerAddress(reader))
    assert batches(read_until(opened, 2)) == [b"one", b"two"]
    opened.close()
