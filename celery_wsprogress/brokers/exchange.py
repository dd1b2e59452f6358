"""No log: the exchange passes the events on to the sidecars that listen now.

For everything kombu speaks besides Redis and AMQP. Where the transport has fanout, each reader
has a queue of its own. Where it has not (SQS and most of the HTTP services), bindings are
known only to the process that made them, so writers and *one* sidecar share one queue by its
fixed name. Not all of them keep the order; the reader restores it (:mod:`.batch_order`).
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from queue import Empty
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.brokers import MAX_BATCH_BYTES, Entry
from celery_wsprogress.brokers.batch_order import BatchOrder
from celery_wsprogress.brokers.connection import (
    RAW_JSON,
    OwnedConnection,
    connect,
    has_fanout,
    make_producer,
    queue_name,
    release,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from celery_wsprogress.brokers import BrokerAddress

logger = logging.getLogger(__name__)

#: Seconds between two looks, for transports where a look costs next to nothing. kombu's own
#: interval is a second.
POLLING: Final = {"memory": 0.02, "filesystem": 0.1}

#: The most one read returns.
READ_COUNT: Final = 300
#: Bytes after which no more messages are taken at once.
MAX_READ_BYTES: Final = 8_000_000
#: Bytes of the largest message that is taken. Batches of ours have 32 KB at the most.
MAX_ENTRY_BYTES: Final = 4_000_000

#: Seconds after which a waiting read looks whether it was closed meanwhile.
POLL_TIMEOUT: Final = 0.2


def open_writer(address: BrokerAddress) -> ExchangeWriter:
    """Connect a writer; see :func:`celery_wsprogress.brokers.open_writer`."""
    return ExchangeWriter(_connect(address), address.exchange)


def open_reader(address: BrokerAddress, position: str, epoch: str) -> ExchangeReader:  # noqa: ARG001
    """Connect a reader; see :func:`celery_wsprogress.brokers.open_reader`.

    Nothing is kept: each reader begins a new epoch, now.
    """
    return ExchangeReader(_connect(address), address.exchange)


def _connect(address: BrokerAddress) -> Any:
    options = dict(address.transport_options)
    scheme = address.url.partition("://")[0]
    if scheme in POLLING:
        options.setdefault("polling_interval", POLLING[scheme])
    # Not every transport passes over an option that it does not know (kombu 5.7,
    # transport/sqlalchemy: all of them go to SQLAlchemy's create_engine).
    options.pop("body_encoding", None)
    return connect(address, options)


def _open_channel(connection: Any, exchange: str, queue: str | None) -> Any:
    """Open a channel on which the exchange exists and, if one is named, a queue bound to it."""
    channel = connection.channel()
    # These transports make JSON of the message, in which bytes have no place.
    channel.body_encoding = "base64"
    fanout = has_fanout(connection)
    channel.exchange_declare(exchange, "fanout" if fanout else "topic", durable=True)
    if queue:
        channel.queue_declare(queue, auto_delete=fanout)
        channel.queue_bind(queue, exchange, exchange)
    return channel


class ExchangeWriter(OwnedConnection):
    """Publishes to the exchange; the transport's own call is all the confirmation there is."""

    def __init__(self, connection: Any, exchange: str) -> None:
        super().__init__(connection)
        self._exchange = exchange
        fanout = has_fanout(connection)
        try:
            channel = _open_channel(connection, exchange, None if fanout else exchange)
            kind = "fanout" if fanout else "topic"
            self._producer = make_producer(channel, exchange, kind, declare=False)
        except BaseException:
            release(connection)
            raise

    def publish(self, batch: bytes, *, confirm: bool) -> None:  # noqa: ARG002
        """Append one batch."""
        self._producer.publish(batch, routing_key=self._exchange, **RAW_JSON)

    def keep_alive(self) -> None:
        """Do nothing: these transports have no heartbeats."""


class ExchangeReader:
    """Listens. Bodies are handed on as they came; kombu decodes nothing of them."""

    # Positions are given when a batch is handed on: they say in which order that was.

    replayable = False
    end = ""

    def __init__(self, connection: Any, exchange: str) -> None:
        self._exchange = exchange
        self.epoch = secrets.token_hex(4)
        self._connection = connection
        self._reading = threading.Lock()
        self._closed = False
        self._count = 0
        self._order = BatchOrder()
        self._entries: list[Entry] = []
        self._size = 0
        self._warned = False
        self._own_queue = has_fanout(connection)
        self._queue = queue_name(exchange, self.epoch) if self._own_queue else exchange
        # Looking more often than the transport does by itself may cost money.
        self._poll_timeout = max(POLL_TIMEOUT, connection.transport.polling_interval or 0.0)
        try:
            self._channel = _open_channel(connection, exchange, self._queue)
            # SQS and the like, in seconds.
            self._polls_block = bool(getattr(self._channel, "wait_time_seconds", 0))
            # Acknowledged: kombu 5.7's SQS cannot take messages without (its `no_ack` deletes them
            # through an event loop, which only a worker has).
            self._channel.basic_consume(self._queue, False, self._on_message, self.epoch)
        except BaseException:
            release(connection)
            raise

    def read(self, position: str, *, wait: float) -> Sequence[Entry]:  # noqa: ARG002
        """Return what arrived; see :class:`celery_wsprogress.brokers.Reader`.

        Nothing passed comes again: the position is not looked at.
        """
        with self._reading:
            try:
                self._receive(wait)
            except Exception:
                # What came before that has left the broker.
                self._append(self._order.release_all())
                if self._closed or not self._entries:
                    raise
            finally:
                if self._closed:
                    self._release()
            arrived, self._entries, self._size = self._entries, [], 0
            return arrived

    def close(self) -> None:
        """End a waiting read, at its next look, and let go."""
        self._closed = True
        if self._reading.acquire(blocking=False):
            try:
                self._release()
            finally:
                self._reading.release()

    def _release(self) -> None:
        if self._own_queue:
            # It would go on filling: not every transport deletes queues and bindings by itself.
            with contextlib.suppress(Exception):
                self._channel.queue_delete(self._queue)
                self._channel.queue_unbind(self._queue, self._exchange, self._exchange)
        release(self._connection)

    def _receive(self, wait: float) -> None:
        deadline = time.monotonic() + wait
        while not self._entries:
            if self._closed:
                raise ConnectionError("the reader is closed")
            left = deadline - time.monotonic()
            self._poll(max(min(left, self._poll_timeout), 0.0))
            if left <= 0:
                return
        # Where each look waits at the other end, another one would keep from everybody what came.
        while not self._polls_block and self._has_room() and self._poll(0.0):
            pass

    def _has_room(self) -> bool:
        """What is not taken now waits at the broker."""
        return len(self._entries) < READ_COUNT and self._size < MAX_READ_BYTES

    def _poll(self, timeout: float) -> bool:
        """Take what has come, or wait for it; whether something has."""
        found = self._drain(timeout)
        self._append(self._order.release_overdue(time.monotonic(), quiet=not found))
        return found

    def _drain(self, timeout: float) -> bool:
        try:
            self._connection.drain_events(timeout=timeout)
        except (TimeoutError, Empty):
            return False
        return True

    def _on_message(self, message: Any) -> None:
        body = message.body
        batch = body.encode() if isinstance(body, str) else bytes(body or b"")
        if len(batch) > MAX_ENTRY_BYTES:
            self._warn_of_size(len(batch))
            batch = b""
        self._size += len(batch)
        self._append(self._order.add(batch, time.monotonic()))
        message.ack()

    def _append(self, batches: Iterable[bytes]) -> None:
        for batch in batches:
            self._count += 1
            self._entries.append(Entry(str(self._count), batch))

    def _warn_of_size(self, size: int) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(
                "A message of %s has %d bytes and is left out; a batch has %d at the most",
                self._exchange,
                size,
                MAX_BATCH_BYTES,
            )
