"""The demo without any broker: worker, sidecar and web app in this one process.

Kombu's memory transport joins only what is in one process, so the tasks run in threads and
there is no Flower. It is the way out for machines without Redis.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from typing import TYPE_CHECKING, Any

import uvicorn

from celery_wsprogress.brokers.address import broker_address
from celery_wsprogress.settings import ServeSettings
from celery_wsprogress.sidecar.server import Sidecar
from example_app.launch.ports import answers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from example_app.launch.plan import Plan
    from example_app.launch.stopping import Stopping

CONCURRENCY = 4


class QuietServer(uvicorn.Server):
    """A uvicorn that leaves the signals to the demo."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield


def run(plan: Plan, ready_file: Path | None, stopping: Stopping) -> int:
    """Run everything until somebody wants to stop.

    The worker's threads run on: a task in a thread cannot be ended, only left behind. So the
    caller should leave the process with :func:`os._exit`.
    """
    logging.basicConfig(filename=plan.folder / "demo.log", level=logging.INFO)
    # Celery and the web app read the environment when they are imported.
    os.environ.update(plan.environ(os.environ))
    from example_app import tasks, web  # noqa: PLC0415

    # The memory transport looks for messages once a second unless it is told otherwise.
    tasks.app.conf.broker_transport_options = {"polling_interval": 0.02}
    _start_worker(tasks.app)
    asyncio.run(_serve(plan, web.app, tasks.app, ready_file, stopping))
    print("\nEnding everything", flush=True)
    return 0


def _start_worker(app: Any) -> None:
    worker = app.WorkController(
        pool_cls="threads",
        concurrency=CONCURRENCY,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    threading.Thread(target=worker.start, name="worker", daemon=True).start()


async def _serve(
    plan: Plan, web: Any, app: Any, ready_file: Path | None, stopping: Stopping
) -> None:
    sidecar = Sidecar(ServeSettings(port=plan.sidecar, allow_cancel=True), broker_address(app))
    await sidecar.start()
    config = uvicorn.Config(web, host="localhost", port=plan.web, log_config=None)
    server = QuietServer(config)
    serving = asyncio.create_task(server.serve())
    await _until(lambda: server.started or serving.done())
    await _until_ready(plan.sidecar, stopping)
    if not (serving.done() or stopping.wanted):
        plan.announce(ready_file)
    await _until(lambda: stopping.wanted or serving.done())
    server.should_exit = True
    await serving
    await sidecar.stop()


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - a signal only sets a flag, and uvicorn does, too
        await asyncio.sleep(0.05)


async def _until_ready(port: int, stopping: Stopping) -> None:
    # What is published before the sidecar listens to the memory transport is gone.
    while not (stopping.wanted or await asyncio.to_thread(answers, port, "/readyz")):  # noqa: ASYNC110 - over HTTP
        await asyncio.sleep(0.05)
