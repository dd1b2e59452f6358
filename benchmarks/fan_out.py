"""One operation, many watchers: what it costs to send one frame to one of them.

The operation writes a line, and the next one when every watcher has the one before: each event is
a frame of its own to each watcher, and none is joined with another. Beside the sidecar stand two
servers that know neither a broker nor operations: a loop of ``socket.send``, and a server that
calls ``websockets.broadcast()``. All three have clients of the same kind and send them as many
bytes, in turns. Taken is the processor time of the server's process, divided by the frames that
its clients were sent. That of the sidecar holds everything: reading the log, decoding, folding.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks import sample_events
from benchmarks.baselines import Bare, bare
from benchmarks.figures import Figure, Table, Target, figure, ratio
from benchmarks.load import Load, load
from benchmarks.log_writer import log
from benchmarks.sidecar import Sidecar, sidecar
from tests.support.servers import RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TITLE: Final = "Fan-out"

LINE: Final = sample_events.log(0, "x" * 120)

WARMING: Final = 2
"""Events that each server sends before it is measured."""

HEADER: Final = 4
"""Bytes before the text of a frame of this size."""


class Side(NamedTuple):
    """A server with its clients, and how it is made to send each of them a frame."""

    server: Sidecar | Bare
    clients: Load
    watchers: int
    send: Callable[[], None]

    def cost(self, events: int) -> float:
        """The processor time of an event, in seconds."""
        before = self.server.processor_time
        for _ in range(events):
            self.send()
            self.clients.wait(self.watchers)
        return (self.server.processor_time - before) / events


def measure(*, quick: bool) -> Table:
    """Measure with a few watchers and with many."""
    rounds, deliveries = (3, 10_000) if quick else (6, 50_000)
    figures: list[Figure] = []
    for watchers in (1_000,) if quick else (1_000, 10_000):
        with _sides(watchers) as sides:
            taken = [
                [one.cost(deliveries // watchers) / watchers for one in sides]
                for _ in range(rounds)
            ]
        figures += _figures(watchers, taken)
    return Table(TITLE, f"{rounds} rounds, in turns, of {deliveries:,} frames each", figures)


@contextmanager
def _sides(watchers: int) -> Iterator[list[Side]]:
    with ExitStack() as stack:
        sides = [stack.enter_context(watched(watchers))]
        sent = sides[0].clients.count()
        text = b"x" * (sent.bytes // sent.frames - HEADER)
        for kind in ("send", "broadcast"):
            server = stack.enter_context(bare(kind))
            clients = stack.enter_context(load(server.port, watchers, welcomes=0))
            sides.append(Side(server, clients, watchers, partial(server.send, text)))
            sides[-1].cost(WARMING)
        yield sides


@contextmanager
def watched(watchers: int) -> Iterator[Side]:
    """A sidecar with a Redis of its own and an operation that has so many watchers."""
    with RedisServer() as redis, log(redis.url) as writer, sidecar(redis.url) as server:
        writer.write(sample_events.started(0))
        server.become_ready()
        with load(server.port, watchers, sample_events.watch(0)) as clients:
            side = Side(server, clients, watchers, partial(writer.write, LINE))
            side.cost(WARMING)
            yield side


def _figures(watchers: int, taken: list[list[float]]) -> Iterator[Figure]:
    ours, loop, library = zip(*taken, strict=True)
    named = f"{watchers:,} watchers"
    stated = watchers == 1_000
    yield figure(f"CPU per delivery, {named}", "µs", (1e6 * one for one in ours))
    limit = Target(1.5) if stated else None
    yield ratio("· against a bare loop of socket.send", ours, loop, limit)
    limit = Target(0.8) if stated else None
    yield ratio("· against websockets.broadcast()", ours, library, limit)
    yield figure("· of the bare loop", "µs", (1e6 * one for one in loop))
    yield figure("· of websockets.broadcast()", "µs", (1e6 * one for one in library))
