"""The supervisor: it runs several sidecar processes on one port, and serves no client itself.

Each process runs the same command again, with a socket to the supervisor (:mod:`.supervisor_link`).
A fork would copy the locks of whatever threads the application started when it was loaded. The
supervisor restarts processes that end by themselves, merges their reports, and stops them.

The processes have sessions of their own, so Ctrl-C in a terminal reaches the supervisor alone. When
it ends, in whatever way, the sockets are closed, and the processes end.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from celery_wsprogress.backoff import MAX_DELAY, Backoff
from celery_wsprogress.sidecar.metrics import definitions
from celery_wsprogress.sidecar.multiprocess.supervisor_link import (
    encode_report,
    open_stream,
    read_reports,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celery_wsprogress.sidecar.metrics.definitions import Samples

logger = logging.getLogger(__name__)

STABLE_AFTER: Final = MAX_DELAY
"""Seconds after which a process counts as stable: its successor starts without a long delay."""


@dataclass(slots=True)
class MetricsLedger:
    """The reports of the processes, by process id."""

    reports: dict[int, Samples] = field(default_factory=dict)
    """The latest report of each process that runs."""
    past: Samples = field(default_factory=lambda: {"restarts_total": 0})
    """The merged counters of processes that have ended."""

    def others(self, pid: int) -> dict[str, float]:
        """Return the merged report of all processes but one."""
        running = [report for one, report in self.reports.items() if one != pid]
        return definitions.merge([*running, self.past])

    def close(self, pid: int) -> None:
        """Keep the counters of a process that has ended."""
        report = definitions.cumulative(self.reports.pop(pid, {}))
        self.past = definitions.merge([self.past, report])

    def count_restart(self) -> None:
        """Count a restart."""
        self.past = definitions.merge([self.past, {"restarts_total": 1}])


class Supervisor:
    """Starts the processes, and restarts those that end.

    Runs in: the supervisor's event loop.

    Args:
        count: The number of processes.
        command: The command of each. The file descriptor of its socket to the supervisor is
            appended to it.
    """

    def __init__(self, count: int, command: Sequence[str]) -> None:
        self.serving = asyncio.Event()
        """Set when all of them have reported for the first time."""
        self._count = count
        self._command = command
        self._ledger = MetricsLedger()
        self._stopping = asyncio.Event()
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the processes. Does not wait until they serve."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._supervise()) for _ in range(self._count)]

    async def reload(self) -> None:
        """Send SIGHUP to each process that serves. Others read their files when they start."""
        for pid, process in self._running.items():
            if pid in self._ledger.reports:
                _send_signal(process, signal.SIGHUP)

    async def stop(self) -> None:
        """Send each of them SIGTERM, and wait until they have ended."""
        self._stopping.set()
        for one in self._running.values():
            _send_signal(one, signal.SIGTERM)
        await asyncio.gather(*self._tasks)

    async def _supervise(self) -> None:
        """Keep one process running until the supervisor stops."""
        backoff = Backoff()
        while not self._stopping.is_set():
            began_at = time.monotonic()
            how = await self._run_one()
            if self._stopping.is_set():
                return
            if time.monotonic() - began_at >= STABLE_AFTER:
                backoff.reset()
            pause = backoff.next()
            logger.warning("%s; another one is started in %.1f s", how, pause)
            self._ledger.count_restart()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def _run_one(self) -> str:
        """Run a process to its end.

        Returns:
            How it ended, as text for the log.
        """
        try:
            process, sock = await self._start_one()
        except OSError as exc:
            return f"A process cannot be started ({exc.strerror or exc})"
        self._running[process.pid] = process
        if self._stopping.is_set():
            _send_signal(process, signal.SIGTERM)
        try:
            await self._exchange_reports(process.pid, sock)
            code = await process.wait()
        finally:
            del self._running[process.pid]
            self._ledger.close(process.pid)
        return f"Process {process.pid} {_describe_exit(code)}"

    async def _start_one(self) -> tuple[asyncio.subprocess.Process, socket.socket]:
        ours, theirs = socket.socketpair()
        with contextlib.ExitStack() as unless_all_goes_well, theirs:
            unless_all_goes_well.enter_context(ours)
            process = await asyncio.create_subprocess_exec(
                *self._command,
                str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
            unless_all_goes_well.pop_all()
        return process, ours

    async def _exchange_reports(self, pid: int, sock: socket.socket) -> None:
        """Receive the reports of a process and answer each, until its socket is closed."""
        reader, writer = await open_stream(sock)
        async for report in read_reports(reader):
            self._ledger.reports[pid] = report
            if len(self._ledger.reports) == self._count:
                self.serving.set()
            writer.write(encode_report(self._ledger.others(pid)))
        writer.close()


def _send_signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


def _describe_exit(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {abs(code)}"
