"""The memory that a sidecar needs for one more connection and one more operation.

Taken is what the process has in memory and shares with no other (USS), before and after there are
some thousands more, divided by their number. Buffers of the kernel's sockets are not in it.

* *Connections*: each watches an operation of its own and is told nothing. The same number is
  connected to a server of the library `websockets` that keeps them and does nothing else.
* *Subscriptions*: connections that each watch 100 operations more than others.
* *Running operations*: of each, its start and a progress were read.
* *Finished operations*: of each, a start, a line, a result and an end were read.

Before these as many others were read, since what is read at once takes room that is kept.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from benchmarks import sample_events
from benchmarks.baselines import bare
from benchmarks.figures import Figure, Table, Target, figure, ratio
from benchmarks.load import load
from benchmarks.log_writer import log
from benchmarks.machine import memory
from benchmarks.sidecar import Sidecar, sidecar
from tests.support.servers import RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

TITLE: Final = "Memory"

WARM: Final = 200
"""Connections that are there before: what is taken once is taken."""

SUBSCRIBERS: Final = 100
SUBSCRIPTIONS: Final = 100
"""Bytes of each of them."""

FINISHED_EVENTS: Final = sum(map(len, sample_events.short_life(10_000))) // 4
"""Bytes of one of the events of a finished operation, as they stand in the log."""


class Round(NamedTuple):
    """Bytes for each one more."""

    connection: float
    library: float
    """A connection of a server of websockets."""
    subscription: float
    running: float
    finished: float


def measure(*, quick: bool) -> Table:
    """Measure each of them with processes of its own."""
    rounds, number = (1, 1_000) if quick else (2, 5_000)
    taken = [_round(number) for _ in range(rounds)]
    return Table(TITLE, f"{rounds} rounds, {number:,} of each", list(_figures(taken)))


def _round(number: int) -> Round:
    return Round(
        _connection(number),
        _connection_of_library(number),
        _subscription(),
        _operation(
            number, lambda one: (sample_events.started(one), sample_events.progress(one, 1))
        ),
        _operation(number, sample_events.short_life),
    )


@contextmanager
def _fresh(*options: str) -> Iterator[tuple[str, Sidecar]]:
    """A sidecar with a Redis of its own, and the URL of that."""
    with RedisServer() as redis, sidecar(redis.url, *options) as server:
        server.become_ready()
        yield redis.url, server


def _connection(number: int) -> float:
    with _fresh() as (_, server), load(server.port, WARM, sample_events.watch("warm-%d")):
        return _more(server.pid, load(server.port, number, sample_events.watch("%d"))) / number


def _connection_of_library(number: int) -> float:
    with bare("broadcast") as server, load(server.port, WARM, welcomes=0):
        return _more(server.pid, load(server.port, number, welcomes=0)) / number


def _subscription() -> float:
    with _fresh() as (_, server), load(server.port, WARM, _watch_many(1)):
        one = _more(server.pid, load(server.port, SUBSCRIBERS, _watch_many(1)))
        many = _more(server.pid, load(server.port, SUBSCRIBERS, _watch_many(1 + SUBSCRIPTIONS)))
    return (many - one) / (SUBSCRIBERS * SUBSCRIPTIONS)


def _watch_many(number: int) -> dict[str, Any]:
    ids = [sample_events.operation_id(f"%d-{one}") for one in range(number)]
    return {"command": "subscribe", "operation_ids": ids}


def _more(pid: int, clients: AbstractContextManager[Any]) -> int:
    """Return the memory of a server for its connected clients."""
    before = memory(pid)
    with clients:
        return memory(pid) - before


def _operation(number: int, life: Callable[[int], Iterable[bytes]]) -> float:
    with (
        _fresh("--max-finished", "1000000") as (url, server),
        log(url) as writer,
        load(server.port, 1, sample_events.WATCH_END) as end,
    ):

        def read(numbers: range) -> int:
            writer.fill(event for one in numbers for event in life(one))
            writer.write(sample_events.END)
            end.wait(1)
            return server.memory

        # Their ids are as long as each other.
        before = read(range(10_000, 10_000 + number))
        return (read(range(20_000, 20_000 + number)) - before) / number


def _figures(taken: list[Round]) -> Iterator[Figure]:
    connection, library, subscription, running, finished = zip(*taken, strict=True)
    kilo = 1e-3
    yield figure("idle subscribed connection", "KB", (kilo * one for one in connection), Target(20))
    yield ratio("· against a server of websockets", connection, library)
    yield figure("· of the server of websockets", "KB", (kilo * one for one in library))
    yield figure("subscription", "KB", (kilo * one for one in subscription))
    yield figure("running operation", "KB", (kilo * one for one in running))
    name = f"finished operation, four events of {FINISHED_EVENTS} bytes"
    yield figure(name, "KB", (kilo * one for one in finished), Target(4))
