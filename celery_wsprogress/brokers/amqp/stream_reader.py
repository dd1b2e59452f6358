"""The reader of the log on RabbitMQ.

Opened by :mod:`.stream`. A position is an offset in the stream, within an epoch (:mod:`.epochs`).
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.brokers import LogEntry
from celery_wsprogress.brokers.amqp.connection import drain_until
from celery_wsprogress.brokers.amqp.consumer import MessageBuffer, body_of
from celery_wsprogress.brokers.amqp.epochs import Epochs
from celery_wsprogress.brokers.amqp.stream_queue import (
    OFFSET,
    await_first_delivery,
    cancel,
    consume,
    name_log,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from celery_wsprogress.brokers.amqp.stream_queue import Offset

#: Seconds in which the log must deliver the entry that was read last; else it is another log. The
#: log of a slow broker has longer.
POSITION_TIMEOUT: Final = 5.0
#: Seconds after which a log that delivers nothing counts as empty. A slow broker has longer. AMQP
#: does not tell it at once: the message count of a passive `queue.declare` is 0 for every stream
#: (RabbitMQ 3.10.8, tried), and an empty stream answers `basic.consume` as a full one does, whose
#: first delivery is not ordered with the replies of the channel.
EMPTY_LOG_TIMEOUT: Final = 0.5


class StreamQueueReader:
    """Consumes the stream from a position on.

    An acknowledgement only lets the broker send more (https://www.rabbitmq.com/docs/streams,
    "Consuming").
    """

    replayable = True

    def __init__(
        self, connection: Any, exchange: str, timeout: float, position: str, epoch: str
    ) -> None:
        self._connection = connection
        self._log = name_log(exchange)
        self._message_buffer = MessageBuffer(connection)
        self._channel: Any = None
        self._position = ""
        self._after = -1
        self._delivered: Any = None
        self._epochs = Epochs(connection, exchange, timeout)
        if not self._epochs.current or not self._position_exists(position, epoch):
            self._epochs.propose()
        self.epoch = self._epochs.current
        self.end = self._find_end()

    def read(self, position: str, *, wait: float) -> Sequence[LogEntry]:
        """Return the entries after a position; see :class:`celery_wsprogress.brokers.Reader`.

        Raises ``ConnectionError`` also if another reader found a new log, and py-amqp's
        ``ConsumerCancelled`` if the stream was deleted.
        """
        with self._message_buffer.exclusive():
            if self._channel is None or position != self._position:
                self._consume(position)
            messages = self._message_buffer.fetch(wait)
            if self._epochs.current != self.epoch:
                raise ConnectionError("another reader found a new event log")
            self._acknowledge()
            entries = [LogEntry(str(_offset(message)), body_of(message)) for message in messages]
            if entries:
                self._position = entries[-1].position
            return entries

    def close(self) -> None:
        """Abort the connection; see :class:`celery_wsprogress.brokers.Reader`."""
        self._message_buffer.close()

    def _position_exists(self, position: str, epoch: str) -> bool:
        """Return whether the log delivers the entry that was read last, or newer ones.

        A stream that ends before the position delivers nothing until it gets there.
        """
        if not position or epoch != self._epochs.current:
            return True
        self._consume(position)
        return self._is_delivered(lambda: self._delivered is not None, POSITION_TIMEOUT)

    def _is_delivered(self, delivered: Callable[[], bool], timeout: float) -> bool:
        """Wait for the first delivery of the log; return whether it came.

        A busy broker is as late with the stream of epochs, which is never empty. So the log has the
        timeout after that one has come, or as long again as that took if it is longer.
        """
        began = time.monotonic()
        self._epochs.await_delivery(delivered)
        patience = max(timeout, time.monotonic() - began)
        return drain_until(self._connection, delivered, patience)

    def _consume(self, position: str) -> None:
        """Subscribe from a position on, including its own entry."""
        if self._channel is not None:
            cancel(self._channel)
        self._message_buffer.messages.clear()
        self._delivered = None
        self._position = position
        self._after = int(position) if position else -1
        start: Offset = self._after if position else "first"
        self._channel = consume(self._connection, self._log, start, self._on_message)

    def _on_message(self, message: Any) -> None:
        self._delivered = message
        # RabbitMQ delivers from the beginning of a chunk, which may be before the position.
        if _offset(message) > self._after:
            self._message_buffer.messages.append(message)

    def _acknowledge(self) -> None:
        if self._delivered is not None:
            self._channel.basic_ack(self._delivered.delivery_tag, multiple=True)
            self._delivered = None

    def _find_end(self) -> str:
        # Only the last offset is kept: the messages of the chunk may be large.
        newest: deque[int] = deque(maxlen=1)
        channel = consume(
            self._connection, self._log, "last", lambda message: newest.append(_offset(message))
        )
        if self._is_delivered(lambda: bool(newest), EMPTY_LOG_TIMEOUT):
            await_first_delivery(channel)
        cancel(channel)
        return str(newest[-1]) if newest else ""


def _offset(message: Any) -> int:
    offset: int = message.headers[OFFSET]
    return offset
