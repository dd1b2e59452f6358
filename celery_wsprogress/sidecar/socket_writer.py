"""Write a session's frames to its socket, past websockets and past the transport.

:class:`.ProgressConnection` makes a :class:`SocketWriter` for each connection. A write goes to the
socket with ``os.write``; what the socket does not take goes to the transport, which buffers it. It
costs 0.7 of the CPU of ``websockets.broadcast`` (decision 4).

What this relies on, and what breaks if websockets (17.1) or asyncio changes it:

* websockets keeps nothing in its own buffer between two calls: ``ServerConnection.send`` and the
  pings hand their bytes to the transport at once. If it ever held frames back, ours could be
  written between the parts of one of them.
* websockets reads ``pause_writing`` and ``resume_writing`` of the protocol only to wait, so that
  ``set_write_buffer_limits(high=0)`` may make both come at each byte that is not taken. If it set
  limits of its own later, ``paused`` would come too late, and frames would change their order.
* No extension is negotiated: frames are the same bytes for all. With one this module cannot be
  used. With TLS what goes over the wire is another for each client: a :class:`TLSWriter` gives the
  frames to the :class:`.TLSTransport`.
* The loop closes the socket only after ``connection_lost``. Else its number could be that of
  another file when we write.

``tests/sidecar/test_connection.py`` compares with the bytes that websockets sends.
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

MAX_KERNEL_BUFFER: Final = 1_000_000
"""Bytes that the kernel buffers beyond those on their way (``TCP_NOTSENT_LOWAT``). Without it Linux
buffers some 4 MB for a client that reads nothing, which would hide that the client is slow. A much
smaller buffer makes clients that do read miss events in a burst of some thousand log lines."""


class SocketWriter:
    """Writes the frames of a session to its socket.

    Runs in: the event loop.

    Args:
        transport: The connection's transport. Its buffer limit is set to 0, so it pauses the
            protocol whenever it holds bytes back; while it is not paused, a write to the socket
            overtakes nothing.
        flush: Flushes the session.
        flush_in_turn: Has the session flushed in the next turn of its client.
        close_too_slow: Closes the connection; called when its client has missed events.
    """

    __slots__ = (
        "_acked_at",
        "_acked_bytes",
        "_file",
        "_flush",
        "_flush_at",
        "_open",
        "_paused",
        "_timer",
        "_transport",
        "close_too_slow",
        "flush_soon",
        "ready",
        "sent_bytes",
        "sent_writes",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        flush: Callable[[], None],
        flush_in_turn: Callable[[], None],
        close_too_slow: Callable[[], None],
    ) -> None:
        transport.set_write_buffer_limits(high=0)
        sock = transport.get_extra_info("socket")
        limit_kernel_buffer(sock)
        self._file = sock.fileno()
        self._transport = transport
        self._flush = flush
        self.flush_soon = flush_in_turn
        """Schedules a flush of the session, after the other sessions."""
        self.close_too_slow = close_too_slow
        self._open = True
        self._paused = False
        self.ready = True
        """Whether a frame may be written now: neither side has begun to close, and the transport
        holds no bytes that the socket has not taken."""
        self._timer: asyncio.TimerHandle | None = None
        self._flush_at = 0.0
        """When the timer fires, in monotonic seconds."""
        self.sent_bytes = 0
        self.sent_writes = 0
        self._acked_bytes = 0
        """Bytes that the socket had taken at the latest check."""
        self._acked_at = time.monotonic()
        """When a check last found progress, in monotonic seconds."""

    def pause(self) -> None:
        """Write nothing more: the transport holds bytes that the socket has not taken."""
        self._paused, self.ready = True, False

    def resume(self) -> None:
        """Write again, unless the connection closes."""
        self._paused, self.ready = False, self._open

    def close(self) -> None:
        """Write nothing any more: one side has begun to close."""
        self._open = self.ready = False

    def flush_at(self, due: float) -> None:
        """Flush the session at a monotonic time; an earlier request stands."""
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
            # Nothing is written from `connection_lost` on, and only then the loop closes the
            # socket: the descriptor cannot be that of another file.
            taken = os.write(self._file, data)
        except OSError:
            # The socket is full (EAGAIN) or broken. The transport handles both.
            taken = 0
        if taken != len(data):
            self._transport.write(data[taken:])

    def is_stalled(self, timeout: float) -> bool:
        """Return whether the socket has taken nothing for ``timeout`` seconds, with bytes waiting.

        The caller must check regularly: progress is seen only between two checks.
        """
        now, buffered = time.monotonic(), self._transport.get_write_buffer_size()
        taken = self.sent_bytes - buffered
        if not buffered or taken > self._acked_bytes:
            self._acked_bytes, self._acked_at = taken, now
        return now - self._acked_at > timeout


class TLSWriter(SocketWriter):
    """Writes the frames of a session through the transport, which encrypts them for its client."""

    __slots__ = ()

    def write(self, data: bytes) -> None:
        """Write frames. Never waits."""
        self.sent_bytes += len(data)
        self.sent_writes += 1
        self._transport.write(data)


def limit_kernel_buffer(sock: socket.socket) -> None:
    """Limit what the kernel buffers for a client that does not read (Linux and macOS)."""
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if option is not None and sock.family in {socket.AF_INET, socket.AF_INET6}:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, option, MAX_KERNEL_BUFFER)
