"""A network that can be broken: a TCP proxy between two parts of the system.

Nothing here knows pytest. A proxy is a context manager, and everything that goes through it can
be disturbed from the thread of the test::

    with Proxy(redis.port) as network:
        connect_to(network.port)
        network.cut()       # RST to both ends of every connection, and nobody gets through
        network.mend()
        network.freeze()    # half-open: the connections there are stay open and carry nothing
        network.delay = 0.2 # seconds that everything takes from now on, each way
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING, Final, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_CHUNK: Final = 65_536
_HELD: Final = 262_144
"""Bytes that each socket of a connection holds, about, each way. By itself the kernel gives it
megabytes when it was busy once, and none where it was not: how much a peer that does not read can
be sent must not depend on that."""


def hold_little(line: asyncio.StreamWriter | asyncio.BaseTransport) -> None:
    """Have the kernel hold only so much of a connection."""
    sock = line.get_extra_info("socket")
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _HELD)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _HELD)


class _Link:
    """One connection through the proxy: two sockets, and whether anything passes."""

    def __init__(self, *writers: asyncio.StreamWriter) -> None:
        self.writers = writers
        self.flowing = asyncio.Event()
        self.flowing.set()

    def reset(self) -> None:
        """End both sides as a network does: with RST, and whatever is under way is lost."""
        for writer in self.writers:
            sock = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


class Proxy:
    """Listens on a free port of 127.0.0.1 and forwards to another one.

    Args:
        target: The port it forwards to. It may be set again; that counts for new connections.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.delay = 0.0
        """Seconds that everything takes, each way."""
        self.alter: Callable[[bytes], bytes] = bytes
        """What becomes of what passes."""
        self.port = 0
        self._links: set[_Link] = set()
        self._forwarding: set[asyncio.Task[None]] = set()
        self._whole = True
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        starting = asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(30)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *exc_info: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    @property
    def url(self) -> str:
        """For WebSocket clients, where a sidecar is behind it."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """How many go through it now, the frozen ones included."""
        return len(self._links)

    def cut(self) -> None:
        """Reset every connection; new ones are reset, too, until :meth:`mend`."""
        self._do(self._cut)

    def mend(self) -> None:
        """Let new connections through again."""
        self._whole = True

    def reset(self) -> None:
        """Reset every connection; new ones get through."""
        self._do(self._reset)

    def freeze(self) -> None:
        """Carry nothing on the connections there are, and not their ends either, for good."""
        self._do(self._freeze)

    def _do(self, what: Callable[[], T]) -> T:
        async def doing() -> T:
            return what()

        return asyncio.run_coroutine_threadsafe(doing(), self._loop).result(30)

    def _cut(self) -> None:
        self._whole = False
        self._reset()

    def _reset(self) -> None:
        for link in self._links:
            link.reset()

    def _freeze(self) -> None:
        for link in self._links:
            link.flowing.clear()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._forward(reader, writer))
        self._forwarding.add(task)
        task.add_done_callback(self._forwarding.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer)
        try:
            if not self._whole:
                raise ConnectionResetError
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            link.reset()
            return
        hold_little(writer)
        hold_little(back)
        link = _Link(writer, back)
        self._links.add(link)
        pumps = [
            asyncio.ensure_future(self._pump(reader, back, link)),
            asyncio.ensure_future(self._pump(there, writer, link)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            self._links.discard(link)
            for one in link.writers:
                one.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: _Link
    ) -> None:
        with contextlib.suppress(OSError):
            while True:
                data = await reader.read(_CHUNK)
                if self.delay:
                    await asyncio.sleep(self.delay)
                await link.flowing.wait()
                if not data:
                    return
                writer.write(self.alter(data))
                await writer.drain()

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
        self._reset()
        for task in self._forwarding:
            task.cancel()
        await asyncio.gather(*self._forwarding, return_exceptions=True)
