"""Many operations, one dashboard: what an event costs from the broker's bytes to the socket.

1,000 operations each say ten times a second how far they are, in batches of 20 events, as 50
processes would write them that flush ten times a second. One client watches them all (``*``).
Taken is the processor time of the sidecar, divided by the events. In turns with it, a process reads
as many events from another Redis, decodes them, and does nothing else: what the sidecar needs more
is what it does after decoding, the socket included.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks import lives
from benchmarks.figures import Figure, Table, Target, figure, ratio
from benchmarks.load import Load, load
from benchmarks.log import Log, log
from benchmarks.reading import Reading, reading
from benchmarks.sidecar import Sidecar, sidecar
from tests.servers import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLE: Final = "Many operations: 1,000 of them, ten updates a second each, on one connection"

OPERATIONS: Final = 1_000
UPDATES: Final = 10
"""Of each operation, a second."""

SECONDS: Final = 2
"""Of writing, in each round."""

EVENTS: Final = SECONDS * UPDATES * OPERATIONS


class Round(NamedTuple):
    """What an event cost in one round: seconds of the processor."""

    ours: float
    """Of the sidecar."""
    reader: float
    """Of the bare reader."""
    frames: float
    """How many the dashboard was sent for an event."""


def measure(*, quick: bool) -> Table:
    """Measure, the sidecar and the bare reader in turns."""
    rounds = 4 if quick else 12
    with ExitStack() as stack:
        redis, other = (stack.enter_context(RedisServer()).url for _ in range(2))
        writer, other_writer = (stack.enter_context(log(url)) for url in (redis, other))
        writer.fill(map(lives.started, range(OPERATIONS)))
        ours = stack.enter_context(sidecar(redis))
        ours.become_ready()
        dashboard = stack.enter_context(load(ours.port, 1, lives.WATCH_EVERYTHING))
        end = stack.enter_context(load(ours.port, 1, lives.WATCH_END))
        reader = stack.enter_context(reading(other, EVENTS))
        _ours(writer, ours, dashboard, end)
        taken = []
        for _ in range(rounds):
            cost, frames = _ours(writer, ours, dashboard, end)
            taken.append(Round(cost, _reader(other_writer, reader), frames))
    return Table(TITLE, f"{rounds} rounds, in turns, of {EVENTS:,} events", list(_figures(taken)))


def _ours(writer: Log, server: Sidecar, dashboard: Load, end: Load) -> tuple[float, float]:
    """The cost of an event, and the frames that were sent for it."""
    sent, before = dashboard.count().frames, server.processor_time
    _write(writer)
    writer.write(lives.END)
    end.wait(1)
    cost = (server.processor_time - before) / EVENTS
    return cost, (dashboard.count().frames - sent) / EVENTS


def _reader(writer: Log, reader: Reading) -> float:
    before = reader.processor_time
    _write(writer)
    reader.wait()
    return (reader.processor_time - before) / EVENTS


def _write(writer: Log) -> None:
    """Write for some seconds, at an even pace."""
    updates = product(range(SECONDS * UPDATES), range(OPERATIONS))
    batches = writer.batches(lives.progress(number, step) for step, number in updates)
    began = time.monotonic()
    for index, batch in enumerate(batches):
        due = began + SECONDS * index / len(batches)
        time.sleep(max(0.0, due - time.monotonic()))
        writer.publish(batch)


def _figures(taken: list[Round]) -> Iterator[Figure]:
    ours, reader, frames = zip(*taken, strict=True)
    after = [one - other for one, other in zip(ours, reader, strict=True)]
    yield figure("CPU per event", "µs", (1e6 * one for one in ours), Target(10))
    yield figure("· after decoding", "µs", (1e6 * one for one in after), Target(4))
    yield figure("· of the bare reader", "µs", (1e6 * one for one in reader))
    yield ratio("· against the bare reader", ours, reader)
    yield figure("frames per event", "", frames)
