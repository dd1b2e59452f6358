"""What `celery-wsprogress size` estimates, against a sidecar that serves just that.

Tasks report at an even pace, in batches of 20 events, and each client watches one task. Taken are
the processor time of the sidecar for a second of that, its memory, and the bytes of the log. The
first lines are the costs, by two loads that differ in one thing; the estimates are made from them.
Run it with

    python -m benchmarks.size
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks import sample_events
from benchmarks.load import load
from benchmarks.log_writer import log
from benchmarks.machine import allow_many_files
from benchmarks.sidecar import sidecar
from celery_wsprogress.cli.size_estimate import Costs, Load, decode_time, estimate
from tests.support.servers import RedisServer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.log_writer import Log

SECONDS: Final = 10

WITHOUT_CLIENTS: Final = Load(2_000, 5, 0, 1, 60, 0)
WITH_CLIENTS: Final = Load(2_000, 5, 2_000, 1, 60, 0)
IDLE: Final = Load(10_000, 0.1, 5_000, 0, 60, 0)

SIZES: Final = (
    Load(1_000, 5, 3_000, 1, 60, 0),
    Load(5_000, 2, 10_000, 0.2, 60, 0),
    Load(500, 10, 2_000, 0.5, 60, 0),
    Load(200, 5, 1_000, 0.5, 60, 0),
    Load(2_000, 2, 5_000, 0.2, 60, 0),
    Load(5_000, 1, 10_000, 0.1, 60, 0),
)
"""Loads other than those that the costs are taken from; the last three are small."""


class Taken(NamedTuple):
    """What a load took."""

    busy: float
    """Seconds of the processor in a second."""
    memory: int
    """Bytes of the process."""
    empty: int
    """Bytes before there were clients and operations."""
    events: float
    """Events of the log per second."""
    deliveries: float
    """Frames to clients per second."""
    log_in: float
    """Bytes written to the log per second."""


def run(size: Load) -> Taken:
    """Serve a load for some seconds."""
    with ExitStack() as stack:
        server = stack.enter_context(RedisServer())
        writer = stack.enter_context(log(server.url))
        ours = stack.enter_context(sidecar(server.url))
        ours.become_ready()
        empty = ours.memory
        writer.fill(map(sample_events.started, range(size.tasks)))
        active = round(size.watchers * size.share)
        watch = sample_events.watch("%d")
        end = stack.enter_context(load(ours.port, 1, sample_events.WATCH_END))
        some = None
        if active:
            numbers = min(active, size.tasks)
            some = stack.enter_context(load(ours.port, active, watch, numbers=numbers))
        if size.watchers > active:
            idle = sample_events.watch("idle-%d")
            stack.enter_context(load(ours.port, size.watchers - active, idle))
        updates = max(1, round(size.updates * SECONDS))
        reports = product(range(updates), range(size.tasks))
        batches = writer.batches(sample_events.progress(number, step) for step, number in reports)
        frames = 0 if some is None else some.count().frames
        before, began = ours.processor_time, time.monotonic()
        _write_evenly(writer, batches)
        writer.write(sample_events.END)
        end.wait(1)
        seconds = time.monotonic() - began
        return Taken(
            busy=(ours.processor_time - before) / seconds,
            memory=ours.memory,
            empty=empty,
            events=updates * size.tasks / seconds,
            deliveries=0.0 if some is None else (some.count().frames - frames) / seconds,
            log_in=sum(map(len, batches)) / seconds,
        )


def _write_evenly(writer: Log, batches: Sequence[bytes]) -> None:
    began = time.monotonic()
    for index, batch in enumerate(batches):
        time.sleep(max(0.0, began + SECONDS * index / len(batches) - time.monotonic()))
        writer.publish(batch)


def main() -> None:
    """Print the costs, and each load as it is estimated by them and as it was measured."""
    allow_many_files()
    print(f"decoding an event {1e6 * decode_time():.2f} µs")
    without, with_clients, idle = run(WITHOUT_CLIENTS), run(WITH_CLIENTS), run(IDLE)
    read = without.busy / without.events
    costs = Costs(read, (with_clients.busy - without.busy) / with_clients.deliveries)
    print(f"reading an event   {1e6 * costs.read:.1f} µs")
    print(f"a frame to a client {1e6 * costs.delivery:.1f} µs")
    print(f"a process           {without.empty / 1e6:.1f} MB")
    tasks = (without.memory - without.empty) / WITHOUT_CLIENTS.tasks
    clients = (idle.memory - idle.empty - tasks * IDLE.tasks) / IDLE.watchers
    print(f"a running operation {tasks:,.0f} bytes, a connection {clients:,.0f} bytes")
    print(f"an event in the log {without.log_in / without.events:.0f} bytes")
    for size in SIZES:
        measured = run(size)
        # What the tasks of a minute begin and end with is not written here.
        expected = estimate(size._replace(duration=1e9), costs)
        print(
            f"{size.tasks:,} tasks, {size.updates} updates, {size.watchers:,} watchers, "
            f"{size.share}: busy {expected.busy:.3f} estimated, {measured.busy:.3f} measured "
            f"({expected.busy / measured.busy:.2f}); "
            f"memory {expected.memory / 1e6:.0f} MB, {measured.memory / 1e6:.0f} MB "
            f"({expected.memory / measured.memory:.2f}); "
            f"log {expected.log_in / 1e3:.0f} KB/s, {measured.log_in / 1e3:.0f} KB/s; "
            f"frames {expected.deliveries:,.0f}/s, {measured.deliveries:,.0f}/s"
        )


if __name__ == "__main__":
    main()
