"""What systemd passes to a service, and what it is told."""

from __future__ import annotations

import os
import socket

import pytest

from celery_wsprogress.sidecar.systemd import has_sockets, notify, take_sockets


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
        {"LISTEN_FDS": "", "LISTEN_PID": str(os.getpid())},
        {"LISTEN_FDS": "-1", "LISTEN_PID": str(os.getpid())},
        {"LISTEN_FDS": "²", "LISTEN_PID": str(os.getpid())},
    ],
)
def test_what_is_for_another_process_is_not_taken(environ):
    assert not has_sockets(environ)
    assert take_sockets(environ) == []
    assert environ == {}


@pytest.mark.parametrize("is_abstract", [False, True])
def test_systemd_is_told_a_state(tmp_path, is_abstract):
    name = f"wsprogress-{os.getpid()}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0{name}" if is_abstract else name)
        notify("READY=1", {"NOTIFY_SOCKET": f"@{name}" if is_abstract else name})
        systemd.settimeout(30)
        assert systemd.recv(100) == b"READY=1"


@pytest.mark.parametrize("place", [None, "", "/nowhere/at/all", "@nobody listens here"])
def test_nobody_need_be_there_to_be_told(place):
    notify("READY=1", {} if place is None else {"NOTIFY_SOCKET": place})
