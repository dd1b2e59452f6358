"""Writers that send what is held: names, metadata, details, errors, of many operations."""

from __future__ import annotations

import contextlib
import json
import urllib.error
import urllib.request
from contextlib import ExitStack

import psutil
from support.conditions import eventually
from support.event_log import log_writer
from support.sample_events import completed, error, progress, status
from support.sidecars import SidecarProcess
from websockets.sync.client import connect

LIMIT = 20_000_000
#: What a process takes besides: batches that are read, garbage, and room that is kept.
SLACK = 40_000_000


def lives(number):
    """Batches of one operation of each kind."""
    names = {"operation_id": f"op-{number}"}
    yield [status("started", metadata={}, operation_type="t" * 30_000, **names)]
    for one in range(20):
        yield [status("mine", metadata={f"name {number} {one}": "x" * 7_000}, **names)]
    yield [progress(0.5, details={f"name {one}": one + 0.5 for one in range(500)}, **names)]
    yield [error("e" * 20_000, **names) if number % 2 else completed(**names)]


def huge(number):
    large = {f"name {one}": "x" * 1_000 for one in range(2_000)}
    yield [status("started", metadata=large, tags=["x" * 10_000] * 100, operation_id=f"h-{number}")]


def stats(sidecar):
    with urllib.request.urlopen(f"{sidecar.http}/status", timeout=60) as response:
        return json.load(response)["stats"]


def has_ended(sidecar, operation_id):
    with contextlib.suppress(urllib.error.HTTPError):
        url = f"{sidecar.http}/operations/{operation_id}"
        with urllib.request.urlopen(url, timeout=60) as response:
            return json.load(response)["operation"]["state"] in {"completed", "error"}
    return False


def test_the_memory_stays_within_the_setting(own_redis):
    options = ("--max-history-bytes", str(LIMIT), "--max-finished", "100000")
    with SidecarProcess(own_redis.url, *options) as sidecar, ExitStack() as clients:
        # One who watches everything and reads nothing.
        websocket = clients.enter_context(connect(sidecar.url, compression=None, max_queue=1))
        websocket.send(json.dumps({"command": "subscribe", "operation_id": "*"}))
        process = psutil.Process(sidecar.pid)
        before = process.memory_info().rss
        with log_writer(own_redis.url) as write:
            for number in range(400):
                batches = [*lives(number), *(huge(number) if number % 20 == 0 else ())]
                for batch in batches:
                    write(*batch)
        eventually(lambda: has_ended(sidecar, "op-399"), 60)
        assert stats(sidecar)["history_bytes"] <= LIMIT
        assert process.memory_info().rss - before < 1.3 * LIMIT + LIMIT / 8 + SLACK
