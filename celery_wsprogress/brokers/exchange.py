"""Writer and reader for kombu's transports besides Redis and AMQP, which keep no log.

The exchange passes the events to the sidecars that listen now. Where the transport has fanout, each
reader has a queue. Elsewhere (SQS and most HTTP services) a binding is known only to the process
that made it, so the writers and *one* sidecar share one queue of a fixed name. The reader restores
the order of the batches (:mod:`.batch_order`).
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from queue import Empty
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.brokers import MAX_BATCH_BYTES, LogEntry
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

#: Seconds between two polls of cheap transports, instead of kombu's one second.
POLLING: Final = {"memory": 0.02, "filesystem": 0.1}

#: Entries that one read returns at most.
READ_COUNT: Final = 300
#: Bytes after which a read takes no more messages.
MAX_READ_BYTES: Final = 8_000_000
#: Bytes of the largest message that is taken.
MAX_ENTRY_BYTES: Final = 4_000_000

#: Seconds after which a waiting read checks whether it was closed.
POLL_TIMEOUT: Final = 0.2


def open_writer(address: BrokerAddress) -> ExchangeWriter:
    """Connect a writer; see :func:`celery_wsprogress.brokers.open_writer`."""
    return ExchangeWriter(_connect(address), address.exchange)


def open_reader(address: BrokerAddress, position: str, epoch: str) -> ExchangeReader:  # noqa: ARG001
    """Connect a reader, in a new epoch; see :func:`celery_wsprogress.brokers.open_reader`."""
    return ExchangeReader(_connect(address), address.exchange)


def _connect(address: BrokerAddress) -> Any:
    options = dict(address.transport_options)
    scheme = address.url.partition("://")[0]
    if scheme in POLLING:
        options.setdefault("polling_interval", POLLING[scheme])
    # kombu 5.7, transport/sqlalchemy passes every option to SQLAlchemy's create_engine.
    options.pop("body_encoding", None)
    return connect(address, options)


def _open_channel(connection: Any, exchange: str, queue: str | None) -> Any:
    """Open a channel, and declare the exchange and, if one is named, a queue bound to it."""
    channel = connection.channel()
    # These transports make JSON of the message, which cannot hold bytes.
    channel.body_encoding = "base64"
    fanout = has_fanout(connection)
    channel.exchange_declare(exchange, "fanout" if fanout else "topic", durable=True)
    if queue:
        channel.queue_declare(queue, auto_delete=fanout)
        channel.queue_bind(queue, exchange, exchange)
    return channel


class ExchangeWriter(OwnedConnection):
    """Publishes to the exchange. Nothing but the return of the transport's call confirms it."""

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
    """Receives what is published while it is open. Positions count the batches it returned."""

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
        self._entries: list[LogEntry] = []
        self._size = 0
        self._warned = False
        self._own_queue = has_fanout(connection)
        self._queue = queue_name(exchange, self.epoch) if self._own_queue else exchange
        # Polling more often than the transport itself may cost money.
        self._poll_timeout = max(POLL_TIMEOUT, connection.transport.polling_interval or 0.0)
        try:
            self._channel = _open_channel(connection, exchange, self._queue)
            # The long polling of SQS, in seconds.
            self._polls_block = bool(getattr(self._channel, "wait_time_seconds", 0))
            # With acknowledgements: `no_ack` of kombu 5.7's SQS deletes messages through an event
            # loop, which only a worker has.
            self._channel.basic_consume(self._queue, False, self._on_message, self.epoch)
        except BaseException:
            release(connection)
            raise

    def read(self, position: str, *, wait: float) -> Sequence[LogEntry]:  # noqa: ARG002
        """Return what arrived, whatever the position; see :class:`..brokers.Reader`."""
        with self._reading:
            try:
                self._receive(wait)
            except Exception:
                # The broker does not deliver these again.
                self._append(self._order.release_all())
                if self._closed or not self._entries:
                    raise
            finally:
                if self._closed:
                    self._release()
            arrived, self._entries, self._size = self._entries, [], 0
            return arrived

    def close(self) -> None:
        """End a waiting read within :data:`POLL_TIMEOUT`, and close the connection."""
        self._closed = True
        if self._reading.acquire(blocking=False):
            try:
                self._release()
            finally:
                self._reading.release()

    def _release(self) -> None:
        if self._own_queue:
            # Not every transport deletes queues and bindings by itself.
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
        # Where a poll blocks at the broker, another one would delay what has arrived.
        while not self._polls_block and self._has_room() and self._poll(0.0):
            pass

    def _has_room(self) -> bool:
        """Return whether to take another message now, instead of leaving it at the broker."""
        return len(self._entries) < READ_COUNT and self._size < MAX_READ_BYTES

    def _poll(self, timeout: float) -> bool:
        """Take what has arrived, or wait for it; return whether something has."""
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
            self._entries.append(LogEntry(str(self._count), batch))

    def _warn_of_size(self, size: int) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(
                "A message of %s has %d bytes and is left out; a batch has %d at most",
                self._exchange,
                size,
                MAX_BATCH_BYTES,
            )
