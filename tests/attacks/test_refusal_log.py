"""Who is refused or closed stands in the log, with the address and the holder of the token."""

from __future__ import annotations

import json
import logging
import re
import socket
from contextlib import suppress

import pytest
from support.conditions import eventually
from support.floods import UPGRADE
from support.sidecars import SidecarThread
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from celery_wsprogress import create_token
from celery_wsprogress.brokers import BrokerAddress
from celery_wsprogress.sidecar.refusal_log import LINES_AT_ONCE

KEY = "a key that is long enough for HS256"
FORGED = "anna\n2026-01-01 CRITICAL forged \x1b[31m"
MEMORY = BrokerAddress("memory://")


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO)

    def found(pattern):
        said = [one.getMessage() for one in caplog.records]
        return [one for one in said if re.search(pattern, one)]

    return found


def send(port, data):
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        sock.sendall(data)
        with suppress(ConnectionResetError):
            while sock.recv(65_536):
                pass


GET = b"GET /status HTTP/1.1\r\nHost: localhost\r\n"
TOKEN = b"Authorization: Bearer not.a.token\r\n"
REQUESTS = {
    "401": (GET + TOKEN, "127.0.0.1: The token is not valid"),
    "401 of a handshake": (UPGRADE[:-2] + TOKEN, "127.0.0.1: The token is not valid"),
    "behind a proxy": (GET + b"X-Forwarded-For: 192.0.2.7\r\n" + TOKEN, "192.0.2.7: The token"),
    "another site": (GET + b"Sec-Fetch-Site: cross-site\r\n", "127.0.0.1: 403 Forbidden"),
    "a method": (b"POST / HTTP/1.1\r\nHost: localhost\r\n", "127.0.0.1: 405 Method Not Allowed"),
    "a host": (b"GET / HTTP/1.1\r\nHost: a.example\r\n", "127.0.0.1 with the host name a.example"),
    "an origin": (GET + b"Origin: http://a.example\r\n", "127.0.0.1 with the origin http://a.exam"),
    "a long line": (GET + b"X: " + b"a" * 9_000 + b"\r\n", "127.0.0.1: its head is too large"),
    "long": (GET + (b"X: " + b"a" * 8_000 + b"\r\n") * 20, "127.0.0.1: its head is too large"),
    "garbage": (bytes(range(256)), "127.0.0.1: it is no HTTP"),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_that_is_refused(lines, name):
    head, told = REQUESTS[name]
    with SidecarThread(MEMORY, key=KEY, trusted_proxies="127.0.0.0/8") as sidecar:
        send(sidecar.port, head + b"\r\n")
        eventually(lambda: lines(f"Refused a request from {re.escape(told)}"))
        assert len(lines("Refused")) == 1


def test_a_handshake_that_is_none(lines):
    with SidecarThread(MEMORY) as sidecar:
        send(sidecar.port, UPGRADE.replace(b"Version: 13", b"Version: 99"))
        eventually(lambda: lines("Refused a handshake from 127.0.0.1: 400 Bad Request"))


def test_a_head_that_does_not_come(lines):
    with (
        SidecarThread(MEMORY) as sidecar,
        socket.create_connection(("127.0.0.1", sidecar.port), timeout=60) as slow,
    ):
        slow.sendall(b"GET")
        eventually(lambda: lines("from 127.0.0.1: its head did not come in time"), 30)


def test_handshakes_over_the_limits(lines):
    token = create_token("op", key=KEY, sub="anna")
    bearer = {"Authorization": f"Bearer {token}"}
    limits = {"address_connections": 2, "subject_connections": 1}
    with (
        SidecarThread(MEMORY, key=KEY, **limits) as sidecar,
        connect(sidecar.url, additional_headers=bearer),
    ):
        send(
            sidecar.port,
            UPGRADE[:-2] + f"Authorization: {bearer['Authorization']}\r\n\r\n".encode(),
        )
        told = r"from 127.0.0.1 \(sub anna\): wsprogress_subject_connections is reached"
        eventually(lambda: lines(told))
        with connect(sidecar.url):
            send(sidecar.port, UPGRADE)
            told = "from 127.0.0.1: wsprogress_address_connections is reached"
            eventually(lambda: lines(told))


CLOSINGS = {"binary": 1003, "too big": 1009, "not UTF-8": 1007, "broken": 1002}


@pytest.mark.parametrize("what", CLOSINGS)
def test_a_connection_that_is_closed_with_an_error(lines, what):
    token = create_token("op", key=KEY, sub="anna")
    with SidecarThread(MEMORY, key=KEY) as sidecar, connect(sidecar.url) as client:
        client.send(json.dumps({"command": "authenticate", "token": token}))
        for _ in range(2):
            client.recv(timeout=30)
        match what:
            case "binary":
                client.send(b"x")
            case "too big":
                with suppress(ConnectionClosed):
                    client.send("x" * 2_000_000)
            case "not UTF-8":
                client.send(b"\xff", text=True)
            case "broken":
                client.socket.sendall(b"\xff" * 100)
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=30)
        told = rf"Closed the connection of 127\.0\.0\.1 \(sub anna\) with {CLOSINGS[what]}: ."
        eventually(lambda: lines(told))


@pytest.mark.parametrize(
    ("ids", "told"),
    [
        ([], r"127\.0\.0\.1: This server requires a token: send `authenticate` first"),
        (["op"], r"127\.0\.0\.1 \(sub anna\): The token does not grant operation other"),
    ],
    ids=["unauthorized", "forbidden"],
)
def test_a_command_without_the_right(lines, caplog, ids, told):
    with SidecarThread(MEMORY, key=KEY) as sidecar, connect(sidecar.url) as client:
        ask = {"command": "subscribe", "operation_id": "other"}
        if ids:
            token = create_token(ids, key=KEY, sub="anna", expires_in=60)
            client.send(json.dumps({"command": "authenticate", "token": token}))
        client.send(json.dumps(ask))
        eventually(lambda: lines(f"Refused a command of {told}"))
    [record] = [one for one in caplog.records if "Refused a command" in one.getMessage()]
    # What a log of JSON has beside the message.
    assert (record.client, record.refusal.partition(" ")[0]) == ("127.0.0.1", "command")


def test_a_token_that_has_ended(lines):
    token = create_token("op", key=KEY, sub=FORGED, expires_in=1)
    with SidecarThread(MEMORY, key=KEY) as sidecar, connect(sidecar.url) as client:
        ask = {"command": "subscribe", "operation_id": "op", "token": token}
        client.send(json.dumps(ask))
        with suppress(ConnectionClosed):
            for _ in client:
                pass
        eventually(lambda: lines("with 4001: the token has expired"))
        [line] = lines("Closed the connection")
        assert r"127.0.0.1 (sub anna\n2026-01-01 CRITICAL forged \x1b[31m) with" in line


def test_nothing_is_said_of_who_is_served_and_goes(lines):
    with SidecarThread(MEMORY) as sidecar:
        with connect(sidecar.url) as client:
            client.recv(timeout=30)
        with connect(sidecar.url) as client:
            client.close(4000, "of its own")
        send(sidecar.port, GET + b"\r\n")
        with socket.create_connection(("127.0.0.1", sidecar.port), timeout=60):
            pass
    # Also not of those that are closed since the sidecar stops.
    assert lines("Refused|Closed") == []


def test_bad_tokens_do_not_fill_the_log(lines):
    with SidecarThread(MEMORY, key=KEY) as sidecar, connect(sidecar.url) as client:
        for number in range(LINES_AT_ONCE + 10):
            client.send(json.dumps({"command": "authenticate", "token": f"secret {number}"}))
            while "error" not in json.loads(client.recv(timeout=60)):
                pass
        eventually(lambda: len(lines("Refused a token of 127.0.0.1")) == LINES_AT_ONCE)
        assert lines("secret") == []
