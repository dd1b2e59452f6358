"""SIGHUP to ``serve``: what is read again, and what a closed terminal does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess

import pytest
from support import certificates
from support.conditions import eventually
from support.ports import free_port
from support.programs import OURS, PROJECTS, Piped, environment

BROKER = "redis://localhost:1/0"
"""Nobody listens there: that matters to nothing here."""
LAST = "Reload: all other settings, and the application, need a restart to change"


@pytest.fixture
def systemd(tmp_path):
    """Where a service says its state."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.bind(str(tmp_path / "notify"))
        one.settimeout(120)
        yield one


def test_files_are_read_again_and_each_has_a_line(tmp_path, systemd):
    files, revoked = certificates.make(tmp_path), tmp_path / "revoked"
    revoked.write_text("jti:one\n")
    more = ["--port", "0", *files.options, "--revoked-tokens", str(revoked)]
    variables = {"WSPROGRESS_KEY": "k" * 32, "NOTIFY_SOCKET": str(tmp_path / "notify")}
    with Piped("serve", "--broker", BROKER, *more, **variables) as sidecar:
        assert systemd.recv(100) == b"READY=1"
        sidecar.process.send_signal(signal.SIGHUP)
        assert systemd.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert systemd.recv(100) == b"READY=1"
        sidecar.wait_for(LAST)
        assert "Reload: the certificate is unchanged" in sidecar.stderr
        assert "Reload: the file of revoked tokens is unchanged" in sidecar.stderr
        certificates.replace(revoked, b"nonsense\n")
        sidecar.process.send_signal(signal.SIGHUP)
        sidecar.wait_for("Reload: the file of revoked tokens cannot be used, so it stays as it was")
        assert sidecar.end(signal.SIGTERM) == 0


def test_each_of_several_processes_reads_them(redis_url, tmp_path):
    files = certificates.make(tmp_path)
    more = ["--port", str(free_port()), "--processes", "2", *files.options]
    with Piped("serve", "--broker", redis_url, *more) as sidecar:
        sidecar.wait_for("Processes: 2")
        sidecar.process.send_signal(signal.SIGHUP)
        eventually(lambda: sidecar.stderr.count(LAST) == 2, what="both have read them")
        assert sidecar.end(signal.SIGTERM) == 0


def test_a_terminal_that_is_closed_ends_it():
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [*OURS, "serve", "--broker", BROKER, "--port", "0"],
        cwd=PROJECTS,
        env=environment(),
        preexec_fn=lambda: os.login_tty(theirs),  # noqa: PLW1509 - there is no other way
    )
    os.close(theirs)
    output = b""
    while b"Status: curl" not in output:
        output += os.read(ours, 65_536)
    os.close(ours)
    assert process.wait(120) >= 0, "no signal has ended it"
