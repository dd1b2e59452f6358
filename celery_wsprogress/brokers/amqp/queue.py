"""The log on a RabbitMQ without streams: one queue for each sidecar process.

The queue lives on for some minutes without its reader, and through a restart of the broker: what
workers flush in the moment the broker is back, before the sidecar is, waits in it. So it is
neither exclusive nor deleted with its consumer; it expires, and it is capped.

The queue's random name is the epoch. A reader that finds the queue of its epoch goes on in it,
counting on from its position; one that does not is a new reader with a new queue, and nothing
in it.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.brokers import Entry
from celery_wsprogress.brokers.amqp.connection import abort, connect
from celery_wsprogress.brokers.amqp.consumer import PREFETCH, MessageBuffer, body_of
from celery_wsprogress.brokers.amqp.topology import exists, open_channel
from celery_wsprogress.brokers.connection import queue_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celery_wsprogress.brokers import BrokerAddress

#: Bytes that wait in a queue at the most.
MAX_BYTES: Final = 64_000_000

QUEUE_ARGUMENTS: Final = {
    "x-queue-type": "classic",
    "x-expires": 300_000,  # milliseconds without a consumer
    "x-overflow": "drop-head",
}


def open_reader(address: BrokerAddress, position: str, epoch: str) -> QueueReader:
    """Connect a reader; see :func:`celery_wsprogress.brokers.open_reader`."""
    most = min(address.log_bytes or MAX_BYTES, MAX_BYTES)
    return QueueReader(connect(address), address.exchange, position, epoch, most)


class QueueReader:
    """Consumes the process's queue. Nothing is decoded: bodies are handed on as they came.

    What was handed over is acknowledged by the next read: after a crash between the two it
    comes once more.
    """

    replayable = False
    end = ""

    def __init__(
        self,
        connection: Any,
        exchange: str,
        position: str,
        epoch: str,
        most: int,
    ) -> None:
        self._connection = connection
        self._exchange = exchange
        self._arguments = {**QUEUE_ARGUMENTS, "x-max-length-bytes": most}
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

    def read(self, position: str, *, wait: float) -> Sequence[Entry]:  # noqa: ARG002
        """Return what arrived; see :class:`celery_wsprogress.brokers.Reader`.

        The queue itself knows what was read: the position is not looked at.
        """
        with self._message_buffer.exclusive():
            self._acknowledge()
            return [self._hand_over(message) for message in self._message_buffer.fetch(wait)]

    def close(self) -> None:
        """End the connection without the broker, under whoever reads."""
        self._message_buffer.close()

    def _consume(self) -> Any:
        channel = open_channel(self._connection, self._exchange)
        # Otherwise the library makes text of what it can.
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

    def _hand_over(self, message: Any) -> Entry:
        self._count += 1
        self._unacknowledged = message.delivery_tag
        return Entry(str(self._count), body_of(message))
