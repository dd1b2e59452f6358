"""What a StreamingTask costs a task that does nothing, against a plain one.

One prefork worker with one pool process on a Redis of its own runs both kinds. The messages are
published while the worker does not consume; then it does, and what is taken is the time until
the last of them has run, and the processor time of the worker's processes meanwhile. Runs of
the two kinds alternate. Pairs of plain against plain show how much the machine itself wanders.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from typing import Any, NamedTuple

import psutil
from celery import Celery

from celery_wsprogress import StreamingTask
from tests.servers import RedisServer

app = Celery("noop_tasks", broker=os.environ.get("BENCH_URL"), backend=os.environ.get("BENCH_URL"))
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)

QUEUE = "celery"


@app.task
def plain() -> None:
    """Nothing."""


@app.task(base=StreamingTask)
def streaming() -> None:
    """Nothing, told to whoever watches."""


@app.task(ignore_result=False)
def last() -> bool:
    """Says that everything before it has run."""
    return True


class Cost(NamedTuple):
    """Of one task, in a run of many: seconds of the clock, and of the processors."""

    clock: float
    processor: float


def measure(*, pairs: int, tasks: int) -> dict[str, Any]:
    """Measure, print a table, and return the figures."""
    with RedisServer() as server:
        os.environ["BENCH_URL"] = server.url
        app.conf.update(broker_url=server.url, result_backend=server.url)
        worker = _start_worker()
        try:
            _run(worker, plain, tasks)
            _run(worker, streaming, tasks)
            against = [
                (_run(worker, plain, tasks), _run(worker, streaming, tasks)) for _ in range(pairs)
            ]
            itself = [
                (_run(worker, plain, tasks), _run(worker, plain, tasks)) for _ in range(pairs)
            ]
        finally:
            worker.terminate()
            worker.wait()
    return _report(against, itself)


def _start_worker() -> subprocess.Popen[bytes]:
    command = [
        *(sys.executable, "-m", "celery", "-A", "benchmarks.noop_tasks", "worker"),
        *("--pool", "prefork", "--concurrency", "1", "--loglevel", "ERROR"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    ]
    worker = subprocess.Popen(command)
    while not app.control.ping(timeout=0.5):
        if worker.poll() is not None:
            raise SystemExit("the worker did not start")
    return worker


def _run(worker: subprocess.Popen[bytes], task: Any, tasks: int) -> Cost:
    app.control.cancel_consumer(QUEUE, reply=True)
    for _ in range(tasks):
        task.delay()
    end = last.delay()
    before, began = _processor_time(worker), time.perf_counter()
    app.control.add_consumer(QUEUE, reply=True)
    end.get(timeout=300)
    clock = time.perf_counter() - began
    return Cost(clock / tasks, (_processor_time(worker) - before) / tasks)


def _processor_time(worker: subprocess.Popen[bytes]) -> float:
    main = psutil.Process(worker.pid)
    times = [one.cpu_times() for one in (main, *main.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def _report(against: list[tuple[Cost, Cost]], itself: list[tuple[Cost, Cost]]) -> dict[str, Any]:
    figures: dict[str, Any] = {"pairs": len(against)}
    for name, pairs in (("streaming / plain", against), ("plain / plain", itself)):
        figures[name] = {
            "tasks_per_second": _spread([one.clock / other.clock for one, other in pairs]),
            "processor_per_task": _spread(
                [other.processor / one.processor for one, other in pairs]
            ),
        }
    figures["plain_us"] = 1e6 * statistics.median(one.processor for one, _ in against)
    figures["streaming_us"] = 1e6 * statistics.median(one.processor for _, one in against)
    _print(figures)
    return figures


def _spread(ratios: list[float]) -> dict[str, float]:
    low, *_, high = statistics.quantiles(ratios, n=10)
    return {"median": statistics.median(ratios), "p10": low, "p90": high}


def _print(figures: dict[str, Any]) -> None:
    print(f"No-op tasks, {figures['pairs']} interleaved pairs each (median, p10 to p90)")
    for name in ("streaming / plain", "plain / plain"):
        for figure, spread in figures[name].items():
            shown = f"{spread['median']:.2f} ({spread['p10']:.2f} to {spread['p90']:.2f})"
            print(f"  {name:18} {figure.replace('_', ' '):20} {shown}")
    print(
        f"  processor time a task: plain {figures['plain_us']:.0f} us, "
        f"streaming {figures['streaming_us']:.0f} us"
    )
