"""Operations that say how far they are, and one client that watches them all."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks import sample_events
from benchmarks.load import load
from benchmarks.log_writer import log
from benchmarks.sidecar import sidecar
from tests.support.servers import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.load import Load
    from benchmarks.log_writer import Log
    from benchmarks.sidecar import Sidecar

SPEAKING: Final = 1_000
"""Operations that say something."""

UPDATES: Final = 10
"""Events of each operation per second."""

SECONDS: Final = 1
"""Seconds of writing, each time."""

EVENTS: Final = SECONDS * UPDATES * SPEAKING


class Dashboard(NamedTuple):
    """A sidecar with its log and its clients. Made by :func:`dashboard`."""

    server: Sidecar
    log: Log
    everything: Load
    end: Load
    spread: int
    """Between the numbers of operations that speak."""

    def cost(self) -> tuple[float, float]:
        """Write for some seconds.

        Returns:
            The sidecar's processor time of an event, in seconds, and the frames that the
            dashboard was sent for it.
        """
        sent, before = self.everything.count().frames, self.server.processor_time
        write_updates(self.log, self.spread)
        self.log.write(sample_events.END)
        self.end.wait(1)
        cost = (self.server.processor_time - before) / EVENTS
        return cost, (self.everything.count().frames - sent) / EVENTS


@contextmanager
def dashboard(*, operations: int = SPEAKING, idle: int = 0) -> Iterator[Dashboard]:
    """Start all of it, with a Redis of its own.

    Args:
        operations: How many are held; :data:`SPEAKING` of them, spread evenly, say something.
        idle: Connections that watch something else.
    """
    with ExitStack() as stack:
        url = stack.enter_context(RedisServer()).url
        writer = stack.enter_context(log(url))
        writer.fill(map(sample_events.started, range(operations)))
        server = stack.enter_context(sidecar(url))
        server.become_ready()
        if idle:
            stack.enter_context(load(server.port, idle, sample_events.watch("idle-%d")))
        everything = stack.enter_context(load(server.port, 1, sample_events.WATCH_EVERYTHING))
        end = stack.enter_context(load(server.port, 1, sample_events.WATCH_END))
        made = Dashboard(server, writer, everything, end, operations // SPEAKING)
        made.cost()
        yield made


def write_updates(writer: Log, spread: int = 1) -> None:
    """Write :data:`EVENTS` in batches of 20, at an even pace.

    So would 50 processes that flush ten times a second.

    Args:
        writer: Where to.
        spread: Between the numbers of the operations.
    """
    updates = product(range(SECONDS * UPDATES), range(0, SPEAKING * spread, spread))
    batches = writer.batches(sample_events.progress(number, step) for step, number in updates)
    began = time.monotonic()
    for index, batch in enumerate(batches):
        due = began + SECONDS * index / len(batches)
        time.sleep(max(0.0, due - time.monotonic()))
        writer.publish(batch)
