"""The log on a RabbitMQ without streams: one queue for each sidecar process.

Opened by :mod:`.stream`. The queue survives its reader for some minutes, and a restart of the
broker, so that it holds what workers publish before the sidecar is back. It expires and is capped.

The queue's random name is the epoch. A reader that finds the queue of its epoch goes on in it and
counts on from its position; else it declares a new queue.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.brokers import LogEntry
from celery_wsprogress.brokers.amqp.connection import abort, connect
from celery_wsprogress.brokers.amqp.consumer import PREFETCH, MessageBuffer, body_of
from celery_wsprogress.brokers.amqp.topology import exists, open_channel
from celery_wsprogress.brokers.connection import queue_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celery_wsprogress.brokers import BrokerAddress

#: Bytes in a queue, at most.
MAX_BYTES: Final = 64_000_000

QUEUE_ARGUMENTS: Final = {
    "x-queue-type": "classic",
    "x-expires": 300_000,  # milliseconds without a consumer
    "x-overflow": "drop-head",
}


def open_reader(address: BrokerAddress, position: str, epoch: str) -> QueueReader:
    """Connect a reader; see :func:`celery_wsprogress.brokers.open_reader`."""
    max_bytes = min(address.log_bytes or MAX_BYTES, MAX_BYTES)
    return QueueReader(connect(address), address.exchange, position, epoch, max_bytes)


class QueueReader:
    """Consumes the process's queue. Each read acknowledges what the previous one returned."""

    replayable = False
    end = ""

    def __init__(
        self,
        connection: Any,
        exchange: str,
        position: str,
        epoch: str,
        max_bytes: int,
    ) -> None:
        self._connection = connection
        self._exchange = exchange
        self._arguments = {**QUEUE_ARGUMENTS, "x-max-length-bytes": max_bytes}
        self._unacknowledged: int | None = None
        try:
            self._message_buffer = MessageBuffer(connection)
            known = epoch and exists(connection, queue_name(exchange, epoch))
            self.epoch = epoch if known else secrets.token_hex(4)
            self._count = int(position or 0) if self.epoch == epoch else 0
            self._channel = self._consume()
        except BaseException:
            abort(connection)
            raise

    def read(self, position: str, *, wait: float) -> Sequence[LogEntry]:  # noqa: ARG002
        """Return what arrived, whatever the position; see :class:`..brokers.Reader`."""
        with self._message_buffer.exclusive():
            self._acknowledge()
            return [self._hand_over(message) for message in self._message_buffer.fetch(wait)]

    def close(self) -> None:
        """Abort the connection; see :class:`celery_wsprogress.brokers.Reader`."""
        self._message_buffer.close()

    def _consume(self) -> Any:
        channel = open_channel(self._connection, self._exchange)
        # py-amqp would decode bodies to text.
        channel.auto_decode = False
        queue = queue_name(self._exchange, self.epoch)
        channel.queue_declare(
            queue, durable=True, exclusive=False, auto_delete=False, arguments=self._arguments
        )
        channel.queue_bind(queue, self._exchange)
        channel.basic_qos(0, PREFETCH, False)
        channel.basic_consume(queue, callback=self._message_buffer.messages.append)
        return channel

    def _acknowledge(self) -> None:
        if self._unacknowledged is not None:
            self._channel.basic_ack(self._unacknowledged, multiple=True)
            self._unacknowledged = None

    def _hand_over(self, message: Any) -> LogEntry:
        self._count += 1
        self._unacknowledged = message.delivery_tag
        return LogEntry(str(self._count), body_of(message))
