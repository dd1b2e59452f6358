"""Stream queues of RabbitMQ: declared if they do not exist, and consumed from an offset.

Used by :mod:`.stream` and :mod:`.epochs`. The functions take a ``kombu.Connection`` over py-amqp.
An existing queue is used whatever its arguments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from amqp.exceptions import (  # type: ignore[import-untyped]
    AccessRefused,
    InternalError,
    PreconditionFailed,
)

from celery_wsprogress.brokers.amqp.consumer import PREFETCH
from celery_wsprogress.brokers.amqp.topology import exists

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: An offset to begin at: a number, the oldest retained message, or the newest chunk.
Offset: TypeAlias = int | Literal["first", "last"]

#: The header with a message's offset, and the argument of a consumer.
OFFSET: Final = "x-stream-offset"

_STREAM: Final = {"x-queue-type": "stream"}
_TAG: Final = "celery_wsprogress"


class StreamRefused(Exception):
    """The broker makes no stream queue; the text is its own."""


def name_log(exchange: str) -> str:
    """Return the name of the stream queue of an exchange."""
    return f"{exchange}.log"


def declare(connection: Any, queue: str, arguments: Mapping[str, Any]) -> str:
    """Declare a stream queue, unless it exists.

    Returns:
        The difference between the existing queue and the arguments; ``""`` for none.

    Raises:
        StreamRefused: there is none, and the broker makes none. The connection may be lost.
    """
    channel = connection.channel()
    try:
        channel.queue_declare(
            queue,
            durable=True,
            exclusive=False,
            auto_delete=False,
            arguments={**_STREAM, **arguments},
        )
    except InternalError as exc:
        # Streams are a feature flag since RabbitMQ 3.9; other internal errors are temporary.
        if "feature flag" not in exc.reply_text:
            raise
        raise StreamRefused(exc.reply_text) from None
    except (PreconditionFailed, AccessRefused) as exc:
        # Before 3.9 the queue type itself is refused.
        if not exists(connection, queue):
            raise StreamRefused(exc.reply_text) from None
        return str(exc.reply_text)
    channel.close()
    return ""


def consume(connection: Any, queue: str, offset: Offset, callback: Callable[[Any], None]) -> Any:
    """Subscribe to a stream from an offset on.

    Returns:
        The subscription's own channel. Acknowledge the messages on it.

    Raises:
        PreconditionFailed, InternalError: also while another process declares the stream.
    """
    channel = connection.channel()
    # py-amqp would decode bodies to text.
    channel.auto_decode = False
    channel.basic_qos(0, PREFETCH, False)
    channel.basic_consume(queue, _TAG, callback=callback, arguments={OFFSET: offset})
    return channel


def cancel(channel: Any) -> None:
    """End a subscription, and close its channel."""
    channel.basic_cancel(_TAG)
    channel.close()


def await_first_delivery(channel: Any) -> None:
    """Wait until the messages that the stream held at the subscription are delivered.

    Call it after the first one. The broker sends up to :data:`PREFETCH` messages at once, and only
    then answers a request on the same channel.
    """
    channel.basic_qos(0, PREFETCH, False)
