"""How much later honest clients are served while others flood the sidecar.

200 clients watch 20 operations, of which log lines tell the time. In turns with quiet rounds,
attackers send one kind of flood each as fast as the sidecar lets them, and read nothing. The
sidecar has a processor for itself. Run it with

    python -m benchmarks.attacks [--attackers 20] [--addresses] [--key] [--rabbitmq]
        [--loop asyncio] [--quick] [KIND ...]

With ``--quick`` it shows that it works, and its figures mean nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import secrets
import select
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

import click
from websockets.sync.client import connect

from benchmarks import machine, sample_events
from benchmarks.load import load
from benchmarks.log_writer import log
from benchmarks.machine import LOAD, pin
from benchmarks.sidecar import Sidecar, sidecar
from celery_wsprogress import create_token
from tests.support.floods import FLOODS, Attacker
from tests.support.servers import RabbitMQServer, RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.load import Load
    from benchmarks.log_writer import Log

OPERATIONS: Final = 20
PAUSE: Final = 0.02
"""Seconds between two lines."""

LINES_A_PROBE: Final = 10
"""After so many lines the health is asked for, and a client connects."""


class Size(NamedTuple):
    """How much there is of everything."""

    clients: int
    held: int
    """Operations that the sidecar holds, for lists and selections."""
    seconds: float
    """Of each round."""
    start: float
    """Seconds that an attack goes on before it is measured."""


FULL: Final = Size(200, 10_000, 5.0, 2.0)
QUICK: Final = Size(20, 200, 0.4, 0.2)


class Served(NamedTuple):
    """How honest clients were served in a round. Times are seconds."""

    p50: float
    p99: float
    latest: float
    health: float
    """The slowest answer of ``/healthz``."""
    connect: float
    """The slowest handshake with its welcome."""
    memory: int
    """Bytes of the sidecar afterwards."""


def flood(port: int, kind: str, addresses: list[str]) -> None:
    """Attack until the process is killed."""
    pin(os.getpid(), LOAD)
    attackers = [Attacker(port, FLOODS[kind], one) for one in addresses]
    while True:
        for one in select.select([], attackers, [], 1.0)[1]:
            one.send()


@contextmanager
def attack(port: int, kind: str, addresses: list[str], start: float) -> Iterator[None]:
    """Have attackers in a process of their own."""
    process = multiprocessing.get_context("spawn").Process(
        target=flood, args=(port, kind, addresses), daemon=True
    )
    process.start()
    try:
        time.sleep(start)
        yield
    finally:
        process.kill()
        process.join()


def serve(ours: Sidecar, clients: Load, written: Log, size: Size) -> Served:
    """Write lines for a time, and take how they and others were served."""
    lines, health, connected = round(size.seconds / PAUSE), [0.0], [0.0]
    clients.count()
    for number in range(lines):
        time.sleep(PAUSE)
        line = sample_events.log(number % OPERATIONS, f"at {time.time():.6f}")
        written.publish(written.batch([line]))
        if number % LINES_A_PROBE == 0:
            health.append(timed(lambda: ours.get("/healthz")))
            connected.append(timed(lambda: welcome(ours.url)))
    count = clients.wait(lines * size.clients // OPERATIONS)
    return Served(count.p50, count.p99, count.max, max(health), max(connected), ours.memory)


def welcome(url: str) -> None:
    """Connect, and take the first frame."""
    with connect(url, compression=None, open_timeout=60, close_timeout=0.1) as client:
        client.recv(timeout=60)


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@click.command()
@click.argument("kinds", nargs=-1, type=click.Choice(list(FLOODS)))
@click.option("--attackers", default=20, help="How many attack at once.")
@click.option("--addresses", is_flag=True, help="Each has an address of its own.")
@click.option("--key", is_flag=True, help="Everybody needs a token, and the attackers have none.")
@click.option("--rabbitmq", is_flag=True, help="On RabbitMQ instead of Redis.")
@click.option(
    "--loop",
    type=click.Choice(["uvloop", "asyncio"]),
    default="uvloop",
    help="Event loop of the sidecar.",
)
@click.option("--quick", is_flag=True, help="Show that it works; the figures mean nothing.")
@click.option("--seconds", type=float, help="Of each round.  [default: 5]")
def main(
    kinds: tuple[str, ...],
    attackers: int,
    seconds: float | None,
    loop: str,
    *,
    addresses: bool,
    key: bool,
    rabbitmq: bool,
    quick: bool,
) -> None:
    """Attack a sidecar, one kind after the other, with a quiet round before each."""
    size = QUICK if quick else FULL
    size = size if seconds is None else size._replace(seconds=seconds)
    click.echo("\n".join(f"{name}: {value}" for name, value in machine.description().items()))
    sources = [f"127.0.0.{number + 2}" if addresses else "" for number in range(attackers)]
    header = ("kind", "p50", "p99", "quiet", "latest", "health", "connect", "MB")
    click.echo(("{:28}" + "{:>9}" * 7).format(*header))
    machine.allow_many_files()
    pin(os.getpid(), LOAD)
    if key:
        os.environ["WSPROGRESS_KEY"] = secrets.token_urlsafe(40)
    with ExitStack() as stack:
        url = stack.enter_context(RabbitMQServer() if rabbitmq else RedisServer()).url
        ours = stack.enter_context(sidecar(url, uvloop=loop == "uvloop"))
        ours.become_ready()
        written = stack.enter_context(log(url))
        written.fill(sample_events.started(number) for number in range(size.held))
        watch: dict[str, str] = sample_events.watch("%d")
        if key:
            watch["token"] = create_token("*")
        honest = load(ours.port, size.clients, watch, numbers=OPERATIONS, key="at ")
        clients = stack.enter_context(honest)
        for kind in kinds or FLOODS:
            quiet = serve(ours, clients, written, size)
            with attack(ours.port, kind, sources, size.start):
                found = serve(ours, clients, written, size)
            times = (found.p50, found.p99, quiet.p99, found.latest, found.health, found.connect)
            shown = "".join(f"{1e3 * one:9.1f}" for one in times)
            click.echo(f"{kind:28}{shown}{found.memory / 1e6:9.0f}")


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.attacks")
