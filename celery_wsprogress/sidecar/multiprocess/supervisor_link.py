"""One of several processes of a sidecar, seen from within: its line to the parent.

A process reports its figures to the parent about every second and whenever it is asked for those
of all, and gets what all others have reported as the answer. So whoever is asked, over
whichever process, hears of all of them.

The line also says whether the parent lives: it ends with it, and so does this process.

The line carries JSON, one report a line each way. Each report gets one answer, in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec

from celery_wsprogress.protocol.messages import encode_frame

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from celery_wsprogress.sidecar.metrics.definitions import Samples

EVERY: Final = 1.0
"""Seconds between two reports, at least."""

REST: Final = 100
"""So many times as long as a report takes there is none: it sums over all connections."""

PATIENCE: Final = 2.0
"""Seconds that whoever asks waits for the parent. Then what it said last has to do."""

CLIENT_BITS: Final = 28
"""Of a client's number. With the process id above them (22 bits at the most) it is one that
JavaScript can hold."""

MAX_LINE_BYTES: Final = 1_000_000

_decode = msgspec.json.Decoder(dict[str, int | float]).decode


async def open_connection(sock: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Read and write reports on one end of a line."""
    return await asyncio.open_connection(sock=sock, limit=MAX_LINE_BYTES)


async def reports(reader: asyncio.StreamReader) -> AsyncIterator[Samples]:
    """The reports that come on a line, until it ends."""
    # Who is killed may leave half of one.
    with contextlib.suppress(ConnectionError, EOFError):
        while True:
            yield _decode(await reader.readuntil())


def encode_report(report: Samples) -> bytes:
    """A report, as it goes over a line."""
    return encode_frame(dict(report)) + b"\n"


class SupervisorLink:
    """What the other processes have reported.

    Runs in: the event loop.

    Args:
        descriptor: Of the socket that leads to the parent.
    """

    def __init__(self, descriptor: int) -> None:
        self.reports: Samples = {}
        """Of all other processes, those included that have ended, added up."""
        self.parent_gone = asyncio.Event()
        """The parent is gone."""
        self.first_client_id = (os.getpid() << CLIENT_BITS) + 1
        """From here on this process counts its clients, and no other one does."""
        self._socket = socket.socket(fileno=descriptor)
        self._own: Callable[[], Samples]
        self._writer: asyncio.StreamWriter
        self._asked: deque[asyncio.Future[None]] = deque()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, own: Callable[[], Samples]) -> None:
        """Say to the parent that this process serves, and report from now on.

        Args:
            own: Makes the report of this process.
        """
        loop = asyncio.get_running_loop()
        self._own = own
        reader, self._writer = await open_connection(self._socket)
        self._tasks = [
            loop.create_task(self._listen(reader)),
            loop.create_task(self._read_permit()),
        ]

    async def refresh(self) -> None:
        """Have :attr:`reports` as the parent knows them now."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._report(), PATIENCE)

    def _report(self) -> asyncio.Future[None]:
        """Report to the parent; what is returned is done when it has answered."""
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.parent_gone.is_set():
            answered.set_result(None)
            return answered
        self._writer.write(encode_report(self._own()))
        self._asked.append(answered)
        return answered

    async def _read_permit(self) -> None:
        clock = asyncio.get_running_loop().time
        while not self.parent_gone.is_set():
            before = clock()
            answered = self._report()
            took = clock() - before
            await answered
            await asyncio.sleep(max(EVERY, REST * took))

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        async for report in reports(reader):
            self.reports = report
            self._answer()
        self.parent_gone.set()
        while self._asked:
            self._answer()

    def _answer(self) -> None:
        answered = self._asked.popleft()
        # Who waited for it may have gone meanwhile.
        if not answered.done():
            answered.set_result(None)
