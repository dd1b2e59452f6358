"""One WebSocket connection of the sidecar.

websockets creates a :class:`ProgressConnection` for each handshake; :mod:`.connections` gives it a
session and reads its commands. A session has encoded frames that all clients share, so one client
costs one write. websockets would encode each frame for each client, because extensions may
differ; here none is ever negotiated (``compression=None``), so a :class:`.SocketWriter` writes the
bytes to the socket. The overridden methods are the callbacks of :class:`asyncio.Protocol`.

Runs in: the event loop.
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

from celery_wsprogress.protocol.close_codes import (
    LOST,
    TOO_SLOW,
    UNSUPPORTED,
)
from celery_wsprogress.sidecar.socket_writer import SocketWriter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from celery_wsprogress.access.permissions import Permit
    from celery_wsprogress.hub.session import Session

CLOSE_TIMEOUT: Final = 3.0
"""Seconds a client has to take the close frame and answer it."""

MIN_PING_FACTOR: Final = 0.75
"""The shortest ping interval, as a part of the heartbeat. Each connection has a random interval,
so that connections which were opened together are not pinged together."""


class ProgressConnection(ServerConnection):
    """A WebSocket connection that writes the frames of its session."""

    def __init__(self, *args: Any, ping_interval: float | None = None, **options: Any) -> None:
        if ping_interval is not None:
            ping_interval *= random.uniform(MIN_PING_FACTOR, 1.0)  # noqa: S311
        super().__init__(*args, ping_interval=ping_interval, **options)
        self.writer: SocketWriter
        """Set by :meth:`connection_made`."""
        self.permit: Permit
        """Set before the handshake is answered."""
        self.session: Session | None = None
        """None until the handshake is done."""
        self._closing: asyncio.Task[None] | None = None

    @property
    def first_close_code(self) -> int:
        """The close code of the side that closed first; 1006 without a close frame."""
        ours, theirs = self.protocol.close_sent, self.protocol.close_rcvd
        first = theirs if self.protocol.close_rcvd_then_sent else ours or theirs
        return LOST if first is None else first.code

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Create the writer, as there is a socket now."""
        super().connection_made(transport)
        # The transport of a TCP socket both reads and writes, with asyncio and with uvloop.
        self.writer = SocketWriter(
            cast("asyncio.Transport", transport), self.flush, self._close_too_slow
        )

    def data_received(self, data: bytes) -> None:
        """Pass on what the client sent, and stop writing if that was a close frame."""
        super().data_received(data)
        if self.protocol.state > State.OPEN:
            self.writer.close()

    def eof_received(self) -> None:
        """Stop writing: after the end of file websockets closes the socket."""
        self.writer.close()
        super().eof_received()

    def pause_writing(self) -> None:
        """Stop writing, as the socket's buffer is full."""
        super().pause_writing()
        self.writer.pause()

    def resume_writing(self) -> None:
        """Write what has come meanwhile, as the socket's buffer is empty again."""
        super().resume_writing()
        self.writer.resume()
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop writing, as the socket is closed."""
        super().connection_lost(exc)
        self.writer.close()

    async def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Close the WebSocket. No frame may follow the close frame, so writing stops first."""
        self.writer.close()
        await super().close(code, reason)

    def flush(self) -> None:
        """Write what is unread in the session, as far as the socket takes it. Never waits."""
        if self.session is not None:
            self.session.flush(time.monotonic(), time.time())

    async def read_commands(
        self,
        on_command: Callable[[str], None],
        before_command: Callable[[str], Awaitable[None]],
    ) -> None:
        """Pass each frame of the client to both functions until the connection closes.

        A client that does not read its replies gets no further command processed.
        """
        with contextlib.suppress(ConnectionClosed):
            async for message in self:
                if isinstance(message, bytes):
                    await self.close_or_abort(UNSUPPORTED, "frames are JSON text")
                    return
                await before_command(message)
                on_command(message)
                self.flush()
                await self._drain_replies()

    async def _drain_replies(self) -> None:
        session = self.session
        while session is not None and session.replies.backlogged and self.state is State.OPEN:
            await self._drain_some()

    async def _drain(self) -> None:
        session = self.session
        while session is not None and session.has_unread and self.state is State.OPEN:
            await self._drain_some()

    async def _drain_some(self) -> None:
        # If the socket is closed, the caller's loop ends by the state.
        with contextlib.suppress(OSError):
            await self.drain()
        self.flush()
        await asyncio.sleep(0)

    def _close_too_slow(self) -> None:
        self.schedule_close(TOO_SLOW, "too slow: missed events that are no longer held")

    def schedule_close(self, code: int, reason: str) -> None:
        """Begin to close, once. Never waits."""
        if self._closing is None:
            self._closing = self.loop.create_task(self.close_or_abort(code, reason))

    async def close_or_abort(self, code: int, reason: str, *, flush: bool = False) -> None:
        """Close the connection; abort it if the client does not take the close frame in time.

        ``close`` alone waits without a limit for the socket to take the close frame.

        Args:
            code: The close code.
            reason: The text in the close frame.
            flush: Write first what is unsent for the client.
        """
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                if flush:
                    await self._drain()
                await self.close(code, reason)
        except TimeoutError:
            self.transport.abort()
