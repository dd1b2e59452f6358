"""What clients that never read cost the others, and the sidecar.

A sidecar on a Redis of its own serves 100 clients that watch one operation and read what they get,
once with and once without other clients beside them that watch the same and never read. Those are
stuck before anything is measured: the operation has logged some megabytes before. Taken are the
time from the call that publishes a line until a watcher has it, of all lines and watchers, and
the memory of the sidecar's process.

The sidecar has a processor of its own where there are two; Redis, the writer and all the clients
share another. Runs alternate. Pairs without stuck clients in either show how much the machine
itself wanders.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil
from websockets.asyncio.client import connect

from celery_wsprogress import wire
from celery_wsprogress.brokers import BrokerAddress, open_writer
from celery_wsprogress.events import Log, LogData, Status, StatusData
from tests.servers import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator

WATCHERS = 100
STUCK = 50
LINES = 400
PAUSE = 0.02
"""Seconds between two lines."""

OPERATION = "op-1"
BEFORE = 600
"""Lines of 7,000 bytes that make who does not read stuck."""


class Run(NamedTuple):
    """Of one run: delays in seconds, and the sidecar's memory in bytes."""

    median: float
    p99: float
    memory: int


def measure(*, pairs: int) -> dict[str, Any]:
    """Measure, print a table, and return the figures."""
    against: list[tuple[Run, Run]] = []
    itself: list[tuple[Run, Run]] = []
    _run(STUCK)
    for number in range(pairs):
        # The one that comes first is not always the same.
        kinds = (0, STUCK) if number % 2 else (STUCK, 0)
        runs = {stuck: _run(stuck) for stuck in kinds}
        against.append((runs[0], runs[STUCK]))
        itself.append((_run(0), _run(0)))
    return _report(against, itself)


def _run(stuck: int) -> Run:
    with RedisServer() as server, _sidecar(server.url) as (sidecar, url):
        command = [sys.executable, "-m", "benchmarks.slow_client", url, server.url, str(stuck)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as load:
            assert load.stdout is not None
            said = json.loads(load.stdout.readline())
            # Its clients stay until its input ends.
            memory = psutil.Process(sidecar.pid).memory_info().rss
            load.communicate()
    if said["stuck"] != stuck:
        raise SystemExit(f"{said['stuck']} clients of {stuck} were there to the end")
    return Run(said["median"], said["p99"], memory)


@contextmanager
def _sidecar(broker: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [
        *(sys.executable, "-m", "celery_wsprogress", "serve", "--broker", broker),
        *("--port", "0", "--heartbeat", "600", "--log-level", "error"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sidecar:
        try:
            _pin(sidecar.pid, 0)
            assert sidecar.stdout is not None
            started = re.search(r"ws://\S+", sidecar.stdout.readline())
            assert started is not None
            yield sidecar, started[0]
        finally:
            sidecar.kill()


def _pin(pid: int, processor: int) -> None:
    """Keep a process to one of the processors it may use, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        usable = sorted(os.sched_getaffinity(pid))
        os.sched_setaffinity(pid, {usable[processor % len(usable)]})


# The load, in a process of its own.


async def _load(url: str, broker: str, stuck: int) -> dict[str, Any]:
    write = _writer(broker)
    started = StatusData(status="started", message="", details={}, metadata={})
    write(Status(operation_id=OPERATION, timestamp=1.0, run="r", data=started))
    with ExitStack() as stack:
        deaf = [stack.enter_context(_deaf(url)) for _ in range(stuck)]
        for _ in range(BEFORE // 4):
            await asyncio.to_thread(write, *[_line("x" * 7_000)] * 4)
        await _until_all_is_read(url)
        delays: list[float] = []
        ready = asyncio.Barrier(WATCHERS + 1)
        async with asyncio.TaskGroup() as watchers:
            for _ in range(WATCHERS):
                watchers.create_task(_watch(url, ready, delays))
            await ready.wait()
            await asyncio.to_thread(_publish, write)
        there = sum(_is_there(one) for one in deaf)
        delays.sort()
        figures = {
            "stuck": there,
            "median": statistics.median(delays),
            "p99": delays[len(delays) * 99 // 100],
        }
        print(json.dumps(figures), flush=True)
        await asyncio.to_thread(sys.stdin.read)
    return figures


def _writer(broker: str) -> Any:
    log = open_writer(BrokerAddress(broker))
    counter = 0

    def write(*events: Any) -> None:
        nonlocal counter
        counter += 1
        encoded = [wire.encode_event(one) for one in events]
        log.publish(wire.join_batch("bench", counter, encoded), confirm=True)

    return write


def _line(text: str) -> Log:
    data = LogData(level="info", message=text)
    return Log(operation_id=OPERATION, timestamp=1.0, run="r", data=data)


def _publish(write: Any) -> None:
    for _ in range(LINES):
        # The same clock in every process of the machine.
        write(_line(f"at {time.monotonic()} {'x' * 1_000}"))
        time.sleep(PAUSE)
    write(_line("end"))


async def _watch(url: str, ready: asyncio.Barrier, delays: list[float]) -> None:
    async with connect(url, compression=None, ping_interval=None) as client:
        await client.recv()
        subscribe = {"command": "subscribe", "operation_id": OPERATION, "replay": "none"}
        await client.send(json.dumps(subscribe))
        await client.recv()
        await ready.wait()
        while True:
            frame = await client.recv(decode=False)
            now = time.monotonic()
            at = re.search(rb'"at ([\d.]+) ', frame)
            if at is not None:
                delays.append(now - float(at[1]))
            elif b'"end"' in frame:
                return


async def _until_all_is_read(url: str) -> None:
    """Wait until the sidecar has read what was logged before."""
    async with connect(url, compression=None) as client:
        await client.recv()
        read = 0
        while read <= BEFORE:
            await client.send(json.dumps({"command": "get_operation", "operation_id": OPERATION}))
            operation = json.loads(await client.recv())["operation"]
            read = operation["event_count"] if operation else 0


@contextmanager
def _deaf(url: str) -> Iterator[socket.socket]:
    """A client that subscribes, takes snapshots by its own word, and reads nothing."""
    host, port = url.removeprefix("ws://").split(":")
    with socket.create_connection((host, int(port))) as one:
        one.sendall(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        fields = {"command": "subscribe", "operation_id": OPERATION, "resync": True}
        command = json.dumps(fields).encode()
        # A client's frames are masked; a mask of nothing changes nothing.
        one.sendall(bytes((0x81, 0x80 | len(command), 0, 0, 0, 0)) + command)
        yield one


def _is_there(one: socket.socket) -> bool:
    """Whether the sidecar has not closed it."""
    established = 1
    info = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    return info[0] == established


# What is made of it.


def _report(against: list[tuple[Run, Run]], itself: list[tuple[Run, Run]]) -> dict[str, Any]:
    each = [(other.memory - one.memory) / STUCK / 1e6 for one, other in against]
    figures = {
        "pairs": len(against),
        "watchers": WATCHERS,
        "stuck": STUCK,
        "p99 with / without": _spread([other.p99 / one.p99 for one, other in against]),
        "p99 without / without": _spread([other.p99 / one.p99 for one, other in itself]),
        "median with / without": _spread([other.median / one.median for one, other in against]),
        "MB each": _spread(each),
        "p99_ms": 1e3 * statistics.median(one.p99 for one, _ in against),
        "median_ms": 1e3 * statistics.median(one.median for one, _ in against),
    }
    _print(figures)
    return figures


def _spread(values: list[float]) -> dict[str, float]:
    low, *_, high = statistics.quantiles(values, n=10)
    return {"median": statistics.median(values), "p10": low, "p90": high}


def _print(figures: dict[str, Any]) -> None:
    print(
        f"{STUCK} clients that never read beside {WATCHERS} that do, {figures['pairs']} "
        "interleaved pairs (median, p10 to p90)"
    )
    for name, spread in figures.items():
        if isinstance(spread, dict):
            shown = f"{spread['median']:.2f} ({spread['p10']:.2f} to {spread['p90']:.2f})"
            print(f"  {name:24} {shown}")
    print(
        f"  delivery without them: median {figures['median_ms']:.1f} ms, "
        f"p99 {figures['p99_ms']:.1f} ms"
    )


if __name__ == "__main__":
    _pin(os.getpid(), 1)
    asyncio.run(_load(sys.argv[1], sys.argv[2], int(sys.argv[3])))
