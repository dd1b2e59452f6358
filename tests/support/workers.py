"""Real Celery workers for the tests, as processes of their own.

Nothing here knows pytest. A worker is a context manager::

    with Worker("life", broker=redis.url, backend=redis.url, pool="prefork") as worker:
        worker.kill_children()
        worker.kill()     # SIGKILL to all of it
        worker.stop()     # a warm stop
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from support.startable import Startable

if TYPE_CHECKING:
    from collections.abc import Mapping

PROJECTS: Final = Path(__file__).parents[1] / "projects"

#: Seconds a worker may take to be ready, on a machine that is very busy.
PATIENCE: Final = 60.0


class WorkerFailedError(Exception):
    """The worker ended, or was not ready in time; the message holds the end of its log."""


class Worker(Startable):
    """``celery -A <project> worker``, with its pool, in a process group of its own.

    Args:
        project: A module in ``tests/projects``.
        broker: Its ``BROKER_URL``.
        backend: Its ``RESULT_BACKEND``.
        pool: ``prefork``, ``threads``, ``solo``, ``gevent`` or ``eventlet``.
        concurrency: Processes, threads or greenlets.
        options: More options of the command.
        environment: More variables, as in ``{"WSPROGRESS_TASKS": "all"}``.
    """

    def __init__(
        self,
        project: str = "life",
        *,
        broker: str,
        backend: str | None = None,
        pool: str = "prefork",
        concurrency: int = 2,
        options: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="wsp-worker-"))
        self.name = f"worker-{self.folder.name}@test"
        self._command = [
            sys.executable, "-m", "celery", "-A", project, "worker",
            "--loglevel", "INFO", "--hostname", self.name,
            "--pool", pool, "--concurrency", str(concurrency),
            "--without-gossip", "--without-mingle",
            *options,
        ]  # fmt: skip
        self._environment = {
            **os.environ,
            # The package of this tree, whichever one is installed.
            "PYTHONPATH": os.pathsep.join((str(PROJECTS), str(PROJECTS.parents[1]))),
            "PYTHONUNBUFFERED": "1",
            # What a killed process leaves behind goes with the folder.
            "TMPDIR": str(self.folder),
            "BROKER_URL": broker,
            **({"RESULT_BACKEND": backend} if backend else {}),
            **(environment or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the main process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """The main process, once it was started."""
        return self._process

    @property
    def log(self) -> str:
        """Everything it has written."""
        file = self.folder / "worker.log"
        return file.read_text(errors="replace") if file.exists() else ""

    @property
    def children(self) -> list[int]:
        """The ids of the pool's processes."""
        if self._process is None:
            return []
        task = Path(f"/proc/{self._process.pid}/task")
        try:
            found = [one.read_text().split() for one in task.glob("*/children")]
        except OSError:
            return []
        return sorted({int(pid) for pids in found for pid in pids})

    def start(self) -> None:
        """Start it; returns once it takes tasks.

        Raises:
            WorkerFailedError: it does not.
        """
        seen = len(self.log)
        with (self.folder / "worker.log").open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE
        while f"{self.name} ready" not in self.log[seen:]:
            if not self.running or time.monotonic() > deadline:
                raise WorkerFailedError(f"the worker is not ready:\n{self.log[-4000:]}")
            time.sleep(0.05)

    def stop(self) -> int:
        """Stop it warmly: what runs is finished. Returns its exit code."""
        return self.signal_main(signal.SIGTERM)

    def quit(self) -> int:
        """Stop it coldly: what runs is given up. Returns its exit code."""
        return self.signal_main(signal.SIGQUIT)

    def signal_main(self, number: int) -> int:
        """Send the main process a signal that ends it, and wait for that."""
        if self._process is None:
            return 0
        if self.running:
            self._process.send_signal(number)
        return self._process.wait(PATIENCE)

    def kill_children(self) -> None:
        """SIGKILL to every process of the pool."""
        for pid in self.children:
            os.kill(pid, signal.SIGKILL)

    def kill(self) -> None:
        """SIGKILL to all of it, at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def remove(self) -> None:
        """Kill it and delete its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
