"""Many operations, one dashboard: what an event costs from the broker's bytes to the socket.

1,000 operations each say ten times a second how far they are, in batches of 20 events, as 50
processes would write them that flush ten times a second. One client watches them all (``*``).
Taken is the processor time of the sidecar, divided by the events. In turns with it, a process reads
as many events from another Redis, decodes them, and does nothing else: what the sidecar needs more
is what it does after decoding, the socket included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks.dashboard import EVENTS, dashboard, write_updates
from benchmarks.figures import Figure, Table, Target, figure, ratio
from benchmarks.log_reader import Reading, reading
from benchmarks.log_writer import Log, log
from tests.support.servers import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLE: Final = "Many operations"


class Round(NamedTuple):
    """The cost of an event in one round, in processor seconds."""

    ours: float
    """The cost in the sidecar."""
    frames: float
    """Frames that the dashboard was sent for an event."""
    reader: float
    """The cost in the bare reader."""


def measure(*, quick: bool) -> Table:
    """Measure, the sidecar and the bare reader in turns."""
    rounds = 2 if quick else 12
    with (
        dashboard() as ours,
        RedisServer() as other,
        log(other.url) as writer,
        reading(other.url, EVENTS) as reader,
    ):
        taken = [Round(*ours.cost(), _reader(writer, reader)) for _ in range(rounds)]
    return Table(TITLE, f"{rounds} rounds, in turns, of {EVENTS:,} events", list(_figures(taken)))


def _reader(writer: Log, reader: Reading) -> float:
    before = reader.processor_time
    write_updates(writer)
    reader.wait()
    return (reader.processor_time - before) / EVENTS


def _figures(taken: list[Round]) -> Iterator[Figure]:
    ours, frames, reader = zip(*taken, strict=True)
    after = [one - other for one, other in zip(ours, reader, strict=True)]
    yield figure("CPU per event", "µs", (1e6 * one for one in ours), Target(10))
    yield figure("· after decoding", "µs", (1e6 * one for one in after), Target(4))
    yield figure("· of the bare reader", "µs", (1e6 * one for one in reader))
    yield ratio("· against the bare reader", ours, reader)
    yield figure("frames per event", "", frames)
