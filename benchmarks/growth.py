"""Whether an event costs more where there is more of something else.

* *Idle connections*: 1,000 operations say ten times a second how far they are, and one client
  watches all of them, while more and more other clients are connected, each of which watches an
  operation that says nothing.
* *Operations*: the same, while more and more operations are held: 1,000 of them speak, spread
  evenly among those that do not.
* *Watchers*: one operation writes a line, and the next one when every watcher has it.

In each of them a sidecar of every size runs, with a Redis of its own, and they are measured in
turns. Taken is the processor time of the sidecar per event. The slope is how much more an event
costs for each one more, between the smallest and the largest.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from benchmarks.dashboard import dashboard
from benchmarks.fan_out import watched
from benchmarks.figures import Figure, Table, Target, figure, ratio

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TITLE: Final = "Growth"

Sizes = tuple[int, ...]

CONNECTIONS: Sizes = (100, 10_000)
OPERATIONS: Sizes = (1_000, 10_000, 100_000)
WATCHERS: Sizes = (1, 10_000)

DELIVERIES: Final = 20_000
"""In one round, or 100 events where that is less."""


def measure(*, quick: bool) -> Table:
    """Measure the growth of connections, of operations, and of watchers."""
    sizes: tuple[Sizes, ...] = (CONNECTIONS, OPERATIONS, WATCHERS)
    if quick:
        # Connecting takes most of the time.
        sizes = ((100, 1_000), (1_000, 10_000), (1, 1_000))
    rounds = 1 if quick else 6
    connections, operations, watchers = sizes
    figures = [
        *_level("idle connections", connections, _with_connections(connections, rounds), (1.10,)),
        *_level("operations", operations, _with_operations(operations, rounds), (1.10, 1.30)),
        *_of_watchers(watchers, _with_watchers(watchers, rounds)),
    ]
    return Table(TITLE, f"{rounds} rounds, in turns", figures)


Costs = list[list[float]]
"""Seconds of the processor per event: of each round, those of every size."""


def _with_connections(sizes: Sizes, rounds: int) -> Costs:
    with ExitStack() as stack:
        sides = [stack.enter_context(dashboard(idle=size)) for size in sizes]
        return [[one.cost()[0] for one in sides] for _ in range(rounds)]


def _with_operations(sizes: Sizes, rounds: int) -> Costs:
    with ExitStack() as stack:
        sides = [stack.enter_context(dashboard(operations=size)) for size in sizes]
        return [[one.cost()[0] for one in sides] for _ in range(rounds)]


def _with_watchers(sizes: Sizes, rounds: int) -> Costs:
    with ExitStack() as stack:
        sides = [stack.enter_context(watched(size)) for size in sizes]
        return [[one.cost(_events(one.watchers)) for one in sides] for _ in range(rounds)]


def _events(watchers: int) -> int:
    return min(100, DELIVERIES // watchers)


def _level(what: str, sizes: Sizes, costs: Costs, limits: Sequence[float]) -> Iterator[Figure]:
    """Yield the figures of a cost that is to stay level.

    Args:
        what: What there is more of.
        sizes: The smallest, and larger ones.
        costs: See :data:`Costs`.
        limits: The largest ratio to the smallest size that each of the larger ones may have.
    """
    of = list(zip(*costs, strict=True))
    smallest, largest = of[0], of[-1]
    for size, values in zip(sizes, of, strict=True):
        yield figure(f"CPU per event, {size:,} {what}", "µs", (1e6 * one for one in values))
    for size, values, limit in zip(sizes[1:], of[1:], limits, strict=False):
        name = f"· {size:,} {what} against {sizes[0]:,}"
        yield ratio(name, values, smallest, Target(limit))
    yield _slope(f"· slope, per 1,000 {what}", 1e9 * 1_000, sizes, smallest, largest)


def _of_watchers(sizes: Sizes, costs: Costs) -> Iterator[Figure]:
    """Return the growth per operation."""
    of = list(zip(*costs, strict=True))
    smallest, largest = of[0], of[-1]
    for size, values in zip(sizes, of, strict=True):
        yield figure(f"CPU per event, {size:,} watchers", "µs", (1e6 * one for one in values))
    yield _slope("· slope, per watcher", 1e9, sizes, smallest, largest)


def _slope(
    name: str,
    unit: float,
    sizes: Sizes,
    smallest: Sequence[float],
    largest: Sequence[float],
) -> Figure:
    """In nanoseconds, for so many more as the unit says."""
    more = sizes[-1] - sizes[0]
    values = [unit * (two - one) / more for one, two in zip(smallest, largest, strict=True)]
    return figure(name, "ns", values)
