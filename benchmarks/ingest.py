"""The events per second that a sidecar takes from the log on one processor.

1,000 operations say how far they are, and write a line for every four progresses, in batches of 20
events, written as fast as the broker takes them. Taken is the processor time of the sidecar until
it has folded and sent all of them: with nobody who watches, and with 1,000 clients of which each
watches one of the operations. A figure is the events divided by the seconds of its processor.

Starting: another sidecar reads what the log holds after all that. Taken is the time from when it
listens until it has read as many events as the first one.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks import sample_events
from benchmarks.figures import Figure, Table, Target, figure
from benchmarks.load import Load, load
from benchmarks.log_writer import Log, log
from benchmarks.sidecar import Sidecar, sidecar
from tests.support.servers import RabbitMQServer, RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator


TITLE: Final = "Ingest"

OPERATIONS: Final = 1_000
WATCHERS: Final = 1_000

TARGETS: Final = {"Redis": Target(50_000, at_most=False), "RabbitMQ": Target(25_000, at_most=False)}


class Taken(NamedTuple):
    """Events a second, in each round."""

    alone: list[float]
    watched: list[float]
    starting: list[float]


def measure(*, quick: bool) -> Table:
    """Measure with both brokers, with and without watchers in turns."""
    rounds, steps = (1, 10) if quick else (4, 20)
    figures: list[Figure] = []
    for name, server in (("Redis", RedisServer()), ("RabbitMQ", RabbitMQServer())):
        with server:
            figures += _figures(name, _measure(server.url, rounds, steps))
    said = f"{rounds} rounds, in turns, of {steps * OPERATIONS:,} events"
    return Table(TITLE, said, figures)


def _measure(url: str, rounds: int, steps: int) -> Taken:
    taken = Taken([], [], [])
    with ExitStack() as stack:
        writer = stack.enter_context(log(url))
        writer.fill(map(sample_events.started, range(OPERATIONS)))
        ours = stack.enter_context(sidecar(url))
        ours.become_ready()
        end = stack.enter_context(load(ours.port, 1, sample_events.WATCH_END))
        _rate(writer, ours, end, steps)
        for _ in range(rounds):
            taken.alone.append(_rate(writer, ours, end, steps))
            with load(ours.port, WATCHERS, sample_events.watch("%d")):
                taken.watched.append(_rate(writer, ours, end, steps))
            ours.wait_for_clients(1)
        events = ours.stat("events_total")
    taken.starting.extend(_rate_of_starting(url, events) for _ in range(rounds))
    return taken


def _rate_of_starting(url: str, events: int) -> float:
    with sidecar(url) as another:
        began = time.perf_counter()
        # Ready is not enough: a sidecar takes a RabbitMQ stream for an empty one if nothing of it
        # was delivered for half a second (brokers/amqp/stream_reader.py, `EMPTY_LOG_TIMEOUT`).
        another.become_ready()
        while another.stat("events_total") < events:
            time.sleep(0.005)
        return events / (time.perf_counter() - began)


def _rate(writer: Log, server: Sidecar, end: Load, steps: int) -> float:
    batches = writer.batches(_events(steps))
    before = server.processor_time
    for batch in batches:
        writer.publish(batch)
    writer.write(sample_events.END)
    end.wait(1)
    return steps * OPERATIONS / (server.processor_time - before)


def _events(steps: int) -> Iterator[bytes]:
    for step, number in product(range(steps), range(OPERATIONS)):
        if step % 5:
            yield sample_events.progress(number, step)
        else:
            yield sample_events.log(number, f"line {step} of the work")


def _figures(name: str, taken: Taken) -> Iterator[Figure]:
    yield figure(f"{name}, nobody watches", "/s", taken.alone, TARGETS[name])
    yield figure(f"{name}, {WATCHERS:,} watchers", "/s", taken.watched)
    yield figure(f"{name}, starting", "/s", taken.starting)
