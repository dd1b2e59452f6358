"""Stream queues of RabbitMQ: declared if they are not there, and consumed from an offset.

The functions take a ``kombu.Connection`` over py-amqp. A queue that exists is used as it is,
whatever the arguments it was made with.
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

#: Where to begin: a number, at the oldest that is retained, or at the newest.
Offset: TypeAlias = int | Literal["first", "last"]

#: The header of a message that says where it stands.
OFFSET: Final = "x-stream-offset"

_STREAM: Final = {"x-queue-type": "stream"}
_TAG: Final = "celery_wsprogress"


class StreamRefused(Exception):
    """The broker makes no stream queue for us; the sentence is its own."""


def declare(connection: Any, queue: str, arguments: Mapping[str, Any]) -> str:
    """Have a stream queue exist.

    Returns:
        Why the queue that exists is another one than was asked for; ``""`` when it is not.

    Raises:
        StreamRefused: there is none, and the broker makes none. Its connection may be gone.
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
        # From 3.9 streams may be switched off; other internal errors are the moment's.
        if "feature flag" not in exc.reply_text:
            raise
        raise StreamRefused(exc.reply_text) from None
    except (PreconditionFailed, AccessRefused) as exc:
        # Before 3.9 it is the type that is the wrong argument.
        if not exists(connection, queue):
            raise StreamRefused(exc.reply_text) from None
        return str(exc.reply_text)
    channel.close()
    return ""


def consume(connection: Any, queue: str, offset: Offset, callback: Callable[[Any], None]) -> Any:
    """Have a stream's messages delivered from an offset on.

    Returns:
        The channel, which carries nothing else. The messages are to be acknowledged on it.

    Raises:
        PreconditionFailed, InternalError: also where somebody else is making it just now.
    """
    channel = connection.channel()
    # Otherwise the library makes text of what it can.
    channel.auto_decode = False
    channel.basic_qos(0, PREFETCH, False)
    channel.basic_consume(queue, _TAG, callback=callback, arguments={OFFSET: offset})
    return channel


def cancel(channel: Any) -> None:
    """Have nothing more delivered, and close the channel."""
    channel.basic_cancel(_TAG)
    channel.close()


def await_first_delivery(channel: Any) -> None:
    """Have what the stream held when it began to be delivered come, after the first of it.

    The broker sends in one go what it may send unacknowledged, and then answers what it is asked
    on the same channel.
    """
    channel.basic_qos(0, PREFETCH, False)
