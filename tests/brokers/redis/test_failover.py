"""Redis copies its data to replicas a little later: what a dead master had told none is lost."""

import json
from contextlib import contextmanager

import pytest
import redis
from conftest import make_or_skip
from support.clusters import RedisFailover
from support.conditions import eventually
from support.event_log import publish
from support.sample_events import OPERATION, log, status
from support.sidecars import PATIENT, SidecarThread
from websockets.sync.client import connect

from celery_wsprogress.brokers import EXCHANGE, BrokerAddress
from celery_wsprogress.protocol.batches import encode_event, join_batch


@pytest.fixture
def failover():
    with make_or_skip(RedisFailover) as cluster:
        yield cluster


@pytest.mark.redis
def test_who_saw_what_only_the_dead_master_had_is_told_that_it_is_lost(failover):
    address = BrokerAddress(failover.url, failover.transport_options)
    master = failover.master()
    with SidecarThread(address, **PATIENT) as server:
        write(address, 1, status("started"), log("kept"))
        with watching(server) as (reply, lines):
            assert "recovered" not in reply
            kept = line(lines, "kept")
            # So that it can be missing.
            eventually(lambda: all(told(one, 1) for one in failover.servers))
            stop_copying(master)
            write(address, 2, log("lost"))
            lost = line(lines, "lost")
        before = epoch_of(failover)
        failover.kill_leader()
        # The sidecar has read more than there is.
        eventually(lambda: epoch_of(failover) != before, what="another epoch")
        write(address, 3, log("after"))
        # Until it reads something of the new log, the sidecar itself has all that anybody has seen.
        with watching(server) as (_, lines):
            line(lines, "after")
        for seen in (kept, lost):
            with watching(server, since=seen) as (reply, lines):
                assert reply["recovered"] is False
                line(lines, "after")


def write(address, number, *events):
    publish(address, join_batch("writer", number, [encode_event(one) for one in events]))


def told(server, entries):
    with redis.Redis(port=server.port) as client:
        return client.xlen(EXCHANGE) >= entries


def stop_copying(master):
    """The replicas lose their connection to the master, and are refused another one."""
    with redis.Redis(port=master.port) as client:
        client.execute_command("ACL SETUSER", "default", "-psync", "-sync")
        client.client_kill_filter(_type="replica")
        eventually(lambda: client.info("replication")["connected_slaves"] == 0)


def epoch_of(failover):
    with redis.Redis(port=failover.master().port) as client:
        return client.get(f"{EXCHANGE}.epoch")


@contextmanager
def watching(server, **more):
    """Gives the reply to a subscription, and the socket for what follows."""
    with connect(server.url) as socket:
        socket.recv(timeout=60)
        socket.send(json.dumps({"command": "subscribe", "operation_id": OPERATION, **more}))
        yield json.loads(socket.recv(timeout=60)), socket


def line(socket, text):
    """The id of the frame with a log line."""
    while True:
        frame = json.loads(socket.recv(timeout=60))
        if frame["event_type"] == "log" and frame["data"]["message"] == text:
            return frame["event_id"]
