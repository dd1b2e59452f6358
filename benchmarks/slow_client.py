"""The cost of clients that never read, to the others and to the sidecar.

100 clients watch one operation and read what they get, once with and once without 50 others beside
them that watch the same and never read. Those are stuck before anything is measured: the operation
has written some megabytes before. Taken are the times from the call that publishes a line until a
watcher has it, of all lines and watchers, and the memory of the sidecar's process. In each round
there is one more run without them: without against without is how much the machine itself wanders.
"""

from __future__ import annotations

import json
import socket
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks import sample_events
from benchmarks.figures import Figure, Table, figure, ratio
from benchmarks.load import load
from benchmarks.log_writer import log
from benchmarks.sidecar import sidecar
from tests.support.servers import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.log_writer import Log
    from benchmarks.sidecar import Sidecar

TITLE: Final = "Slow clients"

WATCHERS: Final = 100
STUCK: Final = 50

PAUSE: Final = 0.02
"""Seconds between two lines."""

BEFORE: Final = 600
"""Lines of 7,000 bytes that make who does not read stuck."""

KEY: Final = '"at '


class GoneError(Exception):
    """A client that was to be stuck was closed."""


class Run(NamedTuple):
    """Delays in seconds, and the sidecar's memory in bytes."""

    p50: float
    p99: float
    memory: int


def measure(*, quick: bool) -> Table:
    """Measure, with and without the slow clients in turns."""
    rounds, lines = (1, 40) if quick else (3, 150)
    _run(STUCK, lines)
    taken = [tuple(_run(stuck, lines) for stuck in (0, STUCK, 0)) for _ in range(rounds)]
    return Table(TITLE, f"{rounds} rounds of {lines} lines", list(_figures(taken)))


def _run(stuck: int, lines: int) -> Run:
    with (
        RedisServer() as redis,
        log(redis.url) as writer,
        sidecar(redis.url) as server,
        ExitStack() as stack,
    ):
        writer.write(sample_events.started(0))
        server.become_ready()
        deaf = [stack.enter_context(_deaf(server)) for _ in range(stuck)]
        with load(server.port, 1, sample_events.WATCH_END) as end:
            for _ in range(BEFORE // 4):
                writer.write(*[sample_events.log(0, "x" * 7_000)] * 4)
            writer.write(sample_events.END)
            end.wait(1)
        with load(server.port, WATCHERS, sample_events.watch(0), key=KEY) as clients:
            _write(writer, lines)
            delays = clients.wait(lines * WATCHERS)
        if not all(map(_is_there, deaf)):
            raise GoneError("a client that reads nothing was closed before the end")
        return Run(delays.p50, delays.p99, server.memory)


def _write(writer: Log, lines: int) -> None:
    for _ in range(lines):
        writer.write(sample_events.log(0, f"at {time.time():.6f} {'x' * 1_000}"))
        time.sleep(PAUSE)


@contextmanager
def _deaf(server: Sidecar) -> Iterator[socket.socket]:
    """A client that subscribes, takes snapshots by its own word, and reads nothing."""
    with socket.create_connection(("127.0.0.1", server.port)) as one:
        one.sendall(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        command = json.dumps({**sample_events.watch(0), "resync": True}).encode()
        # A client's frames are masked; a mask of nothing changes nothing.
        one.sendall(bytes((0x81, 0x80 | len(command), 0, 0, 0, 0)) + command)
        yield one


def _is_there(one: socket.socket) -> bool:
    """Whether the sidecar has not closed it."""
    established = 1
    info = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    return info[0] == established


def _figures(taken: list[tuple[Run, ...]]) -> Iterator[Figure]:
    without, beside, again = zip(*taken, strict=True)
    p50, p99 = ([getattr(one, name) for one in without] for name in ("p50", "p99"))
    yield figure("delay without them, p50", "ms", (1e3 * one for one in p50))
    yield ratio("· with them, against without", [one.p50 for one in beside], p50)
    yield ratio("· without, against without", [one.p50 for one in again], p50)
    yield figure("delay without them, p99", "ms", (1e3 * one for one in p99))
    yield ratio("· with them, against without", [one.p99 for one in beside], p99)
    yield ratio("· without, against without", [one.p99 for one in again], p99)
    more = [(two.memory - one.memory) / STUCK for one, two in zip(without, beside, strict=True)]
    yield figure("memory of each of them", "MB", (one / 1e6 for one in more))
