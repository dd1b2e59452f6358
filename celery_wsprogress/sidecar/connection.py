"""One WebSocket connection: a session's frames onto a socket.

The frames of a session are shared bytes; what is left to do per client is a header and one
write. ``websockets`` builds each frame anew for each client because extensions may differ; here
no extension is ever negotiated (``compression=None``), so a frame's bytes are the same for all
and go to the transport directly, as many as the socket takes. The overridden methods are the
callbacks of :class:`asyncio.Protocol`, all called on the loop's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from celery_wsprogress.session import Session

WRITE_BYTES: Final = 65_536
"""What goes to the socket in one write, about."""

MAX_WRITES_AT_ONCE: Final = 4
"""Then the other connections have their turn."""

CLOSE_TIMEOUT: Final = 3.0
"""Seconds a client has to take the close frame and answer it."""

TOO_SLOW: Final = 4008
BINARY: Final = 1003


class ProgressConnection(ServerConnection):
    """A WebSocket connection that writes what its session has, when the socket takes it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.session: Session | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._closing: asyncio.Task[None] | None = None

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
        writes = 0
        while session.has_news and self._writable.is_set() and not session.too_slow:
            if writes == MAX_WRITES_AT_ONCE:
                self.loop.call_soon(self.flush)
                return
            self.transport.write(joined(session.take(WRITE_BYTES)))
            writes += 1
        if session.too_slow:
            self.close_soon(TOO_SLOW, "too slow: missed events that are no longer held")

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
            await self._writable.wait()
            self.flush()
            await asyncio.sleep(0)

    def close_soon(self, code: int, reason: str) -> None:
        """Begin to close. Never waits."""
        if self._closing is None:
            self._closing = self.loop.create_task(self.dismiss(code, reason))

    async def dismiss(self, code: int, reason: str) -> None:
        """Close, and cut the line of a client that does not take even that.

        ``close`` alone waits for the socket to take the close frame, however long.
        """
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self.close(code, reason)
        except TimeoutError:
            self.transport.abort()


def joined(frames: Iterable[bytes]) -> bytes:
    """The frames as the bytes of WebSocket text frames of a server (RFC 6455, 5.2)."""
    parts: list[bytes] = []
    for frame in frames:
        parts += (_header(len(frame)), frame)
    return b"".join(parts)


def _header(length: int) -> bytes:
    """FIN and opcode ``text``, no mask, and the length in its shortest form."""
    if length < 126:
        return bytes((0x81, length))
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2)
    return b"\x81\x7f" + length.to_bytes(8)
