"""The cost of workflows in a sidecar: events of the members of a large group, against single tasks.

The hub folds the same events with a plan and without, in turns, and takes the deliveries that are
due. Then the memory of a step is measured, beside what is counted for it. Run it with

    python -m benchmarks.workflows
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from typing import TYPE_CHECKING, Final

from benchmarks.figures import Target, figure, ratio
from benchmarks.sample_events import completed, operation_id, progress, started
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.protocol.batches import Batch, decode_event
from celery_wsprogress.protocol.events import LogEvent, Plan
from celery_wsprogress.protocol.plans import MAX_PART_NODES, PlanData, PlanNode
from celery_wsprogress.protocol.workflow_ids import workflow_operation_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.figures import Figure

TASKS: Final = 5_000
ROUNDS: Final = 7
BATCH_EVENTS: Final = 50
BATCH_SECONDS: Final = 0.005
"""Seconds from one batch to the next, by the clock that the hub is given."""


def measure() -> Iterator[Figure]:
    """Measure what an event costs, and what a step takes."""
    lives = [_decoded(text) for number in range(TASKS) for text in _life(number)]
    single, of_workflow = [], []
    for _ in range(ROUNDS):
        single.append(1e6 * _fold([], lives))
        of_workflow.append(1e6 * _fold(_plan(), lives))
    yield figure("An event of a single task", "µs", single)
    yield figure("An event of a member of a group", "µs", of_workflow)
    yield ratio("· against a single task", of_workflow, single, Target(1.3))
    taken, counted = _memory_of_steps()
    yield figure("A step, as Python has allocated it", "bytes", [taken])
    yield figure("A step, as it is counted", "bytes", [counted])


def _life(number: int) -> Sequence[bytes]:
    reports = [progress(number, step) for step in range(1, 6)]
    return [started(number), *reports, completed(number)]


def _decoded(text: bytes) -> LogEvent:
    event = decode_event(text)
    assert event is not None
    return event


def _plan() -> list[LogEvent]:
    nodes = [PlanNode("group", -1, "group")]
    # Texts of its own, as they come from the log.
    nodes += [
        PlanNode("task", 0, operation_id(n), "shop.tasks.rebuild_index") for n in range(TASKS)
    ]
    parts = [
        PlanData(nodes=nodes[first : first + MAX_PART_NODES], first=first, tasks=TASKS)
        for first in range(0, len(nodes), MAX_PART_NODES)
    ]
    held = workflow_operation_id("group")
    return [Plan(operation_id=held, timestamp=1_735_734_005.456, data=part) for part in parts]


def _write(hub: Hub, events: Sequence[LogEvent], counter: int, now: float) -> None:
    batch = Batch("w", counter, events)
    hub.process_batch(batch, epoch="e", position=str(counter), now=now)
    hub.flush_due(now)
    hub.take_deliveries()


def _fold(plan: Sequence[LogEvent], lives: Sequence[LogEvent]) -> float:
    """Seconds of processor time for each event of a task."""
    hub = Hub(progress_interval=0.05)
    if plan:
        _write(hub, plan, 1, 0.0)
    began = time.process_time()
    for counter, first in enumerate(range(0, len(lives), BATCH_EVENTS), 2):
        _write(hub, lives[first : first + BATCH_EVENTS], counter, counter * BATCH_SECONDS)
    seconds = time.process_time() - began
    shown = hub.get(workflow_operation_id("group"))
    assert (shown is not None and shown["state"] == "completed") is bool(plan)
    return seconds / len(lives)


def _memory_of_steps() -> tuple[float, float]:
    """Bytes that a step takes and counts for, before its task has reported."""
    hub = Hub()
    gc.collect()
    tracemalloc.start()
    _write(hub, _plan(), 1, 0.0)
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return taken / TASKS, hub.workflows.size_of(workflow_operation_id("group")) / TASKS


def main() -> None:
    """Print the figures."""
    for one in measure():
        target = "" if one.target is None else f"  ({one.target})"
        low, high = one.spread.low, one.spread.high
        print(f"{one.name:40} {one.spread.median:8.2f} {one.unit} [{low:.2f}, {high:.2f}]{target}")


if __name__ == "__main__":
    main()
