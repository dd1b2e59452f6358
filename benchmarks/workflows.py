"""The cost of workflows in a sidecar: events of the members of a large group, against single tasks.

The same 10,000 tasks report to a sidecar on a processor of its own, in turns with a plan that makes
them members of one group and without, and a client watches the group or one of the tasks. Taken is
the processor time of the sidecar from the first start to the last end, for each event; and its
memory while all the tasks run, for each task. Run it with

    python -m benchmarks.workflows
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks import sample_events
from benchmarks.figures import Target, figure, ratio
from benchmarks.load import load
from benchmarks.log_writer import log
from benchmarks.sample_events import completed, operation_id, progress, started
from benchmarks.sidecar import Sidecar, sidecar
from celery_wsprogress.protocol.batches import encode_event
from celery_wsprogress.protocol.events import Plan
from celery_wsprogress.protocol.plans import MAX_PART_NODES, PlanData, PlanNode
from celery_wsprogress.protocol.workflow_ids import workflow_operation_id
from tests.support.servers import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from benchmarks.figures import Figure
    from benchmarks.load import Load
    from benchmarks.log_writer import Log

TASKS: Final = 10_000
REPORTS: Final = 5
"""Progress events of a task, of which it says two before all tasks run."""
ROUNDS: Final = 6
GROUP: Final = workflow_operation_id("group")


class Taken(NamedTuple):
    """What the sidecar took in one round."""

    time: float
    """Microseconds of the processor for each event."""
    memory: float
    """Bytes for each task."""


def measure(*, quick: bool = False) -> Iterator[Figure]:
    """Measure both in turns."""
    single, member = [], []
    tasks, rounds = (500, 1) if quick else (TASKS, ROUNDS)
    for _ in range(rounds):
        single.append(_run(tasks, plan=False))
        member.append(_run(tasks, plan=True))
    times = [[one.time for one in kind] for kind in (single, member)]
    yield figure("An event of a single task", "µs", times[0])
    yield figure("An event of a member of a group", "µs", times[1])
    yield ratio("· against a single task", times[1], times[0], Target(1.3))
    sizes = [[one.memory for one in kind] for kind in (single, member)]
    yield figure("A single task that runs", "bytes", sizes[0])
    yield figure("A member of a group that runs", "bytes", sizes[1], Target(2_000))


def _run(tasks: int, *, plan: bool) -> Taken:
    with ExitStack() as stack:
        server = stack.enter_context(RedisServer())
        writer = stack.enter_context(log(server.url))
        ours = stack.enter_context(sidecar(server.url))
        ours.become_ready()
        watched = GROUP if plan else operation_id(0)
        watch = {"command": "subscribe", "operation_id": watched, "replay": "none"}
        stack.enter_context(load(ours.port, 1, watch))
        end = stack.enter_context(load(ours.port, 1, sample_events.WATCH_END))
        empty = ours.memory
        if plan:
            writer.fill(map(encode_event, _plan(tasks)))
        begun = [*map(started, range(tasks)), *_reports(tasks, 1, 3)]
        ended = [*_reports(tasks, 3, 1 + REPORTS), *map(completed, range(tasks))]
        seconds = _seconds(writer, ours, end, begun)
        size = ours.memory - empty
        seconds += _seconds(writer, ours, end, ended)
        return Taken(1e6 * seconds / len([*begun, *ended]), size / tasks)


def _seconds(writer: Log, ours: Sidecar, end: Load, events: Iterable[bytes]) -> float:
    """Seconds of the processor until all these events are read."""
    batches, before = writer.batches(events), ours.processor_time
    for batch in batches:
        writer.publish(batch)
    writer.write(sample_events.END)
    end.wait(1)
    return ours.processor_time - before


def _reports(tasks: int, first: int, last: int) -> Iterator[bytes]:
    """Each task says how far it is, and then each does again."""
    return (progress(number, step) for step in range(first, last) for number in range(tasks))


def _plan(tasks: int) -> Iterator[Plan]:
    nodes = [PlanNode("group", -1, "group")]
    nodes += [
        PlanNode("task", 0, operation_id(n), "shop.tasks.rebuild_index") for n in range(tasks)
    ]
    for first in range(0, len(nodes), MAX_PART_NODES):
        part = PlanData(nodes=nodes[first : first + MAX_PART_NODES], first=first, tasks=tasks)
        yield Plan(operation_id=GROUP, timestamp=sample_events.AT, data=part)


def main() -> None:
    """Print the figures."""
    for one in measure(quick="--quick" in sys.argv[1:]):
        target = "" if one.target is None else f"  ({one.target})"
        low, high = one.spread.low, one.spread.high
        print(f"{one.name:40} {one.spread.median:8.2f} {one.unit} [{low:.2f}, {high:.2f}]{target}")


if __name__ == "__main__":
    main()
