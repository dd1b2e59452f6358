"""The log on RabbitMQ: a durable fanout exchange, bound to one stream queue.

Opened by :mod:`celery_wsprogress.brokers`, and read by :mod:`.stream_reader`. The stream is capped
by age and bytes, because it takes disk from the user's queues. Writers declare it, too: a message
without a queue is lost.

Where the broker makes no streams, each sidecar has a queue instead (:mod:`.queue`).
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from amqp.exceptions import (  # type: ignore[import-untyped]
    AccessRefused,
    InternalError,
    PreconditionFailed,
)

from celery_wsprogress.brokers.amqp import queue
from celery_wsprogress.brokers.amqp.connection import abort, connect
from celery_wsprogress.brokers.amqp.epochs import Epochs
from celery_wsprogress.brokers.amqp.stream_queue import StreamRefused, declare, name_log
from celery_wsprogress.brokers.amqp.stream_reader import StreamQueueReader
from celery_wsprogress.brokers.amqp.topology import exists, open_channel
from celery_wsprogress.brokers.amqp.writer import ConfirmingWriter
from celery_wsprogress.brokers.connection import bounded
from celery_wsprogress.urls import masked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from celery_wsprogress.brokers import BrokerAddress, Reader

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
