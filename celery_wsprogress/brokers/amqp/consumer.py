"""The messages that an AMQP broker delivers to a reader: fetched by one thread, closed from any.

Used by the readers in :mod:`.queue` and :mod:`.stream`.
"""

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

#: Messages that the broker sends before they are acknowledged, and that one fetch returns at most.
PREFETCH: Final = 300

#: Bytes after which a fetch takes no more messages.
MAX_READ_BYTES: Final = 8_000_000


def body_of(message: Any) -> bytes:
    """Return a message's body as bytes; py-amqp makes an empty one a ``str``."""
    return message.body or b""


class MessageBuffer:
    """Collects the messages that consumers of one connection append to ``messages``.

    Args:
        connection: Owned by the buffer from now on. Use it within :meth:`exclusive` only, so that
            another thread can close it.
    """

    def __init__(self, connection: Any) -> None:
        self.messages: deque[Any] = deque()
        self._connection = connection
        self._socket: socket.socket = socket_of(connection)
        self._lock = threading.Lock()
        self._closed = False

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Reserve the connection for this thread. Raises ``ConnectionError`` once it is closed."""
        with self._lock:
            try:
                self._check_open()
                yield
            finally:
                if self._closed:
                    abort(self._connection)

    def fetch(self, wait: float) -> list[Any]:
        """Return the messages that have arrived, or wait up to ``wait`` seconds for some."""
        deadline = time.monotonic() + wait
        self._fetch_waiting()
        while not self.messages and (left := deadline - time.monotonic()) > 0:
            # A second at most, because heartbeats are due meanwhile.
            drain_one(self._connection, min(left, 1.0))
            self._check_open()
            self._fetch_waiting()
        taken = list(self.messages)
        self.messages.clear()
        return taken

    def close(self) -> None:
        """Abort the connection, from any thread. Never raises."""
        self._closed = True
        shutdown_socket(self._socket)
        # A waiting thread has been woken by that and cleans up itself.
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
        """Return whether to take another message now, instead of leaving it to the broker."""
        size = sum(len(message.body or b"") for message in self.messages)
        return len(self.messages) < PREFETCH and size < MAX_READ_BYTES
