"""``serve`` on a Unix socket behind nginx, and on a socket that systemd has opened."""

from __future__ import annotations

import json
import signal
import socket
import urllib.request
from pathlib import Path

import pytest
from support.conditions import eventually
from support.nginx import nginx
from support.programs import OURS
from support.servers import RedisServer
from support.services import UnixHTTP, start_service
from support.wire_document import connect, unix_connect

BROKER = "redis://localhost:1/0"
"""Nobody listens there: that matters to nothing here."""


@pytest.fixture
def serve(tmp_path):
    """Start ``serve``, as a service of systemd; gives the process and the file of its output."""
    started = []

    def start(*options, passed=-1, broker=BROKER, **variables):
        output = tmp_path / f"output-{len(started)}"
        command = [*OURS, "serve", "--broker", broker, *options]
        with output.open("w") as file:
            process = start_service(command, file, passed=passed, environment=variables)
        started.append(process)
        return process, output

    yield start
    for one in started:
        one.kill()
        one.wait(timeout=60)


def wait_for(output, text):
    eventually(lambda: text in output.read_text(), timeout=60, what=text)


@pytest.fixture
def redis_url():
    with RedisServer() as server:
        yield server.url


def test_a_unix_socket(serve, tmp_path, redis_url):
    path = tmp_path / "progress.sock"
    process, output = serve("--unix-socket", str(path), broker=redis_url)
    wait_for(output, f"WebSocket server started on unix:{path}\n")
    assert UnixHTTP(path).ask("/healthz") == (200, b"ok\n")
    with unix_connect(str(path), uri="ws://localhost/", open_timeout=60) as websocket:
        assert json.loads(websocket.recv(timeout=60))["event_type"] == "connected"
    with nginx(tmp_path, path, "/progress/") as site:
        with urllib.request.urlopen(f"{site}/progress/healthz", timeout=60) as response:
            assert response.read() == b"ok\n"
        with connect(f"{site.replace('http', 'ws')}/progress/", open_timeout=60) as websocket:
            assert json.loads(websocket.recv(timeout=60))["event_type"] == "connected"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    assert not path.exists()


def test_a_unix_socket_in_use_is_one_line(serve, tmp_path):
    path = tmp_path / "progress.sock"
    with socket.socket(socket.AF_UNIX) as ours:
        ours.bind(str(path))
        ours.listen()
        process, output = serve("--unix-socket", str(path))
        assert process.wait(timeout=60) == 1
    assert output.read_text() == f"Error: {path} is in use\n"


def test_several_processes_do_not_share_a_unix_socket(serve, tmp_path):
    process, output = serve("--unix-socket", str(tmp_path / "one"), "--processes", "2")
    assert process.wait(timeout=60) == 2
    assert "1 with a Unix socket" in output.read_text()


def test_a_service_of_systemd(serve, tmp_path):
    place = Path(tmp_path, "notify")
    with (
        socket.create_server(("127.0.0.1", 0)) as opened,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
    ):
        systemd.bind(str(place))
        systemd.settimeout(60)
        port = opened.getsockname()[1]
        # A client may connect before the service runs.
        early = socket.create_connection(("127.0.0.1", port))
        process, output = serve(passed=opened.fileno(), NOTIFY_SOCKET=str(place))
        assert systemd.recv(100) == b"READY=1"
        wait_for(output, f":{port}\n")
        with early:
            early.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert early.recv(100).startswith(b"HTTP/1.1 200")
        process.send_signal(signal.SIGTERM)
        assert systemd.recv(100) == b"STOPPING=1"
        assert process.wait(timeout=60) == 0
