"""Where the sidecar listens besides a port: on Unix sockets, and on those of systemd."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.settings import ServeSettings
from celery_wsprogress.sidecar import listeners


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "progress.sock")


def opened(path):
    settings = ServeSettings.load({"unix_socket": path})
    [sock] = listeners.open_listeners(settings, shared=False)
    return settings, sock


def test_a_unix_socket_is_for_its_user_and_its_group(path):
    settings, sock = opened(path)
    with sock, socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        assert stat.S_IMODE(Path(path).stat().st_mode) == 0o660
        assert listeners.is_unix(sock)
        assert listeners.port_of(sock) == 0
        assert listeners.address_of(settings, [sock], 0) == f"unix:{path}"
        listeners.remove_file(settings, [sock])
    assert not Path(path).exists()


def test_the_file_that_a_killed_process_has_left_is_replaced(path):
    opened(path)[1].close()
    assert Path(path).exists()
    with opened(path)[1], socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def test_a_path_in_use_stays_so(path):
    settings, sock = opened(path)
    with sock:
        with pytest.raises(OSError, match="in use") as caught:
            opened(path)
        assert listeners.explain(caught.value, settings) == f"{path} is in use"
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)


def test_a_file_that_is_no_socket_is_not_replaced(path):
    Path(path).write_text("precious")
    with pytest.raises(OSError, match="in use"):
        opened(path)
    assert Path(path).read_text() == "precious"


def test_a_path_that_cannot_be_is_explained(tmp_path):
    settings = ServeSettings.load({"unix_socket": str(tmp_path / "missing" / "one.sock")})
    with pytest.raises(OSError, match="No such file") as caught:
        listeners.open_listeners(settings, shared=False)
    assert "missing/one.sock: No such file" in listeners.explain(caught.value, settings)


def test_a_unix_socket_needs_no_key():
    settings = ServeSettings.load({"unix_socket": "/run/one.sock", "host": "0.0.0.0"})
    assert settings.is_local
    assert settings.may_be_served


def test_a_public_socket_of_systemd_needs_a_key(monkeypatch):
    with socket.create_server(("0.0.0.0", 0)) as ours:
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
        monkeypatch.setenv("LISTEN_FDS", "1")
        monkeypatch.setattr(
            "celery_wsprogress.sidecar.listeners.take_sockets", lambda _environ: [ours]
        )
        with pytest.raises(ConfigurationError, match="loopback address unless a key"):
            listeners.open_listeners(ServeSettings(), shared=False)
