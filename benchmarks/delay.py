"""The delay from the call in a task to the frame in a client.

A task in a prefork child writes lines that hold the time; the client looks at the clock when it
reads the frame. (Lines, because progress that comes too soon after another waits by design.)

* *Idle*: one task writes 20 lines a second for one client. In turns with it, a script does the
  least that can be done: a loop publishes in a Redis channel, and a server that listens there sends
  what comes to its client.
* *Polling*: a task puts the time into the result backend, and whoever waits for it asks every
  500 ms; it has it when the answer holds it.
* *Under load*: 100 tasks in 100 prefork children say ten things a second each, one of them a line;
  1,000 clients watch, ten of them each task. The script runs meanwhile, with its one client: what
  it needs is what the machine is late by itself. Quick, they are 20: most of the time is for
  starting them.

The sidecar has a processor for itself; Redis, the tasks and the clients share the other one.
"""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import redis

from benchmarks import sample_events, tasks
from benchmarks.baselines import CHANNEL, bare
from benchmarks.figures import RATIO, Figure, Table, Target, figure, ratio
from benchmarks.load import Count, Load, load
from benchmarks.machine import LOAD
from benchmarks.sidecar import sidecar
from benchmarks.worker import worker
from tests.support.servers import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TITLE: Final = "Delay"

KEY: Final = '"at '
"""The text before the time in a frame."""

LINES: Final = 40
"""In one round of an idle system."""

PAUSE: Final = 0.05
"""Seconds between two of them."""

OPERATIONS: Final = 100
FEW_OPERATIONS: Final = 20
WATCHERS: Final = 1_000
UPDATES: Final = 10
"""Events of each operation per second; one of them is a log line."""

SETTLING: Final = 0.5
"""Seconds after the end of the tasks in which the last frames come."""

POLLED: Final = 0.5
"""Seconds between two questions to the result backend."""


class Taken(NamedTuple):
    """The delays of the sidecar, and those of the bare script beside it."""

    ours: Count
    bare: Count


class Script(NamedTuple):
    """The bare script: who publishes, and the client of the server that listens there."""

    publisher: redis.Redis
    client: Load

    def delays(self, lines: int) -> Count:
        """Publish lines, and take their delays."""
        for _ in range(lines):
            time.sleep(PAUSE)
            self.publisher.publish(CHANNEL, sample_events.log(0, f"at {time.time():.6f}"))
        return self.client.wait(lines)


def measure(*, quick: bool) -> Table:
    """Measure the idle system, polling, and the system under load."""
    rounds, polls, seconds = (1, 2, 2) if quick else (6, 15, 10)
    operations = FEW_OPERATIONS if quick else OPERATIONS
    with ExitStack() as stack:
        url = stack.enter_context(RedisServer()).url
        stack.enter_context(worker(url, processes=operations, processor=LOAD))
        ours = stack.enter_context(sidecar(url))
        ours.become_ready()
        server = stack.enter_context(bare("subscribe", url))
        client = stack.enter_context(load(server.port, 1, welcomes=0, key=KEY))
        script = Script(stack.enter_context(redis.Redis.from_url(url)), client)
        idle = list(_idle(ours.port, script, rounds))
        polled = _polled(polls)
        loaded = _under_load(ours.port, script, operations, seconds)
    load_said = f"{seconds} s under the load of {operations} tasks"
    said = f"{rounds} rounds of {LINES} lines; {polls} polled; {load_said}"
    return Table(TITLE, said, list(_figures(idle, polled, loaded)))


def _idle(port: int, script: Script, rounds: int) -> Iterator[Taken]:
    with load(port, 1, sample_events.watch("%d"), key=KEY) as clients:
        for _ in range(rounds):
            _end(_begin([0], LINES, PAUSE, 1))
            yield Taken(clients.count(), script.delays(LINES))


def _under_load(port: int, script: Script, operations: int, seconds: int) -> Taken:
    with load(port, WATCHERS, sample_events.watch("%d"), key=KEY, numbers=operations) as clients:
        # Every child connects to the broker with the first thing it says.
        _end(_begin(range(operations), UPDATES, 1 / UPDATES, UPDATES))
        clients.count()
        spoken = _begin(range(operations), seconds * UPDATES, 1 / UPDATES, UPDATES)
        of_script = script.delays(int(seconds / PAUSE))
        _end(spoken)
        return Taken(clients.count(), of_script)


def _begin(operations: Sequence[int], updates: int, pause: float, lines: int) -> list[Any]:
    """Have tasks speak; see :func:`tasks.speak`."""
    arguments = {"updates": updates, "pause": pause, "lines": lines}
    return [
        tasks.speak.apply_async(
            kwargs=arguments, task_id=sample_events.operation_id(number), ignore_result=False
        )
        for number in operations
    ]


def _end(spoken: list[Any]) -> None:
    """Wait until they have spoken, and all of it is with the clients."""
    for one in spoken:
        one.get()
        one.forget()
    time.sleep(SETTLING)


def _polled(number: int) -> list[float]:
    """Seconds until who polls the result backend knows something new."""
    # No multiple of the time between two questions: it is stored at any time between them.
    stored = tasks.store.delay(number, 2.1 * POLLED)
    delays, known = [], 0.0
    while not stored.ready():
        at = (stored.info or {}).get("at", 0.0)
        if at > known:
            known = at
            delays.append(time.time() - at)
        time.sleep(POLLED)
    return delays


def _figures(idle: list[Taken], polled: list[float], loaded: Taken) -> Iterator[Figure]:
    ours, script = zip(*idle, strict=True)
    p50, bare_p50 = [one.p50 for one in ours], [one.p50 for one in script]
    yield figure("idle, p50", "ms", (1e3 * one for one in p50), Target(3.0))
    yield ratio("· against the bare script, p50", p50, bare_p50, Target(2.0))
    yield figure("· of the bare script, p50", "ms", (1e3 * one for one in bare_p50))
    yield figure("idle, p99", "ms", (1e3 * one.p99 for one in ours))
    yield figure("· of the bare script, p99", "ms", (1e3 * one.p99 for one in script))
    yield figure("polling the result backend", "ms", (1e3 * one for one in polled))
    slower = [one / statistics.median(p50) for one in polled]
    yield figure("· against idle, p50", RATIO, slower)
    yield figure("under load, p50", "ms", [1e3 * loaded.ours.p50])
    yield figure("· of the bare script meanwhile, p50", "ms", [1e3 * loaded.bare.p50])
    yield figure("under load, p99", "ms", [1e3 * loaded.ours.p99], Target(15.0))
    yield figure("· of the bare script meanwhile, p99", "ms", [1e3 * loaded.bare.p99])
