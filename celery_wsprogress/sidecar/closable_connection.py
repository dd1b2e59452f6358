"""A WebSocket connection that can be closed without waiting for its client.

Until its handshake it is one of HTTP, whose response may be one that does not end.

Runs in: the event loop.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from websockets.asyncio.server import ServerConnection

from celery_wsprogress.protocol.close_codes import LOST
from celery_wsprogress.sidecar.ingest.startup_replay import HANDSHAKE_HOLD

if TYPE_CHECKING:
    from websockets.frames import Close

CLOSE_TIMEOUT: Final = 3.0
"""Seconds a client has to take the close frame and answer it (``close_timeout`` of websockets)."""

OPEN_TIMEOUT: Final = HANDSHAKE_HOLD + 10
"""Seconds for a request and its response. While the log is read at the start, the response waits
for that."""


class ClosableConnection(ServerConnection):
    """A connection that begins to close at once, and is aborted if its client takes too long.

    Args:
        open_timeout: Seconds until the response to the request must be taken.
    """

    def __init__(self, *args: Any, open_timeout: float = OPEN_TIMEOUT, **options: Any) -> None:
        super().__init__(*args, **options)
        self._open_timeout = open_timeout
        self._closing: asyncio.Task[None] | None = None
        self._deadline: asyncio.Timeout
        """Of the response to the request."""

    async def handshake(self, *args: Any, **options: Any) -> None:
        """Answer the request, within ``open_timeout`` unless :meth:`take_time` was called.

        websockets has a limit of this name, which is the same for all requests.
        """
        async with asyncio.timeout(self._open_timeout) as self._deadline:
            await super().handshake(*args, **options)

    def take_time(self) -> None:
        """Let the response take as long as it likes; to be called while the request is decided."""
        self._deadline.reschedule(None)

    @property
    def first_close_code(self) -> int:
        """The close code of the side that closed first; 1006 without a close frame."""
        ours, theirs = self.protocol.close_sent, self.protocol.close_rcvd
        first = theirs if self.protocol.close_rcvd_then_sent else ours or theirs
        return LOST if first is None else first.code

    @property
    def own_close(self) -> Close | None:
        """The close frame with which this side was the first to close."""
        return None if self.protocol.close_rcvd_then_sent else self.protocol.close_sent

    def abort(self) -> None:
        """Close the connection at once, without a close frame."""
        self.transport.abort()

    async def write_unsent(self) -> None:
        """Write what is unsent for the client; here nothing."""

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
            async with asyncio.timeout(self.close_timeout):
                if flush:
                    await self.write_unsent()
                await self.close(code, reason)
        except TimeoutError:
            self.transport.abort()
