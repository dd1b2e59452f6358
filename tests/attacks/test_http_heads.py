"""Heads of HTTP requests that no honest client writes, to a sidecar on uvloop and on asyncio.

Whatever is written, it is refused or the connection is closed, others are answered meanwhile, and
nothing is logged as an error.
"""

from __future__ import annotations

import logging
import socket
import urllib.request

import pytest
from support.sidecar_loops import loop_factories, running

HOST = b"Host: localhost\r\n"
GET = b"GET /healthz HTTP/1.1\r\n" + HOST
UPGRADE = (
    b"GET / HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
END = b"\r\n"


@pytest.fixture(scope="module", params=loop_factories())
def port(request):
    """The port of a sidecar on the loop; in a thread."""
    with running(request.param) as (_, sidecar):
        yield sidecar.port


def answers(port, data, *, finish=False):
    """What is answered until the sidecar closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        received = b""
        try:
            sock.sendall(data)
            if finish:
                sock.shutdown(socket.SHUT_WR)
            while chunk := sock.recv(65_536):
                received += chunk
        except (ConnectionResetError, BrokenPipeError):
            pass
        return received


def status(answer):
    return int(answer.split(b" ", 2)[1]) if answer else None


def is_well(port):
    with urllib.request.urlopen(f"http://localhost:{port}/healthz", timeout=30) as response:
        return response.read() == b"ok\n"


CLOSED = None
"""The connection is closed without an answer."""

HEADS = {
    # Smuggling: no request with a body is read, so that no proxy can disagree about its length.
    "both lengths": (GET + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", CLOSED),
    "chunked": (GET + b"Transfer-Encoding: chunked\r\n", CLOSED),
    "chunked in disguise": (GET + b"Transfer-Encoding: xchunked\r\n", CLOSED),
    "two lengths": (GET + b"Content-Length: 0\r\nContent-Length: 44\r\n", CLOSED),
    "a length": (GET + b"Content-Length: 44\r\n", CLOSED),
    "a signed length": (GET + b"Content-Length: +0\r\n", CLOSED),
    "a folded header": (GET + b"X: a\r\n Transfer-Encoding: chunked\r\n", CLOSED),
    "a blank before the colon": (GET + b"Transfer-Encoding : chunked\r\n", CLOSED),
    "a bare line feed": (b"GET /healthz HTTP/1.1\nHost: localhost\n", CLOSED),
    "a bare carriage return": (GET + b"X: a\rTransfer-Encoding: chunked\r\n", CLOSED),
    # Targets.
    "absolute form": (b"GET http://localhost/healthz HTTP/1.1\r\n" + HOST, 404),
    "absolute form of another": (b"GET http://evil.example/ HTTP/1.1\r\n" + HOST, 404),
    "authority form": (b"CONNECT evil.example:443 HTTP/1.1\r\n" + HOST, 405),
    "asterisk form": (b"OPTIONS * HTTP/1.1\r\n" + HOST, 204),
    "traversal": (b"GET /../../etc/passwd HTTP/1.1\r\n" + HOST, 404),
    "a NUL": (b"GET /\0 HTTP/1.1\r\n" + HOST, 404),
    "not ASCII": (b"GET /\xff HTTP/1.1\r\n" + HOST, CLOSED),
    "a huge target": (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\n" + HOST, 414),
    "a huge query": (b"GET /operations?" + b"a=1&" * 2_000 + b" HTTP/1.1\r\n" + HOST, 200),
    # Headers.
    "two hosts": (GET + HOST, 403),
    "no host": (b"GET / HTTP/1.1\r\n", 403),
    "two origins": (GET + b"Origin: http://localhost\r\n" * 2, 403),
    "two upgrades": (UPGRADE + b"Upgrade: websocket\r\nUpgrade: websocket\r\n", 426),
    "another upgrade": (UPGRADE + b"Upgrade: h2c\r\n", 426),
    "a NUL in a header": (GET + b"X: \0\r\n", CLOSED),
    "a long header": (GET + b"X: " + b"a" * 9_000 + END, 431),
    "many headers": (GET + b"X: a\r\n" * 200, 431),
    # Methods and versions.
    "post": (b"POST /healthz HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n", 405),
    "lower case": (b"get /healthz HTTP/1.1\r\n" + HOST, 405),
    "a method of our own": (b"STOP / HTTP/1.1\r\n" + HOST, 405),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n", CLOSED),
    "HTTP/0.9": (b"GET /healthz\r\n", CLOSED),
    "garbage": (bytes(range(256)), CLOSED),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40, CLOSED),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_that_is_wrong_is_refused_and_stops_nobody(port, caplog, name):
    head, expected = HEADS[name]
    with caplog.at_level(logging.ERROR):
        assert status(answers(port, head + END, finish=expected is CLOSED)) == expected
        assert is_well(port)
    assert [one.getMessage() for one in caplog.records] == []


PIPELINES = {
    "the same": (GET + END) * 100,
    "behind a refused one": b"POST / HTTP/1.1\r\n"
    + HOST
    + b"Content-Length: 0\r\n\r\n"
    + GET
    + END,
    "behind a handshake": UPGRADE + b"Upgrade: websocket\r\n\r\n" + GET + END,
    "garbage": GET + END + b"\xff" * 1_000,
}


@pytest.mark.parametrize("name", PIPELINES)
def test_who_writes_on_before_he_is_answered_is_closed(port, caplog, name):
    with caplog.at_level(logging.ERROR):
        assert answers(port, PIPELINES[name]) == b""
        assert is_well(port)
    assert [one.getMessage() for one in caplog.records] == []


def test_who_writes_his_head_slowly_delays_nobody(port):
    slow = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(50)]
    try:
        for number in range(5):
            for one in slow:
                one.sendall(b"GET / HTTP/1.1\r\n" if number == 0 else b"X: a\r\n")
            assert is_well(port)
    finally:
        for one in slow:
            one.close()
    assert is_well(port)
