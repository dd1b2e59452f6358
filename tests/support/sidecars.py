"""Sidecars for tests: the real program as a process, or the same thing in this one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Self

from celery_wsprogress.settings import ServeSettings
from celery_wsprogress.sidecar.embedded.thread import EmbeddedSidecar
from celery_wsprogress.sidecar.server import SWEEP_INTERVAL, Sidecar
from support.conditions import eventually
from support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery_wsprogress.brokers import BrokerAddress
    from celery_wsprogress.sidecar.liveness.result_lookup import ResultLookup


#: Settings with which a busy machine is neither a dead client nor a lost task.
PATIENT = {"heartbeat": 600.0, "lost_after": 3_600.0}

_STARTED = re.compile(r"WebSocket server started on ws://\S+:\d+")


_PRELUDE = """
import itertools, os, resource, runpy, signal, sys
loop, files = sys.argv[1], int(sys.argv[2])
del sys.argv[1:3]
if loop == "asyncio":
    sys.modules["uvloop"] = None
opened = []
def open_all(*_):
    try:
        while True:
            opened.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        print("all files are open", flush=True)
def close_all(*_):
    while opened:
        os.close(opened.pop())
if files:
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    signal.signal(signal.SIGUSR1, open_all)
    signal.signal(signal.SIGUSR2, close_all)
runpy.run_module("celery_wsprogress", run_name="__main__")
"""


class SidecarProcess:
    """``celery-wsprogress serve`` on a port of its own, to be used as a context manager.

    Args:
        broker: Its URL.
        options: More of the command line.
        environment: More of the environment.
        wait: Whether starting waits until it reads from the broker; else until it listens.
        loop: ``asyncio`` runs it without uvloop.
        files: Its limit on open files. On SIGUSR1 it opens all of them, on SIGUSR2 it closes them.
    """

    def __init__(
        self,
        broker: str,
        *options: str,
        environment: dict[str, str] | None = None,
        wait: bool = True,
        loop: str = "uvloop",
        files: int | None = None,
    ):
        self._wait = wait
        # Kept while it is down: it starts again on the same one.
        self.port = free_port()
        program = ["-m", "celery_wsprogress"]
        if loop == "asyncio" or files is not None:
            program = ["-c", _PRELUDE, loop, str(files or 0)]
        self._command = [
            *(sys.executable, *program, "serve"),
            *("--broker", broker, "--port", str(self.port), *options),
        ]
        self._environment = {**os.environ, **(environment or {})}
        self.process: subprocess.Popen[str] | None = None
        self._output: list[str] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"ws://localhost:{self.port}"

    @property
    def http(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def output(self) -> str:
        """What it has printed so far, on both streams."""
        return "".join(self._output)

    @property
    def pid(self) -> int:
        """Its process, or 0."""
        return self.process.pid if self.running and self.process else 0

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start it, on the port it always had."""
        self.process = subprocess.Popen(
            self._command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self._environment,
            cwd=Path(__file__).parents[1] / "projects",
        )
        self._output.clear()
        threading.Thread(target=self._collect, args=(self.process,), daemon=True).start()
        eventually(lambda: _STARTED.search(self.output), what="the sidecar to listen")
        if self._wait:
            eventually(self.ready)

    def ready(self) -> bool:
        """What ``/readyz`` says."""
        try:
            with urllib.request.urlopen(f"{self.http}/readyz", timeout=30) as response:
                return response.status == 200
        except urllib.error.HTTPError:
            return False

    def _collect(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._output.append(line)

    def stop(self) -> int:
        """End it as Ctrl-C does."""
        return self._end(signal.SIGINT)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> int:
        process, self.process = self.process, None
        if process is None:
            return 0
        process.send_signal(number)
        return process.wait(60)


class SidecarThread:
    """The sidecar in a thread of this process, on a free port.

    Args:
        address: Where the log is.
        wait: Whether entering waits until it reads from the broker.
        backend: What it asks about silent runs.
        sweep_interval: How often it looks for expired tokens and stuck clients, in seconds.
        settings: More of its settings.
    """

    def __init__(
        self,
        address: BrokerAddress,
        *,
        wait: bool = True,
        backend: ResultLookup | None = None,
        sweep_interval: float = SWEEP_INTERVAL,
        **settings: object,
    ) -> None:
        self._wait = wait
        loaded = ServeSettings.load({"port": 0, **settings})
        self._server = EmbeddedSidecar(
            loaded, address, backend=backend, sweep_interval=sweep_interval
        )

    def __enter__(self) -> Self:
        self._server.start()
        if self._wait:
            eventually(lambda: self.sidecar.ingest.status.connected)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.stop()

    @property
    def sidecar(self) -> Sidecar:
        return self._server.sidecar

    @property
    def port(self) -> int:
        return self.sidecar.port

    @property
    def url(self) -> str:
        return f"ws://localhost:{self.port}"

    @property
    def http(self) -> str:
        return f"http://localhost:{self.port}"


def write_until_one_falls(sidecar: SidecarThread, write: Callable[[], None]) -> None:
    """Write until the history of someone who does not read has gone on without him."""
    for _ in range(5_000):
        unread = [
            (record.history, getattr(cursor, "seq", cursor))
            for session in list(sidecar.sidecar._by_session)
            for record, cursor in list(session._unread.items())
        ]
        if any(history.dropped_seq > seq for history, seq in unread):
            return
        write()
    raise AssertionError("nobody fell off a history")
