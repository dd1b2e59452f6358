"""One WebSocket connection: a session's frames onto a socket.

What a session has are the bytes of frames, shared by all clients; what is left to do for one of
them is a write. ``websockets`` builds each frame anew for each client because extensions may
differ; here none is ever negotiated (``compression=None``), so the bytes go to the transport
directly, as many as the socket takes. The overridden methods are the callbacks of
:class:`asyncio.Protocol`, all called on the loop's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time
from typing import TYPE_CHECKING, Any, Final

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery_wsprogress.session import Session

WRITE_BYTES: Final = 65_536
"""What goes to the socket in one write, about."""

MAX_WRITES_AT_ONCE: Final = 4
"""Then the other connections have their turn."""

CLOSE_TIMEOUT: Final = 3.0
"""Seconds a client has to take the close frame and answer it."""

UNSENT_BYTES: Final = 1_000_000
"""What the kernel takes beyond what is on its way. By itself it takes four times as much for a
client that reads nothing, and nobody here would know that it is slow. Much less than this would
make clients that do read fall off a history when some thousand lines come at once."""

EARLIEST_PING: Final = 0.75
"""Part of the heartbeat after which a ping may be sent already. Each connection has an interval
of its own, so that connections that began together are not pinged together for ever."""

TOO_SLOW: Final = 4008
BINARY: Final = 1003


class ProgressConnection(ServerConnection):
    """A WebSocket connection that writes what its session has, when the socket takes it."""

    def __init__(self, *args: Any, ping_interval: float | None = None, **options: Any) -> None:
        if ping_interval is not None:
            ping_interval *= random.uniform(EARLIEST_PING, 1.0)  # noqa: S311
        super().__init__(*args, ping_interval=ping_interval, **options)
        self.session: Session | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self.sent_bytes = self.sent_writes = 0
        """Written to the socket or to what waits for it."""
        self._taken = 0
        """Bytes of what was written that the socket had taken when it was last looked at."""
        self._taken_at = self.loop.time()
        """When it had taken more than at the look before."""
        self._closing: asyncio.Task[None] | None = None

    @property
    def end_code(self) -> int:
        """The close code of whoever closed it first; 1006 where the line was cut."""
        ours, theirs = self.protocol.close_sent, self.protocol.close_rcvd
        first = theirs if self.protocol.close_rcvd_then_sent else ours or theirs
        return 1006 if first is None else first.code

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """There is a socket."""
        super().connection_made(transport)
        limit_unsent(transport.get_extra_info("socket"))

    def pause_writing(self) -> None:
        """The socket's buffers are full."""
        super().pause_writing()
        self._writable.clear()

    def resume_writing(self) -> None:
        """The socket's buffers have room again."""
        super().resume_writing()
        self._writable.set()
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        super().connection_lost(exc)
        self._writable.set()

    def flush(self) -> None:
        """Write what the session has, as far as the socket takes it. Never waits."""
        session = self.session
        if session is None or self.protocol.state is not State.OPEN:
            return
        for _ in range(MAX_WRITES_AT_ONCE):
            if self.paused or not session.has_news:
                return
            data = session.take(WRITE_BYTES, time.time())
            # What was seen before it came here is left out, and that may be all of it.
            if data:
                self.sent_bytes += len(data)
                self.sent_writes += 1
                self.transport.write(data)
            if session.too_slow:
                self.close_soon(TOO_SLOW, "too slow: missed events that are no longer held")
                return
        self.loop.call_soon(self.flush)

    def is_stuck(self, patience: float) -> bool:
        """Whether the socket has taken nothing for so many seconds though it should.

        To be asked now and then: a socket is known to take something only between two looks.
        """
        now, waiting = self.loop.time(), self.transport.get_write_buffer_size()
        taken = self.sent_bytes - waiting
        if not waiting or taken > self._taken:
            self._taken, self._taken_at = taken, now
        return now - self._taken_at > patience

    async def read_commands(self, take: Callable[[str], None]) -> None:
        """Hand each of the client's frames to ``take`` until the connection closes.

        While the client does not read its replies its commands are not read either.
        """
        with contextlib.suppress(ConnectionClosed):
            async for message in self:
                if isinstance(message, bytes):
                    await self.dismiss(BINARY, "frames are JSON text")
                    return
                take(message)
                self.flush()
                await self._catch_up()

    async def _catch_up(self) -> None:
        session = self.session
        while session is not None and session.backlogged and self.state is State.OPEN:
            await self._write_more()

    async def _write_everything(self) -> None:
        session = self.session
        while session is not None and session.has_news and self.state is State.OPEN:
            await self._write_more()

    async def _write_more(self) -> None:
        await self._writable.wait()
        self.flush()
        await asyncio.sleep(0)

    def close_soon(self, code: int, reason: str) -> None:
        """Begin to close. Never waits."""
        if self._closing is None:
            self._closing = self.loop.create_task(self.dismiss(code, reason))

    async def dismiss(self, code: int, reason: str, *, flush: bool = False) -> None:
        """Close, and cut the line of a client that does not take even that.

        ``close`` alone waits for the socket to take the close frame, however long.

        Args:
            code: The close code.
            reason: For the client.
            flush: Write first what there is for it.
        """
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                if flush:
                    await self._write_everything()
                await self.close(code, reason)
        except TimeoutError:
            self.transport.abort()


def limit_unsent(sock: socket.socket) -> None:
    """Let the kernel say early that a client does not read, where it can (Linux, macOS)."""
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if option is not None and sock.family in {socket.AF_INET, socket.AF_INET6}:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, option, UNSENT_BYTES)
