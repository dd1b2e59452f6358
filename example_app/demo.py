"""``python -m example_app.demo``: everything that the example needs, with one command.

A broker (unless the environment names one), a worker, the sidecar, Flower and the web app, each
in a process of its own. Ctrl-C or SIGTERM ends all of them, and their temporary folder goes too.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from signal import SIGQUIT
from typing import TYPE_CHECKING

from celery import Celery

from celery_wsprogress.urls import masked
from example_app.launch import broker as brokers
from example_app.launch import single_process
from example_app.launch.plan import Plan
from example_app.launch.ports import Ports, accepts, answers
from example_app.launch.processes import ChildFailedError, Family
from example_app.launch.stopping import Stopping, StopWanted

if TYPE_CHECKING:
    from collections.abc import Callable

CELERY = [sys.executable, "-m", "celery", "-A", "example_app.tasks"]
CONCURRENCY = 4


def main() -> int:
    """Run until somebody wants to stop; return the exit code."""
    stopping = Stopping()
    options = _options()
    with tempfile.TemporaryDirectory(prefix="wsprogress-demo-") as folder:
        plan = _plan(options, Path(folder))
        in_memory = plan.broker.url == brokers.MEMORY
        run = single_process.run if in_memory else _run
        code = run(plan, options.ready_file, stopping)
    if in_memory:
        os._exit(code)
    return code


def _plan(options: argparse.Namespace, folder: Path) -> Plan:
    ports = Ports()
    broker = brokers.choose(os.environ, folder, ports.pick(0, 0))
    web = ports.pick(options.web_port, 8000)
    sidecar = ports.pick(options.ws_port, 8765)
    flower = None if broker.url == brokers.MEMORY else ports.pick(options.flower_port, 5555)
    return Plan(broker, folder, web, sidecar, flower)


def _run(plan: Plan, ready_file: Path | None, stopping: Stopping) -> int:
    if plan.broker.command is None and not brokers.is_there(plan.broker.url):
        print(f"The broker {masked(plan.broker.url)} does not answer", file=sys.stderr)
        return 1
    family = Family(plan.environ(os.environ), plan.folder, stopping)
    try:
        _start(plan, family)
        plan.announce(ready_file)
        family.watch()
    except StopWanted:
        print("\nEnding everything", flush=True)
    except ChildFailedError as exc:
        print(f"{exc}. The end of its log:\n\n{exc.child.tail()}\n", file=sys.stderr, flush=True)
        return 1
    finally:
        family.end()
    return 0


def _start(plan: Plan, family: Family) -> None:
    """Start everything, the broker first, and wait until all of it answers."""
    if plan.broker.command:
        port = int(plan.broker.url.rpartition(":")[2].partition("/")[0])
        broker = family.start("Broker", plan.broker.command)
        family.wait_until(broker, lambda: accepts(port))
    name = f"demo-{os.getpid()}@localhost"
    # SIGQUIT is Celery's cold shutdown: nobody waits for a task that nobody watches any more.
    worker = family.start("Worker", _worker(name), end_with=SIGQUIT)
    sidecar = family.start("Sidecar", _sidecar(plan.sidecar, plan.addresses()["flower"]))
    flower = family.start("Flower", _flower(plan.flower))
    web = family.start("Web", _web(plan.web))
    family.wait_until(worker, _pings(plan.broker.url, name))
    family.wait_until(sidecar, lambda: answers(plan.sidecar, "/readyz"))
    family.wait_until(flower, lambda: answers(plan.flower or 0, "/healthcheck"))
    family.wait_until(web, lambda: answers(plan.web, "/"))


def _worker(name: str) -> list[str]:
    return [
        *CELERY,
        *("worker", "--task-events", "--loglevel", "INFO", "--hostname", name),
        *("--pool", "prefork", "--concurrency", str(CONCURRENCY)),
        *("--without-gossip", "--without-mingle"),
    ]


def _sidecar(port: int, flower: str) -> list[str]:
    command = [sys.executable, "-m", "celery_wsprogress", "serve", "-A", "example_app.tasks"]
    # Everybody who can open the page may cancel what it has started: it is on loopback only.
    more = ("--allow-cancel", "--flower-url", flower)
    return [*command, "--host", "localhost", "--port", str(port), *more]


def _flower(port: int | None) -> list[str]:
    configuration = Path(__file__).with_name("flowerconfig.py")
    return [*CELERY, "flower", "--address=localhost", f"--port={port}", f"--conf={configuration}"]


def _web(port: int) -> list[str]:
    command = [sys.executable, "-m", "uvicorn", "example_app.web:app", "--host", "localhost"]
    return [*command, "--port", str(port), "--no-server-header"]


def _pings(broker: str, worker: str) -> Callable[[], bool]:
    control = Celery(broker=broker, set_as_current=False).control
    return lambda: bool(control.ping(destination=[worker], timeout=1.0))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m example_app.demo", description=__doc__)
    for name, usual in (("web", 8000), ("ws", 8765), ("flower", 5555)):
        parser.add_argument(
            f"--{name}-port",
            type=int,
            default=os.environ.get(f"DEMO_{name.upper()}_PORT") or None,
            help=f"0 is any free one; without this {usual}, or a free one where that is taken",
        )
    parser.add_argument("--ready-file", type=Path, help="write the addresses there, as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
