"""From a session to its socket.

Everything that a delivery needs stands in one small object, because there are very many of them in
a row: what the socket takes at once is given to it directly, as a transport would, and only what
it does not take goes to the transport, which can wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

UNSENT_BYTES: Final = 1_000_000
"""What the kernel takes beyond what is on its way. By itself it takes four times as much for a
client that reads nothing, and nobody here would know that it is slow. Much less than this would
make clients that do read fall off a history when some thousand lines come at once."""


class SocketWriter:
    """Writes the frames of a session to its socket.

    Runs in: the event loop.

    Args:
        transport: That of the connection. From now on it pauses its protocol as soon as the socket
            does not take everything: while it is not paused it holds nothing back that a write
            here would overtake.
        flush: Flushes the session.
        close_too_slow: Closes the connection when its client has missed events.
    """

    __slots__ = (
        "_acked_at",
        "_acked_bytes",
        "_file",
        "_flush",
        "_flush_at",
        "_timer",
        "_transport",
        "close_too_slow",
        "open",
        "paused",
        "sent_bytes",
        "sent_writes",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        flush: Callable[[], None],
        close_too_slow: Callable[[], None],
    ) -> None:
        transport.set_write_buffer_limits(high=0)
        sock = transport.get_extra_info("socket")
        limit_unsent(sock)
        self._file = sock.fileno()
        self._transport = transport
        self._flush = flush
        self.close_too_slow = close_too_slow
        self.open = True
        """Frames may be sent: nobody has begun to close the WebSocket."""
        self.paused = False
        """The socket has not taken all that it was given."""
        self._timer: asyncio.TimerHandle | None = None
        self._flush_at = 0.0
        """When the timer fires, in seconds of the loop's clock, which is the monotonic one."""
        self.sent_bytes = 0
        self.sent_writes = 0
        self._acked_bytes = 0
        """Bytes that the socket had taken when it was last looked at."""
        self._acked_at = time.monotonic()
        """When it had taken more than at the look before."""

    @property
    def ready(self) -> bool:
        """Whether the socket takes something now."""
        return self.open and not self.paused

    def flush_soon(self) -> None:
        """Flush the session when the others have had their turn."""
        asyncio.get_running_loop().call_soon(self._flush)

    def flush_at(self, due: float) -> None:
        """Flush the session at this time of the monotonic clock, or before if that was asked."""
        if self._timer is not None:
            if due >= self._flush_at:
                return
            self._timer.cancel()
        delay = max(0.0, due - time.monotonic())
        self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)
        self._flush_at = due

    def _on_timer(self) -> None:
        self._timer = None
        self._flush()

    def write(self, data: bytes) -> None:
        """Write frames. Never waits."""
        self.sent_bytes += len(data)
        self.sent_writes += 1
        try:
            # Loops close the socket after they have called ``connection_lost``, so while this is
            # open the number is that of no other file.
            taken = os.write(self._file, data)
        except OSError:
            # It takes nothing now, or is gone: the transport will find out.
            taken = 0
        if taken != len(data):
            self._transport.write(data[taken:])

    def is_stalled(self, timeout: float) -> bool:
        """Whether the socket has taken nothing for so many seconds though it should.

        To be asked now and then: a socket is known to take something only between two looks.
        """
        now, waiting = time.monotonic(), self._transport.get_write_buffer_size()
        taken = self.sent_bytes - waiting
        if not waiting or taken > self._acked_bytes:
            self._acked_bytes, self._acked_at = taken, now
        return now - self._acked_at > timeout


def limit_unsent(sock: socket.socket) -> None:
    """Let the kernel say early that a client does not read, where it can (Linux, macOS)."""
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if option is not None and sock.family in {socket.AF_INET, socket.AF_INET6}:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, option, UNSENT_BYTES)
