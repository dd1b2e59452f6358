"""The cost of sending a canvas: of tasks that are followed, against plain ones.

The processor time of the caller, its publisher's thread included, until all events are written.
Nobody takes the messages. Kinds alternate, and in each round there are plain ones twice: plain
against plain is how much the machine itself wanders. `python -m benchmarks.canvases` prints it.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from celery import chain, chord, group

from benchmarks import tasks
from benchmarks.figures import Target, figure, ratio
from celery_wsprogress.worker.plans.canvases import canvas_of_group
from celery_wsprogress.worker.plans.members import Members
from celery_wsprogress.worker.publishing.publishers import drain_all
from tests.support.servers import RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.figures import Figure

QUEUE: Final = "nobody"

SHAPES: Final[dict[str, Callable[[Any], Any]]] = {
    "chain of 3": lambda task: chain(task.si(), task.si(), task.si()),
    "group of 10": lambda task: group([task.si() for _ in range(10)]),
    "chord of 10": lambda task: chord([task.si() for _ in range(10)], task.si()),
}

MANY: Final = 10_000
"""Members of the group whose plan is as large as one gets."""


def measure(*, rounds: int, number: int) -> Iterator[Figure]:
    """Measure each shape, then the plan of a large group."""
    with RedisServer() as redis:
        tasks.app.conf.update(broker_url=redis.url, result_backend=redis.url)
        for name, make in SHAPES.items():
            plain, followed, again = zip(
                *(_round(make, number, turn) for turn in range(rounds)), strict=True
            )
            yield figure(f"{name}: CPU of plain tasks", "µs", (1e6 * one for one in plain))
            yield ratio("· followed against plain", followed, plain, Target(1.2))
            yield ratio("· plain against plain", again, plain)
        delays = [_delay_of_plan() for _ in range(rounds)]
        yield figure("Plan of 10,000 tasks, per 1,000", "ms", (1e2 * one for one in delays))


def _round(make: Callable[[Any], Any], number: int, turn: int) -> tuple[float, float, float]:
    kinds = [tasks.plain, tasks.streaming]
    # The one that comes first is not always the same.
    costs = {kind: _run(make(kind), number) for kind in kinds[:: 1 if turn % 2 else -1]}
    return costs[tasks.plain], costs[tasks.streaming], _run(make(tasks.plain), number)


def _run(canvas: Any, number: int) -> float:
    drain_all(10.0)
    began = time.process_time()
    for _ in range(number):
        canvas.apply_async(queue=QUEUE)
    drain_all(10.0)
    return (time.process_time() - began) / number


def _delay_of_plan() -> float:
    """Seconds that the plan of a large group takes before its first message is sent."""
    members = []
    for n in range(MANY):
        signature = tasks.streaming.si()
        members.append((signature, signature.freeze(f"{n:036}"), "group"))
    began = time.perf_counter()
    canvas_of_group(tasks.app, Members(members), None, {}, None)
    return time.perf_counter() - began


def main() -> None:
    """Print the figures."""
    quick = "--quick" in sys.argv
    for one in measure(rounds=3 if quick else 40, number=10 if quick else 100):
        target = "" if one.target is None else f"  ({one.target})"
        low, high = one.spread.low, one.spread.high
        print(f"{one.name:40} {one.spread.median:8.2f} {one.unit} [{low:.2f}, {high:.2f}]{target}")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    main()
