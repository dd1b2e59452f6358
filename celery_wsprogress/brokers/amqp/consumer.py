"""What an AMQP broker delivers to a reader: taken by one thread, closed from any."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.brokers.amqp.connection import (
    abort,
    drain_one,
    heartbeat_tick,
    shutdown_socket,
    socket_of,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

#: Messages the broker sends ahead of their acknowledgement, and the most that are taken at once.
PREFETCH: Final = 300


#: Bytes after which no more messages are taken at once.
MAX_READ_BYTES: Final = 8_000_000


def body_of(message: Any) -> bytes:
    """Return a message's body as it was published; the library makes a text of an empty one."""
    return message.body or b""


class MessageBuffer:
    """Collects the messages that consumers of one connection append to ``messages``.

    Args:
        connection: Belongs to the inbox from now on. Everything done with it stands within
            :meth:`exclusive`, so that it can be closed meanwhile.
    """

    def __init__(self, connection: Any) -> None:
        self.messages: deque[Any] = deque()
        self._connection = connection
        self._socket: socket.socket = socket_of(connection)
        self._lock = threading.Lock()
        self._closed = False

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep the connection for this thread. Raises ``ConnectionError`` once it is closed."""
        with self._lock:
            try:
                self._check_open()
                yield
            finally:
                if self._closed:
                    abort(self._connection)

    def fetch(self, wait: float) -> list[Any]:
        """Return what is there already; else wait for one message, and take what came with it.

        Args:
            wait: Seconds after which nothing is returned.
        """
        deadline = time.monotonic() + wait
        self._fetch_waiting()
        while not self.messages and (left := deadline - time.monotonic()) > 0:
            # Not longer than a second: the broker wants its heartbeats meanwhile.
            drain_one(self._connection, min(left, 1.0))
            self._check_open()
            self._fetch_waiting()
        taken = list(self.messages)
        self.messages.clear()
        return taken

    def close(self) -> None:
        """End the connection without the broker, under whoever uses it. Never raises."""
        self._closed = True
        shutdown_socket(self._socket)
        # A thread that waits has been woken just now and cleans up itself.
        if self._lock.acquire(blocking=False):
            try:
                abort(self._connection)
            finally:
                self._lock.release()

    def _check_open(self) -> None:
        if self._closed:
            raise ConnectionError("the reader is closed")

    def _fetch_waiting(self) -> None:
        heartbeat_tick(self._connection)
        while self._has_room() and drain_one(self._connection, 0):
            pass

    def _has_room(self) -> bool:
        """What is not taken now waits at the broker's end of the socket."""
        size = sum(len(message.body or b"") for message in self.messages)
        return len(self.messages) < PREFETCH and size < MAX_READ_BYTES
