"""The supervisor link: the socket between one of several sidecar processes and their supervisor.

A process reports its metrics about once a second, and when a client asks for those of all. The
answer is what all other processes have reported, so each of them can answer for all.

The socket is closed when the supervisor ends, in whatever way; then this process ends as well.

It carries one JSON object per line, a report in either direction. Reports are answered in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec

from celery_wsprogress.protocol.messages import encode_frame

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from celery_wsprogress.sidecar.metrics.definitions import Samples

REPORT_INTERVAL: Final = 1.0
"""Minimum seconds between two reports."""

REPORT_DUTY_FACTOR: Final = 100
"""Minimum pause between two reports, as a multiple of the time that one takes: it sums over all
connections."""

REFRESH_TIMEOUT: Final = 2.0
"""Seconds to wait for the supervisor's answer; after that its last one is used."""

MAX_LINE_BYTES: Final = 1_000_000

_decode = msgspec.json.Decoder(dict[str, int | float]).decode


async def open_stream(sock: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the reader and the writer of one end of the link."""
    return await asyncio.open_connection(sock=sock, limit=MAX_LINE_BYTES)


async def read_reports(reader: asyncio.StreamReader) -> AsyncIterator[Samples]:
    """Yield the reports that arrive, until the link is closed."""
    # A process that is killed may leave half a line.
    with contextlib.suppress(ConnectionError, EOFError):
        while True:
            yield _decode(await reader.readuntil())


def encode_report(report: Samples) -> bytes:
    """Return a report as one line."""
    return encode_frame(dict(report)) + b"\n"


class SupervisorLink:
    """Exchanges reports with the supervisor.

    Runs in: the event loop.

    Args:
        descriptor: The file descriptor of the socket.
    """

    def __init__(self, descriptor: int) -> None:
        self.reports: Samples = {}
        """The merged report of all other processes, including those that have ended."""
        self.parent_gone = asyncio.Event()
        """Set when the supervisor has ended."""
        self._socket = socket.socket(fileno=descriptor)
        self._own: Callable[[], Samples]
        self._writer: asyncio.StreamWriter
        self._unanswered: deque[asyncio.Future[None]] = deque()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, own: Callable[[], Samples]) -> None:
        """Report to the supervisor from now on; the first report says that this process serves.

        Args:
            own: Returns the report of this process.
        """
        loop = asyncio.get_running_loop()
        self._own = own
        reader, self._writer = await open_stream(self._socket)
        self._tasks = [
            loop.create_task(self._receive(reader)),
            loop.create_task(self._report_regularly()),
        ]

    async def refresh(self) -> None:
        """Bring :attr:`reports` up to date, in :data:`REFRESH_TIMEOUT` at the most."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._report(), REFRESH_TIMEOUT)

    def _report(self) -> asyncio.Future[None]:
        """Send a report; return a future that is done when it was answered."""
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.parent_gone.is_set():
            answered.set_result(None)
            return answered
        self._writer.write(encode_report(self._own()))
        self._unanswered.append(answered)
        return answered

    async def _report_regularly(self) -> None:
        clock = asyncio.get_running_loop().time
        while not self.parent_gone.is_set():
            before = clock()
            answered = self._report()
            took = clock() - before
            await answered
            await asyncio.sleep(max(REPORT_INTERVAL, REPORT_DUTY_FACTOR * took))

    async def _receive(self, reader: asyncio.StreamReader) -> None:
        async for report in read_reports(reader):
            self.reports = report
            self._answer()
        self.parent_gone.set()
        while self._unanswered:
            self._answer()

    def _answer(self) -> None:
        answered = self._unanswered.popleft()
        # The wait for it may have timed out.
        if not answered.done():
            answered.set_result(None)
