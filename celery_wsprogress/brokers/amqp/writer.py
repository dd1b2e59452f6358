"""The writer on AMQP, with the broker's confirmation for what must not be lost.

Opened by :mod:`.stream`. All batches use one channel: two would not keep the order
(https://www.rabbitmq.com/docs/semantics).
"""

from __future__ import annotations

from typing import Any, Final

from amqp.exceptions import MessageNacked  # type: ignore[import-untyped]

from celery_wsprogress.brokers.amqp.connection import (
    BlockedState,
    abort,
    close_gracefully,
    drain_one,
    drain_until,
    heartbeat_tick,
)
from celery_wsprogress.brokers.amqp.topology import open_channel
from celery_wsprogress.brokers.connection import RAW_JSON, OwnedConnection, make_producer
from celery_wsprogress.brokers.failure import BrokerBlocked

_PERSISTENT: Final = 2
_TRANSIENT: Final = 1


class ConfirmingWriter(OwnedConnection):
    """Publishes to the exchange. Batches that need confirmation are persistent.

    Args:
        connection: Owned by the writer from now on.
        exchange: The exchange of the events.
        timeout: Seconds that one write and one confirmation may take.
        mandatory: Whether a batch must reach a queue. Without one, :meth:`publish` raises;
            otherwise the broker would confirm a batch that it dropped.
    """

    def __init__(self, connection: Any, exchange: str, timeout: float, *, mandatory: bool) -> None:
        self._timeout = timeout
        self._mandatory = mandatory
        super().__init__(connection)
        self._published = 0
        self._awaited = 0
        self._healthy = True
        try:
            self._blocked = BlockedState(connection)
            self._producer = self._open(exchange)
        except BaseException:
            abort(connection)
            raise

    def publish(self, batch: bytes, *, confirm: bool) -> None:
        """Append one batch; see :class:`celery_wsprogress.brokers.Writer`.

        Raises ``TimeoutError`` if the broker does not confirm in time, and
        :class:`.failure.BrokerBlocked` while it accepts nothing: keep this writer then.
        """
        self._take_confirmations()
        self._producer.publish(
            batch,
            delivery_mode=_PERSISTENT if confirm else _TRANSIENT,
            mandatory=self._mandatory,
            timeout=self._timeout,
            **RAW_JSON,
        )
        self._published += 1
        if confirm:
            self._wait_for(self._published)
        self._healthy = True

    def keep_alive(self) -> None:
        """Process what the broker sent, and send a heartbeat if one is due."""
        self._take_confirmations()
        self._healthy = True

    def _disconnect(self) -> None:
        if self._healthy:
            close_gracefully(self._connection)
        else:
            abort(self._connection)

    def _take_confirmations(self) -> None:
        self._healthy = False
        while drain_one(self._connection, 0):
            pass
        heartbeat_tick(self._connection)
        if self._blocked.active:
            raise BrokerBlocked

    def _open(self, exchange: str) -> Any:
        channel = open_channel(self._connection, exchange)
        channel.confirm_select()
        channel.events["basic_ack"].add(self._on_ack)
        channel.events["basic_nack"].add(self._on_nack)
        return make_producer(channel, exchange, "fanout", declare=False)

    def _wait_for(self, tag: int) -> None:
        """Wait for a message's confirmation; earlier confirmations are ignored."""
        self._awaited = tag
        drain_until(
            self._connection, lambda: not self._awaited or self._blocked.active, self._timeout
        )
        if self._awaited and self._blocked.active:
            raise BrokerBlocked
        if self._awaited:
            raise TimeoutError("the broker has not confirmed a batch in time")

    def _on_ack(self, tag: int, multiple: bool) -> None:
        if tag == self._awaited or (multiple and tag > self._awaited):
            self._awaited = 0

    def _on_nack(self, tag: int, multiple: bool) -> None:
        if self._awaited and (tag == self._awaited or (multiple and tag > self._awaited)):
            raise MessageNacked
