"""The epoch of the log on RabbitMQ: a second stream, of a few words.

Nothing that the broker tells of a stream names its incarnation: deleted and made again, it
counts its messages from 0 as before. So the epochs have a tiny stream of their own, where
each message is a word and the word before it, ``"<before> <word>"``. A message counts only when
its first word is the current one. So whoever reads from the beginning finds the same current
word, and of several who propose a new one after the same old one, the first has it.

Whoever makes the log proposes a word, and so does a reader who finds its place beyond the log's
end.
"""

from __future__ import annotations

import secrets
from typing import Any, Final

from amqp.basic_message import Message  # type: ignore[import-untyped]

from celery_wsprogress.brokers import is_epoch
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

#: Seconds to wait for the end of an alarm with a proposal, which the broker takes only then: each
#: connection that is given up meanwhile stays there until it is over.
BLOCKED_RETRY_INTERVAL: Final = 60.0


def name_epochs(exchange: str) -> str:
    """The stream of the epochs, of the log of this exchange."""
    return f"{exchange}.epochs"


def next_epoch(current: str, message: bytes) -> str:
    """Return the epoch after a message of the stream; whatever it holds, it never raises."""
    before, _, word = message.decode(errors="replace").partition(" ")
    return word if before == current and is_epoch(word) else current


class Epochs:
    """Follows the stream of epochs on a connection of somebody else, who drains it.

    Args:
        connection: A ``kombu.Connection`` over py-amqp.
        exchange: Of which log.
        timeout: Seconds the first word may take to come, and a proposal to come back.

    Raises:
        StreamRefused: the broker makes no stream queue.
    """

    def __init__(self, connection: Any, exchange: str, timeout: float) -> None:
        self.word = ""
        """The current epoch; ``""`` before the first. Nothing is wrong where the first has only
        not come in time: what is proposed in its place does not count."""
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
        """Propose a new word, and follow the stream up to it; another one may be faster.

        Raises:
            TimeoutError: the proposal does not come back in time.
            BrokerBlocked: nor does an alarm of the broker end.
        """
        proposal = f"{self.word} {secrets.token_hex(4)}".encode()
        self._channel.basic_publish(Message(proposal), routing_key=self._stream)
        for seconds in (self._timeout, BLOCKED_RETRY_INTERVAL):
            if drain_until(self._connection, lambda: self._last_message == proposal, seconds):
                return
            if not self._blocked.active:
                raise TimeoutError("the broker has not delivered a new epoch in time")
        raise BrokerBlocked

    def close(self) -> None:
        """Follow no more."""
        cancel(self._channel)

    def _follow_to_the_end(self) -> None:
        """Ask the broker until nothing came before its answer: it sends only so many at once."""
        followed = None
        while followed is not self._last_message:
            followed = self._last_message
            await_first_delivery(self._channel)

    def _on_message(self, message: Any) -> None:
        message.channel.basic_ack(message.delivery_tag)
        self._last_message = body_of(message)
        self.word = next_epoch(self.word, self._last_message)
