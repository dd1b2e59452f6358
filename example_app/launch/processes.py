"""The demo's child processes: started, waited for, watched, and ended without remainder."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from example_app.launch.stopping import Stopping

PATIENCE = 60.0  # seconds until a child must answer
GRACE = 4.0  # seconds a child has to end by itself


class ChildFailedError(Exception):
    """A child that died, or that did not answer in time."""

    def __init__(self, child: Child, what: str) -> None:
        self.child = child
        super().__init__(f"{child.name} {what}")


class Child:
    """A program in a process group of its own, which writes to a log file."""

    def __init__(
        self,
        name: str,
        command: list[str],
        environ: Mapping[str, str],
        folder: Path,
        *,
        end_with: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = name
        self.log = folder / f"{name.lower()}.log"
        self._end_with = end_with
        with self.log.open("wb") as log:
            self.process: subprocess.Popen[bytes] = subprocess.Popen(
                command,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A Ctrl-C in the terminal reaches only us, and whatever a child starts
                # belongs to its group and can be ended with it.
                start_new_session=True,
            )

    def check(self) -> None:
        """Raise :class:`ChildFailedError` if it is not running."""
        if self.process.poll() is not None:
            raise ChildFailedError(self, f"ended with code {self.process.returncode}")

    def tail(self, lines: int = 15) -> str:
        """Return the last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def ask_to_end(self) -> None:
        """Send it the signal that it ends by."""
        if self.process.poll() is None:
            self.process.send_signal(self._end_with)

    def kill(self) -> None:
        """End what is left of its group: itself, and the children it did not end."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Family:
    """All children, in the order of their start."""

    def __init__(self, environ: Mapping[str, str], folder: Path, stopping: Stopping) -> None:
        self.children: list[Child] = []
        self._environ = environ
        self._folder = folder
        self._stopping = stopping

    def start(self, name: str, command: list[str], **more: Any) -> Child:
        """Start a child."""
        child = Child(name, command, self._environ, self._folder, **more)
        self.children.append(child)
        return child

    def wait_until(self, child: Child, answers: Callable[[], bool]) -> None:
        """Wait until a child answers.

        Raises:
            ChildFailedError: some child died, or this one does not answer.
            StopWanted: somebody does not want to wait.
        """
        deadline = time.monotonic() + PATIENCE
        while not answers():
            if time.monotonic() > deadline:
                raise ChildFailedError(child, f"does not answer after {PATIENCE:g} s")
            self.watch_once()

    def watch(self) -> NoReturn:
        """Stay until a child dies or somebody wants to stop; raises like :meth:`wait_until`."""
        while True:
            self.watch_once()

    def watch_once(self) -> None:
        """Look at everything once, then rest for a moment."""
        self._stopping.check()
        for child in self.children:
            child.check()
        time.sleep(0.1)

    def end(self) -> None:
        """End all children. The broker, which was started first, is ended last."""
        for child in self.children[1:]:
            child.ask_to_end()
        deadline = time.monotonic() + GRACE
        for child in self.children[1:]:
            _wait(child, deadline)
        for child in self.children[:1]:
            child.ask_to_end()
            _wait(child, time.monotonic() + GRACE)


def _wait(child: Child, deadline: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.process.wait(max(0.0, deadline - time.monotonic()))
    child.kill()
