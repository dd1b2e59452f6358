"""The worker of :mod:`benchmarks.tasks`."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks.machine import pin, processor_time
from benchmarks.tasks import app

if TYPE_CHECKING:
    from collections.abc import Iterator


class WorkerFailedError(Exception):
    """Raised if the worker ends instead of taking tasks."""


class Worker:
    """A worker that takes tasks. Made by :func:`worker`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        while not app.control.ping(timeout=0.5, limit=1):
            if process.poll() is not None:
                raise WorkerFailedError("the worker did not start; it said why")

    @property
    def processor_time(self) -> float:
        """Seconds of the processor that it and its pool have used."""
        return processor_time(self._process.pid)

    def enable_events(self) -> None:
        """Send Celery's own events of tasks from now on, as with ``-E``."""
        app.control.enable_events(reply=True, limit=1)

    def disable_events(self) -> None:
        """Send none of them any more."""
        app.control.disable_events(reply=True, limit=1)

    def pause(self) -> None:
        """Take no tasks any more."""
        app.control.cancel_consumer(app.conf.task_default_queue, reply=True, limit=1)

    def resume(self) -> None:
        """Take tasks again."""
        app.control.add_consumer(app.conf.task_default_queue, reply=True, limit=1)


@contextmanager
def worker(url: str, *, processes: int, processor: int) -> Iterator[Worker]:
    """Start one with a prefork pool; from now on this process, too, talks to its broker.

    Args:
        url: Of the broker, and of the results.
        processes: Of the pool.
        processor: Where they all run.
    """
    app.conf.update(broker_url=url, result_backend=url)
    # With its heartbeat, since a worker that sends no events at all cannot be told to send those of
    # tasks (celery/worker/consumer/events.py, `Events.__init__`).
    command = [
        *(sys.executable, "-m", "celery", "--quiet", "-A", "benchmarks.tasks", "worker"),
        *("--pool", "prefork", "--concurrency", str(processes), "--loglevel", "ERROR"),
        *("--without-gossip", "--without-mingle"),
    ]
    # Celery warns of the superuser, who may well be the one that measures.
    environment = {**os.environ, "BENCH_URL": url, "PYTHONWARNINGS": "ignore"}
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(command, env=environment, stdout=nowhere) as process:
        try:
            pin(process.pid, processor)
            yield Worker(process)
        finally:
            process.terminate()
            process.wait()
