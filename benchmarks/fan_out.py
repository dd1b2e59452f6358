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
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks import lives
from benchmarks.bare import Bare, bare
from benchmarks.figures import Figure, Table, Target, figure, ratio
from benchmarks.load import Load, load
from benchmarks.log import log
from benchmarks.sidecar import Sidecar, sidecar
from tests.servers import RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TITLE: Final = "Fan-out: one operation, many watchers"

LINE: Final = lives.log(0, "x" * 120)

HEADER: Final = 4
"""Bytes before the text of a frame of this size."""


class Side(NamedTuple):
    """A server with its clients, and how it is made to send each of them a frame."""

    server: Sidecar | Bare
    clients: Load
    send: Callable[[], None]

    def cost(self, watchers: int, events: int) -> float:
        """The processor time of a delivery, in seconds."""
        before = self.server.processor_time
        for _ in range(events):
            self.send()
            self.clients.wait(watchers)
        return (self.server.processor_time - before) / (watchers * events)


def measure(*, quick: bool) -> Table:
    """Measure with a few watchers and with many."""
    rounds, deliveries = (4, 20_000) if quick else (12, 50_000)
    figures: list[Figure] = []
    for watchers in (1_000, 3_000) if quick else (1_000, 10_000):
        with _sides(watchers) as sides:
            taken = [
                [one.cost(watchers, deliveries // watchers) for one in sides] for _ in range(rounds)
            ]
        figures += _figures(watchers, taken)
    return Table(TITLE, f"{rounds} rounds, in turns, of {deliveries:,} frames each", figures)


@contextmanager
def _sides(watchers: int) -> Iterator[tuple[Side, ...]]:
    with ExitStack() as stack:
        broker = stack.enter_context(RedisServer()).url
        writer = stack.enter_context(log(broker))
        ours = stack.enter_context(sidecar(broker))
        writer.write(lives.started(0))
        clients = stack.enter_context(load(ours.port, watchers, lives.watch(0)))
        sides = [Side(ours, clients, lambda: writer.write(LINE))]
        sides[0].cost(watchers, 2)
        sent = clients.count()
        text = b"x" * (sent.bytes // sent.frames - HEADER)
        for kind in ("send", "broadcast"):
            server = stack.enter_context(bare(kind))
            clients = stack.enter_context(load(server.port, watchers, welcomes=0))
            sides.append(Side(server, clients, lambda server=server: server.send(text)))
            sides[-1].cost(watchers, 2)
        yield tuple(sides)


def _figures(watchers: int, taken: list[list[float]]) -> Iterator[Figure]:
    ours, loop, library = zip(*taken, strict=True)
    named = f"{watchers:,} watchers"
    stated = watchers == 1_000
    yield figure(f"CPU per delivery, {named}", "µs", (1e6 * one for one in ours))
    limit = Target(1.4) if stated else None
    yield ratio("· against a bare loop of socket.send", ours, loop, limit)
    limit = Target(0.75) if stated else None
    yield ratio("· against websockets.broadcast()", ours, library, limit)
    yield figure("· of the bare loop", "µs", (1e6 * one for one in loop))
    yield figure("· of websockets.broadcast()", "µs", (1e6 * one for one in library))
