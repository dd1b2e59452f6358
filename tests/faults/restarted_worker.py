"""Workers as they run in production: under a parent that starts them again when they end."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING, Any, Self

import psutil
from support.workers import Worker, WorkerFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator


class RestartedWorker:
    """A worker that comes back. A context manager; takes what :class:`workers.Worker` takes."""

    def __init__(self, *args: Any, **how: Any) -> None:
        self.worker = Worker(*args, **how)
        self.restarts = 0
        self.failures: list[str] = []
        """What it wrote when it could not be started."""
        self.peak_rss = 0
        """Bytes of the largest of its processes, as seen now and then."""
        self.in_peace: set[int] = set()
        """Processes that were stopped warmly, and so lost nothing."""
        self._ending = threading.Event()
        self._parent = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self.worker.__enter__()
        self._parent.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ending.set()
        self.worker.kill()
        self._parent.join(90)
        self.worker.remove()

    @property
    def pids(self) -> list[int]:
        """Its processes, the main one first."""
        return [process.pid for process in self._processes()]

    @property
    def ready(self) -> bool:
        """Whether it is there, with all its pool."""
        return self.worker.running and len(self.worker.children) > 0

    def kill(self) -> None:
        """SIGKILL to all of it. It comes back."""
        self.worker.kill()

    def stop(self) -> None:
        """A warm stop. It comes back."""
        self.in_peace.update(self.pids)
        self.worker.stop()

    def kill_a_child(self) -> None:
        """SIGKILL to one process of the pool."""
        for pid in self.worker.children[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def pause(self) -> None:
        """SIGSTOP to all of it: it says nothing, and its connections stay."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo :meth:`pause`."""
        self._signal(signal.SIGCONT)

    def parse_progress(self) -> None:
        """Look how large its processes are."""
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                self.peak_rss = max(self.peak_rss, process.memory_info().rss)

    def _signal(self, number: int) -> None:
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)

    def _processes(self) -> Iterator[psutil.Process]:
        process = self.worker.process
        if process is None:
            return
        with contextlib.suppress(psutil.Error):
            main = psutil.Process(process.pid)
            yield main
            yield from main.children(recursive=True)

    def _watch(self) -> None:
        while not self._ending.wait(0.1):
            if self.worker.running:
                continue
            # What is left of its pool goes with it, as with any service manager.
            self.worker.kill()
            try:
                self.worker.start()
                self.restarts += 1
            except WorkerFailedError as exc:
                self.failures.append(str(exc))
            if self._ending.is_set():
                self.worker.kill()
