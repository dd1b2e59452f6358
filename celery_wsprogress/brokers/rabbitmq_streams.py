"""Stream queues of RabbitMQ: declared if they are not there, and consumed from an offset.

The functions take a ``kombu.Connection`` over py-amqp. A queue that exists is used as it is,
whatever the arguments it was made with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from amqp.exceptions import (  # type: ignore[import-untyped]
    AccessRefused,
    InternalError,
    NotFound,
    PreconditionFailed,
)

from celery_wsprogress.brokers.amqp_inbox import PREFETCH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Where to begin: a number, at the oldest that is retained, or at the newest.
Offset: TypeAlias = int | Literal["first", "last"]

#: The header of a message that says where it stands.
OFFSET: Final = "x-stream-offset"

_STREAM: Final = {"x-queue-type": "stream"}


class StreamRefused(Exception):
    """The broker makes no stream queue for us; the sentence is its own."""


def exists(connection: Any, queue: str) -> bool:
    """Say whether there is a queue of this name, of whatever kind."""
    channel = connection.channel()
    try:
        channel.queue_declare(queue, passive=True)
    except NotFound:
        return False
    channel.close()
    return True


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
    """
    channel = connection.channel()
    # Otherwise the library makes text of what it can.
    channel.auto_decode = False
    channel.basic_qos(0, PREFETCH, False)
    channel.basic_consume(queue, callback=callback, arguments={OFFSET: offset})
    return channel


def catch_up(channel: Any) -> None:
    """Have all delivered that the stream held when it began to be delivered.

    The broker sends that in one go, before it answers anything else on the channel; so whoever
    has got the first of it asks for an answer.
    """
    channel.basic_qos(0, PREFETCH, False)
