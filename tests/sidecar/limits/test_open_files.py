"""The limit on open files is raised, and some files are kept free."""

from __future__ import annotations

import logging
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import ExitStack, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.conditions import eventually
from support.floods import UPGRADE
from support.sidecars import SidecarProcess

from celery_wsprogress.sidecar.limits.open_files import (
    MAX_UNFINISHED_REQUESTS,
    RESERVED_FILES,
    OpenFiles,
    log_files,
    share_files,
)
from celery_wsprogress.sidecar.sockets import BACKLOG

RAISED = """
import resource
from celery_wsprogress.sidecar.limits.open_files import raise_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 300))
first, second = raise_limit(), raise_limit()
assert (first.before, first.limit) == (100, 300)
assert (second.before, second.limit) == (300, 300)
assert 3 <= first.in_use < 30
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (300, 300)
"""


def test_with_many_files_there_are_as_many_connections_as_are_wanted():
    assert share_files(100_000, 10_000) == (10_000, MAX_UNFINISHED_REQUESTS, BACKLOG)


@given(st.integers(2, 100_000), st.integers(1, 1_000_000))
def test_connections_take_no_file_that_is_reserved(files, wanted):
    shares = share_files(files, wanted)
    assert min(shares) >= 1
    assert shares.connections <= wanted
    if files >= 10:
        assert sum(shares) <= files - min(RESERVED_FILES, files // 2)


def test_the_soft_limit_is_raised_to_the_hard_one():
    subprocess.run([sys.executable, "-c", RAISED], check=True, timeout=60)


def test_the_limit_is_told_at_the_start_as_a_warning_if_it_is_too_low(caplog):
    caplog.set_level(logging.INFO)
    log_files(OpenFiles(1_024, 4_096, 10), share_files(4_086, 10), 10)
    log_files(OpenFiles(256, 256, 10), share_files(246, 1_000), 1_000)
    [enough, too_low] = caplog.records
    assert (enough.levelname, too_low.levelname) == ("INFO", "WARNING")
    assert enough.getMessage() == (
        "At most 10 connections: this process may open 4096 files (raised from 1024)"
    )
    assert "this process may open 256 files, too few for wsprogress_max" in too_low.getMessage()


def healthy(sidecar):
    with urllib.request.urlopen(f"{sidecar.http}/healthz", timeout=30) as response:
        return response.status == 200


def is_healthy(sidecar):
    with suppress(OSError):
        return healthy(sidecar)
    return False


def attempt(sidecar, stack, data):
    one = stack.enter_context(socket.create_connection(("127.0.0.1", sidecar.port), timeout=60))
    with suppress(OSError):
        one.sendall(data)
    return one


def status_of(one):
    try:
        return int(one.recv(4_096).split(b" ", 2)[1])
    except ConnectionResetError:
        return None


def lines(sidecar, pattern):
    return [line for line in sidecar.output.splitlines() if re.search(pattern, line)]


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_at_the_limit_health_is_told_and_the_broker_comes_back(own_redis, loop):
    with SidecarProcess(own_redis.url, loop=loop, files=256) as sidecar, ExitStack() as clients:
        assert lines(sidecar, "At most .* may open 256 files, too few for wsprogress_max")
        for _ in range(300):
            attempt(sidecar, clients, b"")
        assert healthy(sidecar)
        statuses = [status_of(attempt(sidecar, clients, UPGRADE)) for _ in range(200)]
        assert set(statuses) == {101, 503}
        assert healthy(sidecar)
        own_redis.kill()
        eventually(lambda: not sidecar.ready())
        own_redis.start()
        eventually(sidecar.ready, 60)
        assert lines(sidecar, "connections is reached")
        assert lines(sidecar, "cannot open more files|Traceback") == []
        assert len(sidecar.output.splitlines()) < 100


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_without_any_file_there_is_a_line_and_it_goes_on_when_there_are_some(own_redis, loop):
    with SidecarProcess(own_redis.url, loop=loop, files=256) as sidecar:
        with ExitStack() as clients:
            # The program opens all there are, as an application's function may.
            sidecar.process.send_signal(signal.SIGUSR1)
            eventually(lambda: lines(sidecar, "all files are open"))
            for _ in range(50):
                one = clients.enter_context(socket.socket())
                one.setblocking(False)
                one.connect_ex(("127.0.0.1", sidecar.port))
            eventually(lambda: lines(sidecar, "WARNING This process cannot open more files"), 30)
        sidecar.process.send_signal(signal.SIGUSR2)
        eventually(lambda: is_healthy(sidecar), 60)
        assert lines(sidecar, "Traceback") == []
        assert len(lines(sidecar, "cannot open more files")) < 5
