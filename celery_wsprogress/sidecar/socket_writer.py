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

    from celery_wsprogress.session import Session

WRITE_BYTES: Final = 65_536
"""What goes to the socket in one write, about."""

MAX_WRITES_AT_ONCE: Final = 4
"""Then the other connections have their turn."""

UNSENT_BYTES: Final = 1_000_000
"""What the kernel takes beyond what is on its way. By itself it takes four times as much for a
client that reads nothing, and nobody here would know that it is slow. Much less than this would
make clients that do read fall off a history when some thousand lines come at once."""


class SocketWriter:
    """Writes what a session has to its socket.

    Runs in: the event loop.

    Args:
        transport: That of the connection. From now on it pauses its protocol as soon as the socket
            does not take all: while it is not paused it holds nothing back that a write here
            would overtake.
        give_up: Called when the session is too slow to be served any more.
    """

    __slots__ = (
        "_file",
        "_give_up",
        "_taken",
        "_taken_at",
        "_transport",
        "_wakes_at",
        "_waking",
        "open",
        "paused",
        "sent_bytes",
        "sent_writes",
        "session",
    )

    def __init__(self, transport: asyncio.Transport, give_up: Callable[[], None]) -> None:
        transport.set_write_buffer_limits(high=0)
        sock = transport.get_extra_info("socket")
        limit_unsent(sock)
        self._file = sock.fileno()
        self._transport = transport
        self._give_up = give_up
        self.session: Session | None = None
        """What is written; nothing while there is none."""
        self.open = True
        """Frames may be sent: nobody has begun to close the WebSocket."""
        self.paused = False
        """The socket has not taken all that it was given."""
        self._waking: asyncio.TimerHandle | None = None
        """A look at what rests is due."""
        self._wakes_at = 0.0
        """When."""
        self.sent_bytes = 0
        self.sent_writes = 0
        self._taken = 0
        """Bytes of what was written that the socket had taken when it was last looked at."""
        self._taken_at = time.monotonic()
        """When it had taken more than at the look before."""

    def flush(self) -> None:
        """Write what the session has, as far as the socket takes it. Never waits."""
        session = self.session
        for _ in range(MAX_WRITES_AT_ONCE):
            if self.paused or not self.open or session is None:
                return
            data = session.take(WRITE_BYTES, time.time())
            # What was seen before it came here is left out, and that may be all of it.
            if data:
                self._write(data)
            if session.too_slow:
                self._give_up()
                return
            if not session.has_news:
                self._come_back(session.due)
                return
        asyncio.get_running_loop().call_soon(self.flush)

    def pass_on(self, frames: bytes) -> None:
        """Write what everyone gets who had read all there was. Never waits.

        While the socket takes nothing the session keeps its news.
        """
        session = self.session
        if self.open and not self.paused and session is not None:
            session.take_news()
            self._write(frames)

    def _come_back(self, due: float | None) -> None:
        """See to it that what rests is written when it is time: maybe sooner than was thought."""
        if due is None or (self._waking is not None and due >= self._wakes_at):
            return
        if self._waking is not None:
            self._waking.cancel()
        wait = max(0.0, due - time.time())
        self._waking = asyncio.get_running_loop().call_later(wait, self._wake)
        self._wakes_at = due

    def _wake(self) -> None:
        self._waking = None
        self.flush()

    def _write(self, data: bytes) -> None:
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

    def is_stuck(self, patience: float) -> bool:
        """Whether the socket has taken nothing for so many seconds though it should.

        To be asked now and then: a socket is known to take something only between two looks.
        """
        now, waiting = time.monotonic(), self._transport.get_write_buffer_size()
        taken = self.sent_bytes - waiting
        if not waiting or taken > self._taken:
            self._taken, self._taken_at = taken, now
        return now - self._taken_at > patience


def limit_unsent(sock: socket.socket) -> None:
    """Let the kernel say early that a client does not read, where it can (Linux, macOS)."""
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if option is not None and sock.family in {socket.AF_INET, socket.AF_INET6}:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, option, UNSENT_BYTES)
