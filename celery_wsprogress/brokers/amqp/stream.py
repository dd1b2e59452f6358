"""The log on RabbitMQ: a durable fanout exchange, bound to one stream queue.

Opened by :mod:`celery_wsprogress.brokers`. A position is an offset in the stream, within an epoch
(:mod:`.epochs`). The stream is capped by age and bytes, because it takes disk from the user's
queues. Writers declare it, too: a message without a queue is lost.

Where the broker makes no streams, each sidecar has a queue instead (:mod:`.queue`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeVar

from amqp.exceptions import (  # type: ignore[import-untyped]
    AccessRefused,
    InternalError,
    PreconditionFailed,
)

from celery_wsprogress.brokers import LogEntry
from celery_wsprogress.brokers.amqp import queue
from celery_wsprogress.brokers.amqp.connection import abort, connect, drain_until
from celery_wsprogress.brokers.amqp.consumer import MessageBuffer, body_of
from celery_wsprogress.brokers.amqp.epochs import Epochs
from celery_wsprogress.brokers.amqp.stream_queue import (
    OFFSET,
    StreamRefused,
    await_first_delivery,
    cancel,
    consume,
    declare,
)
from celery_wsprogress.brokers.amqp.topology import exists, open_channel
from celery_wsprogress.brokers.amqp.writer import ConfirmingWriter
from celery_wsprogress.brokers.connection import bounded
from celery_wsprogress.urls import masked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from celery_wsprogress.brokers import BrokerAddress, Reader
    from celery_wsprogress.brokers.amqp.stream_queue import Offset

T = TypeVar("T")

logger = logging.getLogger(__name__)

LOG_ARGUMENTS: Final[dict[str, Any]] = {
    "x-max-age": "86400s",
    "x-max-length-bytes": 128_000_000,
    # RabbitMQ drops whole segments, of 500 MB by default (https://www.rabbitmq.com/docs/streams,
    # "Retention"): above both caps.
    "x-stream-max-segment-size-bytes": 16_000_000,
}

#: Segments of a log, at least.
SEGMENTS: Final = 4

#: Seconds to wait for a stream that another process may be declaring.
DECLARE_TIMEOUT: Final = 2.0
#: Seconds in which the log must deliver the entry that was read last; else it is another log.
POSITION_TIMEOUT: Final = 5.0
#: Seconds after which a log that delivers nothing counts as empty. AMQP does not tell it at once:
#: the message count of a passive `queue.declare` is 0 for every stream (RabbitMQ 3.10.8, tried),
#: and an empty stream answers `basic.consume` as a full one does, whose first delivery is not
#: ordered with the replies of the channel.
EMPTY_LOG_TIMEOUT: Final = 0.5

_warned_of_arguments = threading.Event()
_warned_of_refusal = threading.Event()


def open_writer(address: BrokerAddress) -> ConfirmingWriter:
    """Connect a writer; see :func:`celery_wsprogress.brokers.open_writer`.

    Without streams a batch need not reach a queue: there may be no sidecar.
    """
    timeout = bounded(address.transport_options, "read_timeout")

    def open_on(connection: Any) -> ConfirmingWriter:
        _open_log(connection, address, timeout)
        return ConfirmingWriter(connection, address.exchange, timeout, mandatory=True)

    try:
        return _retry_until_declared(address, open_on)
    except StreamRefused:
        return ConfirmingWriter(connect(address), address.exchange, timeout, mandatory=False)


def open_reader(address: BrokerAddress, position: str, epoch: str) -> Reader:
    """Connect a reader; see :func:`celery_wsprogress.brokers.open_reader`.

    Without streams it reads a queue, and logs one warning.
    """
    timeout = bounded(address.transport_options, "read_timeout")

    def open_on(connection: Any) -> StreamQueueReader:
        _warn_of_arguments(address, _open_log(connection, address, timeout))
        return StreamQueueReader(connection, address.exchange, timeout, position, epoch)

    try:
        return _retry_until_declared(address, open_on)
    except StreamRefused as exc:
        _warn_of_refusal(address, exc)
        return queue.open_reader(address, position, epoch)


def _retry_until_declared(address: BrokerAddress, open_on: Callable[[Any], T]) -> T:
    """Connect and open, again and again for :data:`DECLARE_TIMEOUT` seconds.

    While another process declares the same stream, the broker answers by an internal error, which
    ends the connection.
    """
    deadline = time.monotonic() + DECLARE_TIMEOUT
    while True:
        connection = connect(address)
        try:
            return open_on(connection)
        except (PreconditionFailed, InternalError):
            abort(connection)
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        except BaseException:
            abort(connection)
            raise


def name_log(exchange: str) -> str:
    """Return the name of the stream queue of an exchange."""
    return f"{exchange}.log"


def arguments_of(log_bytes: int | None) -> dict[str, Any]:
    """Return the arguments of the stream queue; ``log_bytes`` None is the default size."""
    if log_bytes is None:
        return dict(LOG_ARGUMENTS)
    default = LOG_ARGUMENTS["x-stream-max-segment-size-bytes"]
    return {
        **LOG_ARGUMENTS,
        "x-max-length-bytes": log_bytes,
        "x-stream-max-segment-size-bytes": min(default, log_bytes // SEGMENTS),
    }


def _open_log(connection: Any, address: BrokerAddress, timeout: float) -> str:
    """Declare exchange, stream and binding; see :func:`.stream_queue.declare`."""
    exchange, arguments = address.exchange, arguments_of(address.log_bytes)
    log = name_log(exchange)
    open_channel(connection, exchange).close()
    if not exists(connection, log):
        _declare_log(connection, exchange, arguments, timeout)
    difference = declare(connection, log, arguments)
    channel = connection.channel()
    try:
        channel.queue_bind(log, exchange)
    except AccessRefused as exc:
        # The process that declared the queue has bound it.
        return str(exc.reply_text)
    channel.close()
    return difference


def _declare_log(
    connection: Any, exchange: str, arguments: Mapping[str, Any], timeout: float
) -> None:
    """Declare the stream, and propose a new epoch for it.

    Processes that do so at once must all read the current epoch before they look for the stream:
    then only the first proposal counts.
    """
    log, epochs = name_log(exchange), Epochs(connection, exchange, timeout)
    missing = not exists(connection, log)
    if missing:
        declare(connection, log, arguments)
    if missing or not epochs.current:
        epochs.propose()
    epochs.close()


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
        return drain_until(self._connection, lambda: self._delivered is not None, POSITION_TIMEOUT)

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
        if drain_until(self._connection, lambda: bool(newest), EMPTY_LOG_TIMEOUT):
            await_first_delivery(channel)
        cancel(channel)
        return str(newest[-1]) if newest else ""


def _offset(message: Any) -> int:
    offset: int = message.headers[OFFSET]
    return offset


def _warn_of_arguments(address: BrokerAddress, difference: str) -> None:
    if difference and not _warned_of_arguments.is_set():
        _warned_of_arguments.set()
        logger.warning(
            "The event log's queue is used as it is (%s); delete the queue %s to have it "
            "declared with the arguments of this version and of wsprogress_log_bytes",
            difference,
            name_log(address.exchange),
        )


def _warn_of_refusal(address: BrokerAddress, refusal: StreamRefused) -> None:
    if not _warned_of_refusal.is_set():
        _warned_of_refusal.set()
        logger.warning(
            "The broker %s has no stream queues, so events are shown live only. This server knows "
            "nothing of earlier events (%s)",
            masked(address.url),
            refusal,
        )
