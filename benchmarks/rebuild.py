"""How fast a sidecar that starts makes its operations anew from what the log retains.

The log holds whole lives of operations (a start, progress and log lines, a result, an end), in
batches of 20 events, as many as it retains. Taken are the seconds from the moment in which the
sidecar listens until it says that it is ready, and the processor time it needs. Runs on Redis and
on RabbitMQ alternate.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import psutil

from celery_wsprogress import wire
from celery_wsprogress.brokers import BrokerAddress, open_writer
from tests.lives import completed, log, progress, result, status
from tests.servers import RabbitMQServer, RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery_wsprogress.events import Event

EVENTS_A_BATCH: Final = 20


class Run(NamedTuple):
    """Of one start: what was read, and the seconds it took."""

    events: int
    clock: float
    processor: float


def measure(*, runs: int, batches: int) -> dict[str, Any]:
    """Measure, print a table, and return the figures."""
    figures: dict[str, list[Run]] = {"redis": [], "rabbitmq": []}
    with RedisServer() as redis, RabbitMQServer() as rabbitmq:
        for server in (redis, rabbitmq):
            _fill(server.url, batches)
        for _ in range(runs):
            for name, server in (("redis", redis), ("rabbitmq", rabbitmq)):
                figures[name].append(_start(server.url))
    return _report(figures)


def _fill(url: str, batches: int) -> None:
    writer = open_writer(BrokerAddress(url))
    events = (event for number in range(10**9) for event in _life(number))
    for counter in range(1, batches + 1):
        some = [wire.encode_event(event) for event in islice(events, EVENTS_A_BATCH)]
        writer.publish(wire.join_batch("bench", counter, some), confirm=counter == batches)
    writer.close()


def _life(number: int) -> Iterator[Event]:
    named: dict[str, Any] = {
        "operation_id": f"550e8400-e29b-41d4-a716-{number:012}",
        "at": 1_735_734_005.456,
        "run": "b41c90de",
    }
    yield status("started", operation_type="proj.work", metadata={}, attempt=1, **named)
    for step in range(5):
        yield progress(step / 5, message=f"step {step}", current=step, total=5, **named)
        yield log(f"line {step} of the work", **named)
    yield result({"rows": number}, **named)
    yield completed(duration=1.5, attempt=1, **named)


def _start(broker: str) -> Run:
    command = [
        *(sys.executable, "-m", "celery_wsprogress", "serve", "--broker", broker),
        *("--port", "0", "--log-level", "error"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sidecar:
        try:
            assert sidecar.stdout is not None
            found = re.search(r"ws://(\S+)", sidecar.stdout.readline())
            assert found is not None
            process, began = psutil.Process(sidecar.pid), time.perf_counter()
            before = _processor_time(process)
            while not _is_ready(found[1]):
                time.sleep(0.005)
            clock = time.perf_counter() - began
            return Run(_events_of(found[1]), clock, _processor_time(process) - before)
        finally:
            sidecar.kill()


def _is_ready(place: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{place}/readyz", timeout=60) as response:
            return bool(response.status == 200)
    except urllib.error.HTTPError:
        return False


def _events_of(place: str) -> int:
    with urllib.request.urlopen(f"http://{place}/status", timeout=60) as response:
        found = re.search(rb'"events_total":(\d+)', response.read())
    return int(found[1]) if found else 0


def _processor_time(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _report(figures: dict[str, list[Run]]) -> dict[str, Any]:
    print("A sidecar that starts reads the log (medians)")
    report: dict[str, Any] = {}
    for name, runs in figures.items():
        events = runs[0].events
        report[name] = {
            "events": events,
            "events_per_second": statistics.median(events / run.clock for run in runs),
            "processor_us_per_event": statistics.median(
                1e6 * run.processor / events for run in runs
            ),
        }
        print(
            f"  {name:9} {events:7,} events  {report[name]['events_per_second']:8,.0f} a second  "
            f"{report[name]['processor_us_per_event']:.1f} us of processor time an event"
        )
    return report
