"""The epoch of the log on RabbitMQ, kept in a second, tiny stream. Used by :mod:`.stream`.

RabbitMQ names no incarnation of a stream: a new stream of the same name counts its messages from 0
again. So each message of the second stream proposes an epoch, as ``"<previous> <new>"``. It counts
only if ``<previous>`` is the current epoch. So all readers find the same epoch, and the first of
several proposals wins.

The process that declares the log proposes an epoch; so does a reader whose position is beyond the
log's end.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from amqp.basic_message import Message  # type: ignore[import-untyped]

from celery_wsprogress.brokers.amqp.connection import BlockedState, drain_until
from celery_wsprogress.brokers.amqp.consumer import body_of
from celery_wsprogress.brokers.amqp.stream_queue import (
    await_first_delivery,
    cancel,
    consume,
    declare,
)
from celery_wsprogress.brokers.amqp.topology import exists
from celery_wsprogress.brokers.failure import BrokerBlocked
from celery_wsprogress.protocol.event_ids import is_epoch

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds to wait with a proposal for the end of an alarm: a connection that is given up stays open
#: at the broker until then (see :class:`.BrokerBlocked`).
BLOCKED_RETRY_INTERVAL: Final = 60.0


def name_epochs(exchange: str) -> str:
    """Return the name of the stream of epochs."""
    return f"{exchange}.epochs"


def next_epoch(current: str, message: bytes) -> str:
    """Return the epoch after a message of the stream. Never raises."""
    previous, _, proposed = message.decode(errors="replace").partition(" ")
    return proposed if previous == current and is_epoch(proposed) else current


class Epochs:
    """Follows the stream of epochs, on a connection that its owner drains.

    Args:
        connection: A ``kombu.Connection`` over py-amqp.
        exchange: The exchange of the log.
        timeout: Seconds to wait for the first epoch, and for a proposal to be delivered.

    Raises:
        StreamRefused: the broker makes no stream queue.
    """

    def __init__(self, connection: Any, exchange: str, timeout: float) -> None:
        self.current = ""
        """The current epoch; ``""`` before the first. If the first is only late, a proposal made
        after ``""`` does not count."""
        self._connection = connection
        self._stream = name_epochs(exchange)
        self._timeout = timeout
        self._last_message: bytes | None = None
        self._blocked = BlockedState(connection)
        is_new = not exists(connection, self._stream)
        declare(connection, self._stream, {})
        self._channel = consume(connection, self._stream, "first", self._on_message)
        if not is_new and drain_until(connection, lambda: self._last_message is not None, timeout):
            self._follow_to_the_end()

    def propose(self) -> None:
        """Propose an epoch, and follow the stream up to it; another proposal may win.

        Raises:
            TimeoutError: the proposal is not delivered in time.
            BrokerBlocked: an alarm of the broker does not end in time.
        """
        proposal = f"{self.current} {secrets.token_hex(4)}".encode()
        self._channel.basic_publish(Message(proposal), routing_key=self._stream)
        for seconds in (self._timeout, BLOCKED_RETRY_INTERVAL):
            if drain_until(self._connection, lambda: self._last_message == proposal, seconds):
                return
            if not self._blocked.active:
                raise TimeoutError("the broker has not delivered a new epoch in time")
        raise BrokerBlocked

    def await_delivery(self, unless: Callable[[], bool]) -> None:
        """Ask for the newest message again, and wait until it comes or ``unless`` holds.

        This stream is never empty: how long it takes is how slow the broker is now.
        """
        delivered: list[Any] = []
        channel = consume(self._connection, self._stream, "last", delivered.append)
        drain_until(self._connection, lambda: bool(delivered) or unless(), self._timeout)
        cancel(channel)

    def close(self) -> None:
        """Stop following the stream."""
        cancel(self._channel)

    def _follow_to_the_end(self) -> None:
        """Send requests until one is answered without messages before it (see :data:`PREFETCH`)."""
        followed = None
        while followed is not self._last_message:
            followed = self._last_message
            await_first_delivery(self._channel)

    def _on_message(self, message: Any) -> None:
        message.channel.basic_ack(message.delivery_tag)
        self._last_message = body_of(message)
        self.current = next_epoch(self.current, self._last_message)
