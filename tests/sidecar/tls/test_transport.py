"""A port with TLS, on asyncio and on uvloop, and clients of the standard library and websockets."""

from __future__ import annotations

import json
import logging
import math
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from dataclasses import replace
from functools import partial

import pytest
from support import certificates
from support.conditions import eventually
from support.sample_events import completed, status
from support.sidecar_loops import loop_factories, running
from websockets.sync.client import connect

from celery_wsprogress.protocol.batches import Batch

TIMEOUT = 60


class Port:
    """The port of a sidecar in a thread."""

    def __init__(self, loop, sidecar, files):
        self.loop, self.sidecar, self.files = loop, sidecar, files

    @property
    def refused(self):
        return self.sidecar.limits.admission.refused

    def call(self, function, *arguments):
        """Call something on the loop."""
        done = threading.Event()
        self.loop.call_soon_threadsafe(lambda: (function(*arguments), done.set()))
        assert done.wait(TIMEOUT)

    def plain(self):
        return socket.create_connection(("127.0.0.1", self.sidecar.port), timeout=TIMEOUT)

    def wrapped(self):
        """To this client an end that was not said is an error."""
        context = self.files.trusted()
        return context.wrap_socket(
            self.plain(), server_hostname="localhost", suppress_ragged_eofs=False
        )

    def websocket(self):
        return connect(
            f"wss://localhost:{self.sidecar.port}/",
            ssl=self.files.trusted(),
            open_timeout=TIMEOUT,
            compression=None,
            max_size=None,
        )

    def figures(self):
        url = f"https://localhost:{self.sidecar.port}/metrics"
        with urllib.request.urlopen(url, context=self.files.trusted(), timeout=TIMEOUT) as reply:
            return reply.read().decode()


@pytest.fixture(scope="module", params=loop_factories())
def port(request, tmp_path_factory):
    files = certificates.make(tmp_path_factory.mktemp("tls"))
    with running(request.param, heartbeat=600, **files.settings) as (loop, sidecar):
        yield Port(loop, sidecar, files)


@pytest.fixture(autouse=True)
def no_errors(caplog):
    """Whatever a client does, it is no error of the sidecar."""
    caplog.set_level(logging.INFO)
    yield
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []


def received(sock):
    """What comes until the end, however that is said."""
    data = b""
    try:
        while chunk := sock.recv(65_536):
            data += chunk
    except (ConnectionError, ssl.SSLError):
        pass
    return data


def test_a_client_is_served_and_its_close_is_answered(port):
    with port.websocket() as websocket:
        assert json.loads(websocket.recv(TIMEOUT))["event_type"] == "connected"
        websocket.send('{"command": "ping"}')
        assert json.loads(websocket.recv(TIMEOUT))["status"] == "pong"
        assert websocket.ping().wait(TIMEOUT)
    assert websocket.close_code == 1000


def test_http_is_answered_and_its_end_is_said(port):
    with port.wrapped() as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b"".join(iter(lambda: sock.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\nok\n")


def test_the_end_of_a_stream_of_events_is_said(port):
    batch = Batch("w", 1, [status("started", metadata={}), completed(duration=1.0)])
    read = partial(port.sidecar.hub.process_batch, epoch="e", position="1", now=time.monotonic())
    port.call(read, batch)
    with port.wrapped() as sock:
        sock.sendall(b"GET /operations/op-1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b"".join(iter(lambda: sock.recv(65_536), b""))
    assert b'"status":"completed"' in answer


def test_a_client_that_asks_for_new_keys_again_and_again_is_cut_off(port):
    command = ["openssl", "s_client", "-connect", f"localhost:{port.sidecar.port}"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
    ) as client:
        lines = iter(client.stdout.readline, b"")
        assert any(b"Verify return code" in line for line in lines)
        asked = 0
        while asked < 1_000:
            try:
                # A line by itself: s_client takes a command only at the beginning of what it reads.
                client.stdin.write(b"K\n")
            except BrokenPipeError:
                break
            if not any(b"KEYUPDATE" in line for line in lines):
                break
            asked += 1
        client.kill()
    assert 0 < asked < 1_000


def test_what_many_records_and_few_bytes_at_a_time_bring_is_one_request(port):
    context, to_server, to_client = port.files.trusted(), ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(to_client, to_server, server_hostname="localhost")
    with port.plain() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def dribble():
            data = to_server.read()
            for start in range(0, len(data), 50):
                sock.sendall(data[start : start + 50])

        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                dribble()
                to_client.write(sock.recv(65_536))
        for letter in b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n":
            tls.write(bytes([letter]))
        dribble()
        to_client.write(received(sock))
        assert tls.read(65_536).startswith(b"HTTP/1.1 200")


def test_many_commands_at_once_are_read_as_they_are_executed(port):
    with port.websocket() as websocket:
        websocket.recv(TIMEOUT)
        for number in range(300):
            websocket.send(json.dumps({"command": "ping", "request_id": f"{number:0500}"}))
        replies = [json.loads(websocket.recv(TIMEOUT)) for _ in range(300)]
        assert [int(one["request_id"]) for one in replies] == list(range(300))


def test_http_without_tls_is_told_so_and_counted(port, caplog):
    with port.plain() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = received(sock)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.endswith(b"This port speaks TLS: use https:// or wss://\n")
    assert "Refused a TLS handshake from 127.0.0.1: it is HTTP without TLS" in caplog.text
    assert 'refused_connections_total{limit="tls"}' in port.figures()


@pytest.mark.parametrize("data", [b"\x00" * 100, b"SSH-2.0-x\r\n", b"\x16\x03\x01\xff\xff" * 9])
def test_what_is_no_tls_is_closed(port, data):
    before = port.refused["tls"]
    with port.plain() as sock:
        sock.sendall(data)
        received(sock)
    eventually(lambda: port.refused["tls"] == before + 1)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_tls_before_1_2_is_refused(port):
    context = port.files.trusted()
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with port.plain() as sock, pytest.raises(ssl.SSLError):
        context.wrap_socket(sock, server_hostname="localhost")


def test_a_damaged_record_ends_the_connection(port):
    context, to_server, to_client = port.files.trusted(), ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(to_client, to_server, server_hostname="localhost")
    with port.plain() as sock:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(to_server.read())
                to_client.write(sock.recv(65_536))
        tls.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        data = bytearray(to_server.read())
        data[-1] ^= 1
        sock.sendall(data)
        to_client.write(received(sock))
        with pytest.raises(ssl.SSLError):
            tls.read(65_536)


def test_a_handshake_that_does_not_end_has_the_time_of_a_head(port, caplog):
    admission = port.sidecar.limits.admission
    eventually(lambda: admission.unfinished == 0)
    with port.plain() as silent, port.plain() as slow:
        slow.sendall(b"\x16\x03\x01")
        eventually(lambda: admission.unfinished == 2)
        port.call(admission.drop_late, math.inf)
        assert received(silent) == received(slow) == b""
    assert "its head did not come in time" in caplog.text
    assert admission.unfinished == 0


def test_handshakes_that_do_not_end_count_as_unfinished_requests(port):
    admission = port.sidecar.limits.admission
    limits, before = admission.limits, port.refused["unfinished"]
    eventually(lambda: admission.unfinished == 0)
    port.call(setattr, admission, "limits", replace(limits, unfinished=2))
    try:
        waiting = [port.plain() for _ in range(3)]
        assert received(waiting[0]) == b""
        assert port.refused["unfinished"] == before + 1
        for one in waiting:
            one.close()
        eventually(lambda: admission.unfinished == 0)
    finally:
        port.call(setattr, admission, "limits", limits)


def test_a_client_that_ends_without_a_word_is_gone(port):
    sock = port.wrapped()
    sock.sendall(b"GET /healthz HTTP/1.1\r\n")
    socket.socket(fileno=sock.detach()).close()
    eventually(lambda: port.sidecar.limits.admission.unfinished == 0)
