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


CLIENTS = 12
MAX_ID_MEMORY = 60_000_000
"""Bytes for what they watch: 2 MB of ids and what belongs to each. Unbounded it would be 170 MB."""


def test_ids_of_the_longest_kind_are_bounded_in_bytes(redis_url):
    def watch(client, first):
        ids = [f"{first + one}".rjust(1_000, "x") for one in range(200)]
        client.send(json.dumps({"command": "subscribe", "operation_ids": ids}))
        return json.loads(client.recv(timeout=120)).get("code")

    with SidecarProcess(redis_url, "--client-share", "1", "--address-share", "1") as sidecar:
        process = psutil.Process(sidecar.pid)
        before = process.memory_info().rss
        with ExitStack() as stack:
            for number in range(CLIENTS):
                client = stack.enter_context(connect(sidecar.url, compression=None))
                client.recv(timeout=60)
                codes = [watch(client, 100_000 * number + 200 * one) for one in range(50)]
                assert set(codes) == {None, "too_many_subscriptions"}
            assert process.memory_info().rss - before < MAX_ID_MEMORY


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
                if number % 20 == 19:
                    # What a starved sidecar reads ahead has a bound of its own.
                    eventually(lambda last=f"op-{number}": has_ended(sidecar, last), 60)
        assert stats(sidecar)["history_bytes"] <= LIMIT
        assert process.memory_info().rss - before < 1.3 * LIMIT + LIMIT / 8 + SLACK
