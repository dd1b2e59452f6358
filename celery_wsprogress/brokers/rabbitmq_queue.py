"""The log on RabbitMQ: a durable fanout exchange, and one queue for each sidecar process.

The queue lives on for some minutes without its reader, and through a restart of the broker: what
workers flush in the moment the broker is back, before the sidecar is, waits in it. So it is
neither exclusive nor deleted with its consumer; it expires, and it is capped.

The queue's random name is the epoch. A reader that finds the queue of its epoch goes on in it,
counting on from its position; one that does not is a new reader with a new queue, and nothing
in it.

Everything goes over one channel, confirmed or not: two channels would not keep the order.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from amqp.exceptions import (  # type: ignore[import-untyped]
    MessageNacked,
    NotFound,
    PreconditionFailed,
)

from celery_wsprogress.brokers import EXCHANGE, Entry
from celery_wsprogress.brokers.amqp_connection import (
    beat,
    connect,
    drain,
    drop,
    shut,
    socket_of,
    take_leave,
)
from celery_wsprogress.brokers.connection import RAW_JSON, bounded, make_producer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celery_wsprogress.brokers import BrokerAddress

logger = logging.getLogger(__name__)

#: Messages the broker sends ahead of their acknowledgement, and the most one read returns.
PREFETCH: Final = 300

QUEUE_ARGUMENTS: Final = {
    "x-queue-type": "classic",
    "x-expires": 300_000,  # milliseconds without a consumer
    "x-max-length-bytes": 64_000_000,
    "x-overflow": "drop-head",
}

_PERSISTENT: Final = 2
_TRANSIENT: Final = 1

_warned_of_exchange = threading.Event()


def open_writer(address: BrokerAddress) -> ConfirmingWriter:
    """Connect a writer; see :func:`celery_wsprogress.brokers.open_writer`."""
    return ConfirmingWriter(connect(address), bounded(address.transport_options, "read_timeout"))


def open_reader(address: BrokerAddress, position: str, epoch: str) -> QueueReader:
    """Connect a reader; see :func:`celery_wsprogress.brokers.open_reader`."""
    return QueueReader(connect(address), position, epoch)


def _open_channel(connection: Any) -> Any:
    """Open a channel on which the exchange is known to exist."""
    channel = connection.channel()
    try:
        channel.exchange_declare(EXCHANGE, "fanout", durable=True, auto_delete=False)
    except PreconditionFailed as exc:
        # The broker closes a channel on which something failed.
        channel = connection.channel()
        if not _warned_of_exchange.is_set():
            _warned_of_exchange.set()
            logger.warning(
                "The exchange %s exists with other arguments and is used as it is (%s)",
                EXCHANGE,
                exc.reply_text,
            )
    return channel


class ConfirmingWriter:
    """Publishes to the exchange; what is to be confirmed is persistent and waited for."""

    def __init__(self, connection: Any, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout
        self._process = os.getpid()
        self._published = 0
        self._awaited = 0
        self._healthy = True
        try:
            self._producer = self._open()
        except BaseException:
            drop(connection)
            raise

    def publish(self, batch: bytes, *, confirm: bool) -> None:
        """Append one batch; see :class:`celery_wsprogress.brokers.Writer`.

        Raises ``TimeoutError`` when the broker does not confirm in time.
        """
        self._healthy = False
        self._producer.publish(
            batch,
            delivery_mode=_PERSISTENT if confirm else _TRANSIENT,
            timeout=self._timeout,
            **RAW_JSON,
        )
        self._published += 1
        if confirm:
            self._wait_for(self._published)
        self._healthy = True

    def keep_alive(self) -> None:
        """Take what the broker said meanwhile, and send a heartbeat when one is due."""
        self._healthy = False
        while drain(self._connection, 0):
            pass
        beat(self._connection)
        self._healthy = True

    def close(self) -> None:
        """Let go, unless the connection is that of the process this one was forked of."""
        if os.getpid() != self._process:
            return
        if self._healthy:
            take_leave(self._connection)
        else:
            drop(self._connection)

    def _open(self) -> Any:
        channel = _open_channel(self._connection)
        channel.confirm_select()
        channel.events["basic_ack"].add(self._on_ack)
        channel.events["basic_nack"].add(self._on_nack)
        return make_producer(channel, "fanout", declare=False)

    def _wait_for(self, tag: int) -> None:
        """Wait for this message's confirmation; those of unconfirmed ones pass by before it."""
        self._awaited = tag
        deadline = time.monotonic() + self._timeout
        while self._awaited:
            left = deadline - time.monotonic()
            if left <= 0 or not drain(self._connection, left):
                raise TimeoutError("the broker has not confirmed a batch in time")

    def _on_ack(self, tag: int, multiple: bool) -> None:
        if tag == self._awaited or (multiple and tag > self._awaited):
            self._awaited = 0

    def _on_nack(self, tag: int, multiple: bool) -> None:
        if self._awaited and (tag == self._awaited or (multiple and tag > self._awaited)):
            raise MessageNacked


class QueueReader:
    """Consumes the process's queue. Nothing is decoded: bodies are handed on as they came.

    What was handed over is acknowledged by the next read: after a crash between the two it
    comes once more.
    """

    replayable = False
    end = ""

    def __init__(self, connection: Any, position: str, epoch: str) -> None:
        self._connection = connection
        self._socket: socket.socket = socket_of(connection)
        self._reading = threading.Lock()
        self._closed = False
        self._arrived: deque[Any] = deque()
        self._unacknowledged: int | None = None
        try:
            self.epoch = epoch if epoch and self._exists(epoch) else secrets.token_hex(4)
            self._count = int(position or 0) if self.epoch == epoch else 0
            self._channel = self._consume()
        except BaseException:
            drop(connection)
            raise

    def read(self, position: str, *, wait: float) -> Sequence[Entry]:  # noqa: ARG002
        """Return what arrived; see :class:`celery_wsprogress.brokers.Reader`.

        The queue itself knows what was read: the position is not looked at.
        """
        with self._reading:
            try:
                self._check_open()
                self._acknowledge()
                self._receive(wait)
            finally:
                if self._closed:
                    drop(self._connection)
            return self._hand_over()

    def close(self) -> None:
        """End the connection without the broker, under whoever reads."""
        self._closed = True
        shut(self._socket)
        # A reader that waits has been woken just now and cleans up itself.
        if self._reading.acquire(blocking=False):
            try:
                drop(self._connection)
            finally:
                self._reading.release()

    def _exists(self, epoch: str) -> bool:
        channel = self._connection.channel()
        try:
            channel.queue_declare(_queue_name(epoch), passive=True)
        except NotFound:
            return False
        channel.close()
        return True

    def _consume(self) -> Any:
        channel = _open_channel(self._connection)
        # Otherwise the library makes text of what it can.
        channel.auto_decode = False
        queue = _queue_name(self.epoch)
        channel.queue_declare(
            queue, durable=True, exclusive=False, auto_delete=False, arguments=QUEUE_ARGUMENTS
        )
        channel.queue_bind(queue, EXCHANGE)
        channel.basic_qos(0, PREFETCH, False)
        channel.basic_consume(queue, callback=self._arrived.append)
        return channel

    def _check_open(self) -> None:
        if self._closed:
            raise ConnectionError("the reader is closed")

    def _acknowledge(self) -> None:
        if self._unacknowledged is not None:
            self._channel.basic_ack(self._unacknowledged, multiple=True)
            self._unacknowledged = None

    def _receive(self, wait: float) -> None:
        """Take what is there already; else wait for one message, and take what came with it."""
        deadline = time.monotonic() + wait
        self._take_what_is_there()
        while not self._arrived and (left := deadline - time.monotonic()) > 0:
            # Not longer than a second: the broker wants its heartbeats meanwhile.
            drain(self._connection, min(left, 1.0))
            self._check_open()
            self._take_what_is_there()

    def _take_what_is_there(self) -> None:
        beat(self._connection)
        while len(self._arrived) < PREFETCH and drain(self._connection, 0):
            pass

    def _hand_over(self) -> list[Entry]:
        entries = []
        while self._arrived:
            message = self._arrived.popleft()
            self._count += 1
            self._unacknowledged = message.delivery_tag
            entries.append(Entry(str(self._count), message.body))
        return entries


def _queue_name(epoch: str) -> str:
    return f"{EXCHANGE}.{socket.gethostname()}.{epoch}"
