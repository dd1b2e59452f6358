"""Appends batches to the Redis stream, through kombu and :mod:`.exchange`."""

from __future__ import annotations

from typing import Any

from celery_wsprogress.brokers.connection import RAW_JSON, OwnedConnection, make_producer
from celery_wsprogress.brokers.redis.exchange import StreamExchange


class RedisWriter(OwnedConnection):
    """Appends to the stream. The reply to ``XADD`` confirms each batch."""

    def __init__(self, connection: Any, exchange: str, log_bytes: int | None) -> None:
        super().__init__(connection)
        channel = connection.channel()
        channel.exchange_types[StreamExchange.type].log_bytes = log_bytes
        self._producer = make_producer(channel, exchange, StreamExchange.type)

    def publish(self, batch: bytes, *, confirm: bool) -> None:  # noqa: ARG002
        """Append one batch; see :class:`celery_wsprogress.brokers.Writer`."""
        self._producer.publish(batch, **RAW_JSON)

    def keep_alive(self) -> None:
        """Do nothing: Redis has no heartbeats."""
