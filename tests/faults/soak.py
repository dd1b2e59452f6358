"""The long form: thousands of operations, and one fault after the other while they run.

``make soak`` runs it, with ``SOAK_OPTIONS``. It prints a table, writes the same figures as JSON,
and exits with 1 when a law was broken. Which operations there are and what happens to them
follows from the seed; when exactly it happens does not.
"""

from __future__ import annotations

import faulthandler
import json
import os
import platform
import random
import sys
import threading
import time
import traceback
from collections import Counter
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from faults import crowd, faults_of
from oracle import LAWS, Findings, evidence
from support.clusters import Cluster, RabbitMQCluster, RedisFailover
from support.servers import RabbitMQServer, RedisServer
from system import System

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clients import Watcher

RESULTS: Final = Path(__file__).parent / "results"
ENDS: Final = ("result", "result", "failure", "retry")
#: Each operation is watched by so many of the clients.
WATCHED_BY: Final = 3
#: Operations that are under way at the same time, at the most: what waits in the queue is not
#: disturbed by anything.
UNDER_WAY: Final = 60
#: Bytes that no process may come to have.
MOST_MEMORY: Final = 250_000_000
#: Seconds after which one does not count any more: Celery has lost its message, with a broker that
#: was killed. It is sent again at the end.
PATIENCE: Final = 30.0
SKEWS: Final = (0.0, 300.0, -180.0)


class Sender(threading.Thread):
    """Sends the operations, a few of them ahead of the workers.

    Args:
        system: Where to.
        ids: The operations, in their order.
        watchers: Of whom each operation gets some.
        seed: Decides what the operations are.
    """

    def __init__(
        self, system: System, ids: Sequence[str], watchers: Sequence[Watcher], seed: int
    ) -> None:
        super().__init__(daemon=True)
        self.sent = 0
        self.ending = threading.Event()
        self.failure: BaseException | None = None
        self._system = system
        self._ids = ids
        self._watchers = watchers
        self._chance = random.Random(seed)
        self._open: dict[str, float] = {}

    def run(self) -> None:
        """Send them all, unless it is told to end."""
        try:
            for first in range(0, len(self._ids), 10):
                self._send(self._ids[first : first + 10])
                while len(self._open) >= UNDER_WAY and not self.ending.is_set():
                    time.sleep(0.02)
                    self._forget_what_is_over()
                if self.ending.is_set():
                    return
        except BaseException as exc:
            self.failure = exc

    def _forget_what_is_over(self) -> None:
        patient = time.monotonic() - PATIENCE
        self._open = {
            one: since
            for one, since in self._open.items()
            if since > patient and not self._system.has_ended(one)
        }

    def _send(self, ids: Sequence[str]) -> None:
        chance = self._chance
        self._system.audience.watch(ids, chance.sample(self._watchers, WATCHED_BY))
        for one in ids:
            self._system.send(
                [one],
                chance.choice(("once", "again")),
                lines=chance.randrange(1, 12),
                pause=chance.choice((0.0, 0.01, 0.03)),
                end=chance.choice(ENDS),
            )
            self._open[one] = time.monotonic()
            self.sent += 1


class Soak:
    """One run of it."""

    def __init__(self, operations: int, faults: int, clients: int, many: int, seed: int) -> None:
        self.operations = operations
        self.faults = faults
        self.clients = clients
        self.many = many
        self.seed = seed
        self.done: Counter[str] = Counter()
        self.peaks: Counter[str] = Counter()
        self.problem = ""
        self.sent = 0

    def run(self, system: System, deadline: float) -> Findings:
        """Do it all; what goes wrong with the doing itself is a :attr:`problem`."""
        ids = system.plan(self.operations)
        watchers = [
            system.join(f"client {n}", sidecar=n % 2, resync=n % 4 >= 2)
            for n in range(self.clients)
        ]
        system.wait_until_whole()
        sender = Sender(system, ids, watchers, self.seed)
        measuring = threading.Event()
        measurer = threading.Thread(target=self._measure, args=(system, measuring), daemon=True)
        measurer.start()
        sender.start()
        try:
            self._harm(system, sender, deadline)
            sender.join(max(0.0, deadline - time.monotonic()))
        except Exception:
            self.problem = traceback.format_exc()
        if sender.is_alive():
            self.problem = self.problem or "the time was over before all operations were sent"
        sender.ending.set()
        sender.join(30)
        if sender.failure is not None:
            self.problem = "".join(traceback.format_exception(sender.failure))
        findings = system.come_to_rest(list(system.sent_at), timeout=120)
        measuring.set()
        measurer.join(10)
        self.sent = sender.sent
        failures = [one for worker in system.workers for one in worker.failures]
        failures += [f"{who} took {n:,} bytes" for who, n in self.peaks.items() if n > MOST_MEMORY]
        self.problem = self.problem or "\n".join(failures)
        return findings

    def _harm(self, system: System, sender: Sender, deadline: float) -> None:
        """Every fault once, in any order, and then any of them; spread over the operations."""
        chance = random.Random(self.seed)
        faults = faults_of(system.broker)
        order = [*chance.sample(faults, len(faults))]
        order += [chance.choice(faults) for _ in range(self.faults - len(order))]
        for number, fault in enumerate(order[: self.faults], 1):
            due = number * self.operations // (self.faults + 1)
            while sender.sent < due and sender.is_alive():
                if time.monotonic() > deadline:
                    return
                time.sleep(0.05)
            click.echo(f"{sender.sent:>7,} sent; {number:>3}: {fault}", err=True)
            fault.do(system, chance)
            self.done[fault.name] += 1
            system.wait_until_whole()
            if number == self.faults // 2 and self.many:
                crowd(system, self.many)
                self.done[f"{self.many:,} clients come back at once"] += 1

    def _measure(self, system: System, ending: threading.Event) -> None:
        while not ending.wait(0.5):
            self.peaks["sidecar"] = max(self.peaks["sidecar"], system.peak_rss())
            for worker in system.workers:
                worker.parse_progress()
                self.peaks["worker process"] = max(self.peaks["worker process"], worker.peak_rss)


def report(soak: Soak, system: System, findings: Findings, seconds: float) -> dict[str, Any]:
    """The figures, by what they are."""
    counts = findings.counts
    transcripts = system.audience.transcripts
    log = system.tail.log
    return {
        "operations": soak.sent,
        "faults": sum(soak.done.values()),
        "clients": len(transcripts),
        "connections": sum(one.counts["connections"] for one in transcripts),
        "lines and results said by tasks": counts["said"],
        "of these accepted by the log": counts["accepted"],
        "of these died in killed processes": counts["died"],
        "events accepted by the log": log.counts["events"],
        "batches written twice (repeats, dropped)": log.counts["repeats"],
        "deliveries": counts["deliveries"],
        "tasks sent again (their message was lost by Celery)": counts["sent again"],
        "snapshots": sum(one.counts["snapshots"] for one in transcripts),
        "replies that said `recovered: false`": sum(
            one.counts["unrecovered"] for one in transcripts
        ),
        **{f"violations: {law}": counts[law] for law in LAWS},
        "peak memory of a sidecar, MB": round(soak.peaks["sidecar"] / 1e6, 1),
        "peak memory of a worker's process, MB": round(soak.peaks["worker process"] / 1e6, 1),
        "seconds": round(seconds),
    }


def found_of(system: System, findings: Findings) -> list[str]:
    """All accounts of a few of the operations that something is wrong with."""
    lines: list[str] = []
    for law in LAWS:
        broken = [one for one in findings.violations if one.startswith(f"{law}: ")]
        named = dict.fromkeys(" ".join(one.split(": ", 1)[1].split(" ")[:3]) for one in broken)
        for who in list(named)[:: max(1, len(named) // 3)][:3]:
            lines += [law, *evidence(system.tail.log, system.audience.transcripts, who)]
    return lines


def machine(broker: str, backend: str, soak: Soak) -> dict[str, Any]:
    """Where and with what it ran."""
    cores = len(os.sched_getaffinity(0))
    packages = ("celery", "kombu", "redis", "amqp", "websockets")
    return {
        "broker": broker,
        "result backend": f"{backend} server",
        "seed": soak.seed,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {cores} cores",
        **{name: version(name) for name in packages},
    }


def show(figures: dict[str, Any], faults: Counter[str]) -> None:
    """Print it as tables that Markdown reads, too."""
    for title, rows in (("", figures), ("fault", faults)):
        click.echo(f"\n| {title} | |\n|---|---:|")
        for name, value in rows.items():
            shown = f"{value:,}" if isinstance(value, (int, float)) else value
            click.echo(f"| {name} | {shown} |")


BROKERS: Final = {
    "redis": lambda: RedisServer(persistent=True),
    "rabbitmq": RabbitMQServer,
    "sentinels": RedisFailover,
    "three-nodes": RabbitMQCluster,
}


@click.command()
@click.option(
    "--broker",
    type=click.Choice([*BROKERS]),
    default="redis",
    show_default=True,
    help="On the clusters Celery's own messages are on another server.",
)
@click.option(
    "--backend",
    type=click.Choice(["another", "same"]),
    default="another",
    show_default=True,
    help="The server that keeps the results.",
)
@click.option("--operations", default=10_000, show_default=True)
@click.option("--faults", default=40, show_default=True)
@click.option("--clients", default=20, show_default=True)
@click.option("--many", default=1_000, show_default=True, help="Clients that come back at once.")
@click.option("--minutes", default=20.0, show_default=True, help="Then it ends, with a report.")
@click.option("--seed", default=4, show_default=True)
def main(broker: str, backend: str, minutes: float, **sizes: int) -> None:
    """Break everything again and again while operations run, and look whether anyone noticed."""
    if backend == "same" and broker != "redis":
        raise click.UsageError("only Redis keeps results, too")
    # Should even the report hang.
    faulthandler.dump_traceback_later(minutes * 60 + 300, exit=True)
    began = time.monotonic()
    soak = Soak(**sizes)
    with ExitStack() as stack:
        server = stack.enter_context(BROKERS[broker]())
        results = server if backend == "same" else stack.enter_context(RedisServer())
        celery = results.url if isinstance(server, Cluster) else server.url
        system = stack.enter_context(System(server, results.url, celery=celery, skews=SKEWS))
        findings = soak.run(system, began + minutes * 60)
        figures = report(soak, system, findings, time.monotonic() - began)
    where = machine(broker, backend, soak)
    RESULTS.mkdir(exist_ok=True)
    name = f"soak-{broker}" + ("-same-backend" if backend == "same" else "")
    path = RESULTS / f"{name}.json"
    whole = {**where, "figures": figures, "faults": soak.done, "problem": soak.problem}
    path.write_text(json.dumps({**whole, "violations": findings.violations[:1000]}, indent=2))
    where_to_look = RESULTS / f"{name}-evidence.txt"
    where_to_look.write_text("\n".join(found_of(system, findings)))
    show(where | figures, soak.done)
    click.echo(f"\nWritten to {path}")
    for line in findings.violations[:20]:
        click.echo(line, err=True)
    if soak.problem:
        click.echo(f"\nIt could not be done:\n{soak.problem}", err=True)
    sys.exit(bool(findings.violations or soak.problem or soak.sent < soak.operations))


if __name__ == "__main__":
    main()
