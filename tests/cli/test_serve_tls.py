"""``serve`` with a certificate: in one process and in several."""

from __future__ import annotations

import json
import re
import shlex
import signal
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from support import certificates
from support.conditions import eventually
from support.ports import free_port
from support.programs import OURS, Piped, environment, run
from support.servers import find_program
from websockets.sync.client import connect

ROOT = Path(__file__).parents[2]
BROKER = "redis://localhost:1/0"
"""Nobody listens there: that matters to nothing here."""


@pytest.fixture
def files(tmp_path):
    return certificates.make(tmp_path)


def served(port):
    """The certificate that a new client gets."""
    return ssl.get_server_certificate(("localhost", port), timeout=60)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_new_certificate_is_served_without_a_restart(redis_url, files, tmp_path, processes):
    port, old = free_port(), files.trusted()
    more = ["--port", str(port), "--processes", str(processes), *files.options]
    with Piped("serve", "--broker", redis_url, *more) as sidecar:
        sidecar.wait_for(f"WebSocket server started on wss://localhost:{port}\n")
        sidecar.wait_for(f"Status: curl https://localhost:{port}/status\n")
        with connect(f"wss://localhost:{port}/", ssl=old, open_timeout=60) as websocket:
            assert json.loads(websocket.recv(timeout=60))["event_type"] == "connected"
            new = certificates.make(tmp_path)
            text = new.certificate.read_text()
            # Whichever process takes the connection.
            eventually(lambda: all(served(port) == text for _ in range(4 * processes)))
            url = f"https://localhost:{port}/healthz"
            with urllib.request.urlopen(url, context=new.trusted(), timeout=60) as reply:
                assert reply.read() == b"ok\n"
            websocket.send('{"command": "ping"}')
            assert json.loads(websocket.recv(timeout=60))["status"] == "pong"
        assert sidecar.end(signal.SIGTERM) == 0
        assert "PRIVATE" not in sidecar.stdout + sidecar.stderr


@pytest.mark.parametrize("processes", ["1", "2"])
def test_files_that_cannot_be_used_are_one_line_at_the_start(files, processes):
    files.key.unlink()
    done = run("serve", "--broker", BROKER, "--processes", processes, *files.options)
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]
    assert line.startswith(f"Error: wsprogress_tls_key is '{files.key}', but must be a file that ")
    assert line.endswith("(No such file or directory)")


def is_ready(port, files):
    try:
        url = f"https://localhost:{port}/readyz"
        with urllib.request.urlopen(url, context=files.trusted(), timeout=60):
            return True
    except urllib.error.HTTPError:
        return False


def test_the_commands_of_the_guide(redis_url, tmp_path):
    for program in ("openssl", "curl"):
        find_program(program)
    port, page = free_port(), (ROOT / "docs" / "howto" / "tls.md").read_text()
    make, ask = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    subprocess.run(make, cwd=tmp_path, shell=True, check=True, capture_output=True, timeout=120)
    files = certificates.Files(tmp_path / "cert.pem", tmp_path / "key.pem")
    with Piped("serve", "--broker", redis_url, "--port", str(port), *files.options) as sidecar:
        sidecar.wait_for("WebSocket server started")
        eventually(lambda: is_ready(port, files), what="the sidecar to be ready")
        asked = ask.replace("8765", str(port)).replace("celery-wsprogress", shlex.join(OURS))
        done = subprocess.run(
            ["bash", "-ec", asked],
            cwd=tmp_path,
            env=environment(PYTHONPATH=str(ROOT)),
            check=False,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stderr
        assert '"ready":true' in done.stdout
        assert "connected_clients" in done.stdout


def test_the_configuration_shows_where_the_files_are(files):
    done = run("serve", "--broker", BROKER, "--show-config", *files.options)
    assert "tls_key " in done.stdout
    assert str(files.key) in done.stdout
