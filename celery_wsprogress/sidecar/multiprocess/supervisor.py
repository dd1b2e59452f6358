"""Several processes on one port: their parent, which serves nobody itself.

Each process is the same command again, with a line to the parent (:mod:`.supervisor_link`): a fork
would take along whatever threads the application started when it was loaded. The parent starts
one anew that ended without being told to, adds up what they report, and tells them to stop.

They are in sessions of their own, so that Ctrl-C in a terminal reaches the parent alone. When the
parent is gone, in whatever way, the lines end and the processes with them.
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
    open_connection,
    reports,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celery_wsprogress.sidecar.metrics.definitions import Samples

logger = logging.getLogger(__name__)

STABLE_AFTER: Final = MAX_DELAY
"""Seconds that a process must have lived for the next one to be started without a long wait."""


@dataclass(slots=True)
class MetricsLedger:
    """What the processes have reported, kept by process id."""

    reports: dict[int, Samples] = field(default_factory=dict)
    """The latest of each that runs and has reported yet."""
    past: Samples = field(default_factory=lambda: {"restarts_total": 0})
    """What still counts of those that have ended."""

    def others(self, pid: int) -> dict[str, float]:
        """Everything but what one process reports itself, added up."""
        running = [report for one, report in self.reports.items() if one != pid]
        return definitions.added([*running, self.past])

    def close(self, pid: int) -> None:
        """A process has ended."""
        report = definitions.lasting(self.reports.pop(pid, {}))
        self.past = definitions.added([self.past, report])

    def replace(self) -> None:
        """A process is replaced by another one."""
        self.past = definitions.added([self.past, {"restarts_total": 1}])


class Supervisor:
    """Starts them and keeps them running.

    Runs in: the parent's event loop.

    Args:
        count: How many.
        command: What each of them runs. The number of the descriptor that leads to the parent
            is added to it.
    """

    def __init__(self, count: int, command: Sequence[str]) -> None:
        self.serving = asyncio.Event()
        """All of them serve, or have served."""
        self._count = count
        self._command = command
        self._ledger = MetricsLedger()
        self._stopping = asyncio.Event()
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._keepers: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start them. Does not wait until they serve."""
        loop = asyncio.get_running_loop()
        self._keepers = [loop.create_task(self._supervise()) for _ in range(self._count)]

    async def stop(self) -> None:
        """Tell each to stop, and wait until they have ended."""
        self._stopping.set()
        for one in self._running.values():
            _signal(one, signal.SIGTERM)
        await asyncio.gather(*self._keepers)

    async def _supervise(self) -> None:
        """Have one process running until it is time to stop."""
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
            self._ledger.replace()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def _run_one(self) -> str:
        """Run a process to its end.

        Returns:
            How it ended, for people.
        """
        try:
            process, line = await self._start_one()
        except OSError as exc:
            return f"A process cannot be started ({exc.strerror or exc})"
        self._running[process.pid] = process
        if self._stopping.is_set():
            _signal(process, signal.SIGTERM)
        try:
            await self._listen(process.pid, line)
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

    async def _listen(self, pid: int, sock: socket.socket) -> None:
        """Take the reports of a process, and answer them, until its line ends."""
        reader, writer = await open_connection(sock)
        async for report in reports(reader):
            self._ledger.reports[pid] = report
            if len(self._ledger.reports) == self._count:
                self.serving.set()
            writer.write(encode_report(self._ledger.others(pid)))
        writer.close()


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


def _describe_exit(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {abs(code)}"
