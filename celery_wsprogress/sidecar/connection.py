"""One WebSocket connection of the sidecar.

A session has encoded frames that all clients share, so all that is left to do for one client is
a write. ``websockets`` encodes a frame for each client again, because extensions may differ; here
none is ever negotiated (``compression=None``), so a :class:`.SocketWriter` writes the bytes to the
socket directly. The overridden methods are the callbacks of :class:`asyncio.Protocol`, all called
on the loop's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import TYPE_CHECKING, Any, Final, cast

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.protocol import State

from celery_wsprogress.protocol import close_codes
from celery_wsprogress.sidecar.socket_writer import SocketWriter

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery_wsprogress.hub.session import Session

CLOSE_TIMEOUT: Final = 3.0
"""Seconds a client has to take the close frame and answer it."""

MIN_PING_FACTOR: Final = 0.75
"""Part of the heartbeat after which a ping may be sent already. Each connection has an interval
of its own, so that connections that began together are not pinged together for ever."""


class ProgressConnection(ServerConnection):
    """A WebSocket connection that writes what its session has, when the socket takes it."""

    def __init__(self, *args: Any, ping_interval: float | None = None, **options: Any) -> None:
        if ping_interval is not None:
            ping_interval *= random.uniform(MIN_PING_FACTOR, 1.0)  # noqa: S311
        super().__init__(*args, ping_interval=ping_interval, **options)
        self.writer: SocketWriter
        """Of this connection, from when there is a socket."""
        self.session: Session | None = None
        """What is written to it; None before the handshake is done."""
        self._closing: asyncio.Task[None] | None = None

    @property
    def end_code(self) -> int:
        """The close code of whoever closed it first; 1006 where the line was cut."""
        ours, theirs = self.protocol.close_sent, self.protocol.close_rcvd
        first = theirs if self.protocol.close_rcvd_then_sent else ours or theirs
        return close_codes.LOST if first is None else first.code

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """There is a socket."""
        super().connection_made(transport)
        # That of a socket has both directions, whichever loop made it.
        self.writer = SocketWriter(
            cast("asyncio.Transport", transport), self.flush, self._close_too_slow
        )

    def data_received(self, data: bytes) -> None:
        """The client has sent something."""
        super().data_received(data)
        if self.protocol.state > State.OPEN:
            self.writer.open = False

    def eof_received(self) -> None:
        """The client will send nothing any more: the socket is closed at this end, too."""
        self.writer.open = False
        super().eof_received()

    def pause_writing(self) -> None:
        """The socket does not take any more."""
        super().pause_writing()
        self.writer.paused = True

    def resume_writing(self) -> None:
        """The socket has taken all it was given."""
        super().resume_writing()
        self.writer.paused = False
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        super().connection_lost(exc)
        self.writer.open = False

    async def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Close the WebSocket: no frame follows the closing one."""
        self.writer.open = False
        await super().close(code, reason)

    def flush(self) -> None:
        """Write what the session has, as far as the socket takes it. Never waits."""
        if self.session is not None:
            self.session.flush(time.monotonic(), time.time())

    async def read_commands(self, take: Callable[[str], None]) -> None:
        """Hand each of the client's frames to ``take`` until the connection closes.

        While the client does not read its replies its commands are not read either.
        """
        with contextlib.suppress(ConnectionClosed):
            async for message in self:
                if isinstance(message, bytes):
                    await self.dismiss(close_codes.UNSUPPORTED, "frames are JSON text")
                    return
                take(message)
                self.flush()
                await self._catch_up()

    async def _catch_up(self) -> None:
        session = self.session
        while session is not None and session.reply_backlogged and self.state is State.OPEN:
            await self._write_more()

    async def _write_everything(self) -> None:
        session = self.session
        while session is not None and session.has_unread and self.state is State.OPEN:
            await self._write_more()

    async def _write_more(self) -> None:
        # A socket that is gone is found by whoever asks for the state.
        with contextlib.suppress(OSError):
            await self.drain()
        self.flush()
        await asyncio.sleep(0)

    def _close_too_slow(self) -> None:
        self.close_soon(close_codes.TOO_SLOW, "too slow: missed events that are no longer held")

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
