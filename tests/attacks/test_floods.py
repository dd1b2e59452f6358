"""Clients that send more than their share: others are served meanwhile, and memory is bounded."""

from __future__ import annotations

import json
import os
import socket
import urllib.request
from contextlib import ExitStack

import psutil
import pytest
from support.conditions import eventually
from support.event_log import publish
from support.floods import FLOODS, UPGRADE, Attacker
from support.sample_events import log, queued
from support.sidecars import SidecarProcess
from websockets.sync.client import connect

from celery_wsprogress import create_token
from celery_wsprogress.brokers import BrokerAddress
from celery_wsprogress.protocol.batches import encode_event, join_batch

ATTACKERS = 5
HELD = 2_000
MAX_GROWTH = 80_000_000
"""Bytes by which the memory of the sidecar may grow under any of these attacks."""


def events(url, *batch, number):
    publish(BrokerAddress(url), join_batch("w", number, [encode_event(one) for one in batch]))


@pytest.fixture
def sidecar(redis_url):
    with SidecarProcess(redis_url, environment={"WSPROGRESS_HEARTBEAT": "600"}) as made:
        held = [queued(operation_id=f"op-{one}", operation_type=f"t.{one}") for one in range(HELD)]
        events(redis_url, *held, *[log("x" * 500, operation_id="op-0")] * 900, number=1)
        eventually(lambda: stats(made)["held_operations"] == HELD)
        yield made


def stats(sidecar):
    with urllib.request.urlopen(f"{sidecar.http}/status", timeout=60) as reply:
        return json.load(reply)["stats"]


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_others_are_served_and_memory_is_bounded(sidecar, redis_url, flood):
    process = psutil.Process(sidecar.process.pid)
    with (
        ExitStack() as stack,
        connect(sidecar.url, compression=None) as honest,
    ):
        honest.recv()
        honest.send(json.dumps({"command": "subscribe", "operation_id": "honest"}))
        assert json.loads(honest.recv())["status"] == "subscribed"
        before = process.memory_info().rss
        attackers = [stack.enter_context(Attacker(sidecar.port, flood)) for _ in range(ATTACKERS)]
        for number in range(2, 32):
            for one in attackers:
                one.send()
            events(redis_url, log(f"{number}", operation_id="honest"), number=number)
            assert json.loads(honest.recv(timeout=60))["data"]["message"] == f"{number}"
            honest.send(json.dumps({"command": "ping"}))
            assert json.loads(honest.recv(timeout=60))["status"] == "pong"
            with urllib.request.urlopen(f"{sidecar.http}/healthz", timeout=60) as reply:
                assert reply.read() == b"ok\n"
        with connect(sidecar.url, compression=None, open_timeout=60) as late:
            assert json.loads(late.recv(timeout=60))["event_type"] == "connected"
        assert process.memory_info().rss - before < MAX_GROWTH
    eventually(lambda: stats(sidecar)["connected_clients"] == 0)
    assert "Traceback" not in sidecar.output


def test_a_head_that_does_not_end_is_refused(sidecar):
    with socket.create_connection(("localhost", sidecar.port), timeout=60) as attacker:
        attacker.sendall(b"GET / HTTP/1.1\r\n" + (b"A: " + b"x" * 8_000 + b"\r\n") * 20)
        assert b" 431 " in attacker.recv(4_096)


def test_a_head_that_does_not_come_is_not_waited_for(sidecar):
    with socket.create_connection(("localhost", sidecar.port), timeout=120) as attacker:
        attacker.sendall(b"GET / HTTP/1.1\r\n")
        try:
            assert attacker.recv(4_096) == b""
        except ConnectionResetError:
            return


def test_over_the_limit_handshakes_get_503_and_health_is_told(redis_url):
    limits = {"WSPROGRESS_MAX_CONNECTIONS": "3", "WSPROGRESS_ADDRESS_CONNECTIONS": "2"}
    with SidecarProcess(redis_url, environment=limits) as sidecar, ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(connect(sidecar.url, compression=None))
        with socket.create_connection(("localhost", sidecar.port), timeout=60) as third:
            third.sendall(UPGRADE)
            # All of it, also where it comes in parts.
            answer = b"".join(iter(lambda: third.recv(4_096), b""))
        assert b" 503 " in answer
        assert b"Retry-After: " in answer
        assert b"Too many connections of this address" in answer
        with urllib.request.urlopen(f"{sidecar.http}/healthz", timeout=60) as reply:
            assert reply.status == 200
        with urllib.request.urlopen(f"{sidecar.http}/metrics", timeout=60) as reply:
            assert 'refused_connections_total{limit="address"} 1' in reply.read().decode()
        eventually(lambda: "wsprogress_address_connections is reached" in sidecar.output)


def test_what_a_limit_refuses_is_counted_and_logged(redis_url):
    def error(client, **command):
        client.send(json.dumps(command))
        while "code" not in (reply := json.loads(client.recv(timeout=60))):
            pass
        return reply["code"]

    key = "k" * 32
    options = {"WSPROGRESS_KEY": key, "WSPROGRESS_MAX_SUBSCRIPTIONS": "1"}
    globs = [
        create_token(ops=[f"type:{one}{two}.*" for two in range(60)], key=key, sub="anna")
        for one in "ab"
    ]
    bearer = {"Authorization": f"Bearer {globs[0]}"}
    with (
        SidecarProcess(redis_url, environment=options) as sidecar,
        connect(sidecar.url, compression=None, additional_headers=bearer) as client,
    ):
        token = create_token(["one", "two"], key=key)
        ids = {"operation_ids": ["one", "two"], "token": token}
        codes = [
            error(client, command="authenticate", token=globs[1]),
            error(client, command="subscribe", **ids),
            error(client, command="ping", more="x" * 300_000),
        ]
        assert codes == ["too_many_tokens", "too_many_subscriptions", "too_large"]
        with socket.create_connection(("localhost", sidecar.port), timeout=60) as attacker:
            attacker.sendall(b"GET / HTTP/1.1\r\nA: " + b"x" * 10_000 + b"\r\n")
            assert b" 431 " in attacker.recv(4_096)
        request = urllib.request.Request(f"{sidecar.http}/metrics", headers=bearer)
        with urllib.request.urlopen(request, timeout=60) as reply:
            figures = reply.read().decode()
        assert 'refused_connections_total{limit="head"} 1' in figures
        for code in codes:
            assert f'refused_commands_total{{code="{code}"}} 1' in figures
        for told in ("token of", "command of"):
            eventually(lambda told=told: f"Refused a {told} ::1 (sub anna): " in output_of(sidecar))


def output_of(sidecar):
    return sidecar.output.replace("127.0.0.1", "::1")


def test_who_sends_no_token_in_time_is_closed(redis_url):
    given = {"WSPROGRESS_KEY": "k" * 32, "WSPROGRESS_AUTH_TIMEOUT": "0.1"}
    with (
        SidecarProcess(redis_url, environment={**os.environ, **given}) as sidecar,
        connect(sidecar.url, compression=None) as client,
    ):
        json.loads(client.recv(timeout=60))
        with pytest.raises(Exception, match="4001"):
            client.recv(timeout=60)
