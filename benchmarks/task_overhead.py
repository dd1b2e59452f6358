"""The cost of a progress report, and of a StreamingTask as a whole.

The calls are made in a task that runs in a prefork child, in a tight loop; taken is the time of one
call, loop included. `tqdm` draws into nothing, `update_state` and the event dispatcher write to the
same Redis as the worker.

The whole tasks do nothing, or wait for 10 ms. They are published while a worker with one pool
process takes none; then it does, and what is taken is the time until the last of them has run, and
the processor time of the worker's processes meanwhile. Runs of plain tasks and of StreamingTasks
alternate, and in each round there are two more of plain ones. In the first of them the worker sends
Celery's own events of tasks (`-E`), which nobody reads. The second is as the plain run before:
plain against plain is how much the machine itself wanders. Publishing is the processor time of the
caller for one `delay()`.
"""

from __future__ import annotations

import os
import time
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from benchmarks import tasks
from benchmarks.figures import Figure, Table, Target, figure, ratio
from benchmarks.machine import MEASURED, processor_time
from benchmarks.worker import Worker, worker
from tests.support.servers import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TITLE: Final = "In the task"


class Cost(NamedTuple):
    """Seconds for one task, in a run of many."""

    clock: float
    processor: float
    """Processor seconds of the worker's processes."""
    publishing: float
    """Processor seconds of the caller."""


class Round(NamedTuple):
    """Runs side by side."""

    plain: Cost
    streaming: Cost
    events: Cost
    """Plain tasks, with Celery's own task events."""
    again: Cost
    """Plain tasks, once more."""


def measure(*, quick: bool) -> Table:
    """Measure the calls, then whole tasks."""
    # A round of tasks that wait is as long as one of many more that do nothing, which are measured
    # in more rounds: what they are asked to reach is as small as what one round wanders.
    rounds, noops, waits = (3, 100, 10) if quick else (20, 150, 20)
    with RedisServer() as redis, worker(redis.url, processes=1, processor=MEASURED) as one:
        taken = [tasks.calls.delay().get() for _ in range(rounds)]
        noop = [_round(one, tasks.plain, tasks.streaming, noops, n) for n in range(2 * rounds)]
        wait = [
            _round(one, tasks.plain_wait, tasks.streaming_wait, waits, n) for n in range(rounds)
        ]
    figures = chain(
        _of_calls(taken),
        _of_tasks("no-op tasks", noop, Target(1.20), Target(0.90, at_most=False)),
        _of_tasks("10 ms tasks", wait),
    )
    done = f"{2 * rounds} rounds of {noops} no-op tasks, {rounds} of {waits} 10 ms tasks"
    return Table(TITLE, done, list(figures))


def _round(one: Worker, plain: Any, streaming: Any, number: int, turn: int) -> Round:
    # The one that comes first is not always the same.
    kinds = (plain, streaming) if turn % 2 else (streaming, plain)
    costs = [_run(one, kind, number) for kind in kinds]
    if not turn % 2:
        costs.reverse()
    one.enable_events()
    events = _run(one, plain, number)
    one.disable_events()
    return Round(costs[0], costs[1], events, _run(one, plain, number))


def _run(one: Worker, task: Any, number: int) -> Cost:
    one.pause()
    before = processor_time(os.getpid())
    for _ in range(number):
        task.delay()
    publishing = processor_time(os.getpid()) - before
    end = tasks.last.delay()
    before, began = one.processor_time, time.perf_counter()
    one.resume()
    end.get(timeout=300)
    clock = time.perf_counter() - began
    return Cost(clock / number, (one.processor_time - before) / number, publishing / number)


def _of_calls(taken: Sequence[dict[str, float]]) -> Iterator[Figure]:
    of = {name: [one[name] for one in taken] for name in tasks.CALLS}
    ours = of.pop("update_progress")
    yield figure("update_progress, throttled", "µs", (1e6 * one for one in ours), Target(1.0))
    yield ratio("· against tqdm.update", ours, of["tqdm.update"], Target(3.0))
    yield ratio("· against an empty method", ours, of["an empty method"])
    least = Target(800, at_most=False)
    yield ratio("· Task.update_state on Redis against it", of["Task.update_state"], ours, least)
    yield ratio("· EventDispatcher.send on Redis against it", of["EventDispatcher.send"], ours)
    loop = of["a loop in track"]
    yield figure("track, an item", "µs", (1e6 * one for one in loop))
    yield ratio("· against tqdm", loop, of["a loop in tqdm"], Target(2.0))
    streamed = (1e6 * one for one in of["a word of a stream"])
    yield figure("stream, a piece of 1,000,000", "µs", streamed, Target(3.0))


def _of_tasks(
    name: str, rounds: Sequence[Round], most: Target | None = None, least: Target | None = None
) -> Iterator[Figure]:
    sides = tuple(zip(*rounds, strict=True))
    cost, other, celery, itself = ([one.processor for one in some] for some in sides)
    yield figure(f"{name}: CPU per plain task", "µs", (1e6 * one for one in cost))
    yield ratio("· StreamingTask against plain", other, cost, most)
    yield ratio("· Celery's own events (-E) against plain", celery, cost)
    yield ratio("· plain against plain", itself, cost)
    cost, other, celery, itself = ([one.clock for one in some] for some in sides)
    yield ratio("· tasks per second, StreamingTask against plain", cost, other, least)
    yield ratio("· tasks per second, Celery's own events (-E) against plain", cost, celery)
    yield ratio("· tasks per second, plain against plain", cost, itself)
    cost, other = ([one.publishing for one in some] for some in sides[:2])
    yield ratio("· CPU of publishing, StreamingTask against plain", other, cost)
