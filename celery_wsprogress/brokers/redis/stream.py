"""The log on Redis: the exchange keeps a stream.

Writers publish through kombu to an exchange of a type of ours, whose delivery is one ``XADD``
to the stream of the exchange's name (:mod:`.exchange`). It is capped by the writers, by what
it takes of the server's memory, and by age by the readers, because it lives beside the user's
queues. It expires when nobody writes or reads it any more.

TLS, credentials, sentinels and unix sockets come with kombu's connection. The key prefix
(``global_keyprefix``) does not: kombu puts it on the commands it knows, and a stream's are not
among them, so it is put on here and kombu's own prefixing is left out.

The epoch is a random word beside the stream, in the key ``<stream>.epoch``: the same for every
reader, gone when the server lost its data, and replaced by the first reader that finds the
log's end behind the position it had. Writers put it there, and readers where they may: a reader
of a server that lets it write nothing (its rights, a replica, no memory left) reads all the same.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from typing import TYPE_CHECKING, Any, Final

import redis
from kombu.connection import Connection
from kombu.transport import redis as kombu_redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from celery_wsprogress.brokers import MAX_BATCH_BYTES, MAX_EPOCH_LENGTH, Entry, is_epoch
from celery_wsprogress.brokers.connection import RAW_JSON, bounded, connect, make_producer, release
from celery_wsprogress.brokers.failure import said_of
from celery_wsprogress.brokers.redis.exchange import (
    FIELD,
    LIFE,
    MAINTENANCE_INTERVAL,
    MAX_AGE,
    StreamExchange,
    new_epoch,
)
from celery_wsprogress.brokers.redis.memory import read_memory, warn
from celery_wsprogress.brokers.redis.reply import Cut, ask, read_entries, take_connection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celery_wsprogress.brokers import BrokerAddress

logger = logging.getLogger(__name__)

#: Entries that come in one reply, at the most.
READ_COUNT: Final = 300

#: Entries of the first reply: nobody knows yet how large they are.
FIRST_COUNT: Final = 10

#: The epoch of a log beside which there is none, where a reader may not put one there.
NO_EPOCH: Final = "0"

START: Final = "0-0"


class _StreamChannel:
    """What makes kombu's channels know the exchange type."""

    exchange_types: Final = {
        **kombu_redis.Channel.exchange_types,
        StreamExchange.type: StreamExchange,
    }
    #: Bytes stay bytes: base64 is for exchanges that make JSON of the whole message.
    body_encoding = None

    def _get_client(self) -> type[redis.Redis]:
        # In place of kombu's client that puts the prefix on some commands.
        return redis.Redis


class _Channel(_StreamChannel, kombu_redis.Channel):  # type: ignore[misc]
    pass


class _SentinelChannel(_StreamChannel, kombu_redis.SentinelChannel):  # type: ignore[misc]
    pass


class _Connection(Connection):
    """Gives kombu's own transports our channels, also after a switch to another URL."""

    def create_transport(self) -> Any:
        transport: Any = super().create_transport()  # type: ignore[no-untyped-call]
        sentinel = isinstance(transport, kombu_redis.SentinelTransport)
        transport.Channel = _SentinelChannel if sentinel else _Channel
        return transport


def open_writer(address: BrokerAddress) -> StreamWriter:
    """Connect a writer; see :func:`celery_wsprogress.brokers.open_writer`."""
    return StreamWriter(_connect(address), address.exchange, address.log_bytes)


def open_reader(address: BrokerAddress, position: str, epoch: str) -> StreamReader:
    """Connect a reader; see :func:`celery_wsprogress.brokers.open_reader`."""
    return StreamReader(_connect(address), address.exchange, position, epoch, address.log_bytes)


def _connect(address: BrokerAddress) -> Any:
    options = dict(address.transport_options)
    for name in ("socket_timeout", "socket_connect_timeout"):
        options[name] = bounded(options, name)
    # A command that is sent again may be carried out twice: that is the caller's decision.
    options["retry_on_timeout"] = False
    options.pop("body_encoding", None)
    # A sentinel that is down would be tried ten times before the next one is asked.
    options["sentinel_kwargs"] = {
        "socket_timeout": options["socket_timeout"],
        "socket_connect_timeout": options["socket_connect_timeout"],
        "retry": Retry(NoBackoff(), 0),
        **(options.get("sentinel_kwargs") or {}),
    }
    return connect(address, options, connection_class=_Connection)


class StreamWriter:
    """Appends to the stream. The reply to ``XADD`` is the confirmation, so each batch has it."""

    def __init__(self, connection: Any, exchange: str, log_bytes: int | None) -> None:
        self._connection = connection
        self._process = os.getpid()
        channel = connection.channel()
        channel.exchange_types[StreamExchange.type].log_bytes = log_bytes
        self._producer = make_producer(channel, exchange, StreamExchange.type)

    def publish(self, batch: bytes, *, confirm: bool) -> None:  # noqa: ARG002
        """Append one batch."""
        self._producer.publish(batch, **RAW_JSON)

    def keep_alive(self) -> None:
        """Do nothing: Redis has no heartbeats."""

    def close(self) -> None:
        """Let go of the connection, unless it is that of the process this one was forked of."""
        if os.getpid() == self._process:
            release(self._connection)


class StreamReader:
    """Reads the stream by position. Its one connection is never renewed behind its back."""

    replayable = True

    def __init__(
        self,
        connection: Any,
        exchange: str,
        position: str,
        epoch: str,
        log_bytes: int | None = None,
    ) -> None:
        self._connection = connection
        self._count = min(FIRST_COUNT, READ_COUNT)
        self._warned = False
        self._word = ""
        """The epoch as it stands beside the stream."""
        try:
            channel = connection.channel()
            self._client: Any = channel.client
            self._stream = channel.global_keyprefix + exchange
            self._epoch_key = f"{self._stream}.epoch"
            # A reply to a blocking command must come before the socket gives up.
            self._longest_wait = channel.socket_timeout / 2
            _refuse_reconnects(self._client.connection_pool)
            self.epoch = self._find_epoch(position, epoch)
            self.end = self._newest()
            with contextlib.suppress(redis.ResponseError):
                warn(log_bytes, read_memory(self._ask("INFO", "memory")), self._stream)
        except BaseException:
            release(connection)
            raise
        self._next_round = 0.0

    def read(self, position: str, *, wait: float) -> Sequence[Entry]:
        """Return what comes after a position; see :class:`celery_wsprogress.brokers.Reader`.

        Raises ``redis.ConnectionError`` also when another reader found a new log.
        """
        deadline = time.monotonic() + wait
        while True:
            self._run_maintenance()
            left = max(deadline - time.monotonic(), 0.0)
            entries = self._read(position or START, min(left, self._longest_wait))
            if entries or time.monotonic() >= deadline:
                return entries

    def close(self) -> None:
        """Close the socket under whoever reads: that read ends at once."""
        release(self._connection)

    def _read(self, position: str, wait: float) -> list[Entry]:
        # To Redis, BLOCK 0 is for ever.
        block = max(int(wait * 1000), 1)
        reply = self._ask(
            "XREAD", "COUNT", self._count, "BLOCK", block, "STREAMS", self._stream, position
        )
        found, whole = read_entries(reply[0][1] if reply else ())
        if not whole:
            # What is left out is sent again, so fewer are asked for.
            self._count = len(found)
        elif len(found) == self._count:
            self._count = min(self._count * 2, READ_COUNT)
        return [
            # The server numbers entries by its clock, in milliseconds.
            Entry(entry_id, self._batch_of(entry_id, fields), int(entry_id.partition("-")[0]) / 1e3)
            for entry_id, fields in found
        ]

    def _batch_of(self, entry_id: str, fields: Any) -> bytes:
        batch = fields.get(FIELD, b"")
        if not isinstance(batch, Cut):
            return batch or b""
        if not self._warned:
            self._warned = True
            logger.warning(
                "An entry of %s has %d bytes and is left out (%s); a batch has %d at the most",
                self._stream, batch.size, entry_id, MAX_BATCH_BYTES,
            )  # fmt: skip
        return b""

    def _ask(self, command: str, *words: Any) -> Any:
        with said_of(command, self._stream):
            return ask(self._client.connection_pool, command, *words)

    def _run_maintenance(self) -> None:
        if time.monotonic() < self._next_round:
            return
        self._next_round = time.monotonic() + MAINTENANCE_INTERVAL
        # Trimming is housekeeping: a server that knows no MINID (before 6.2), or does not let us,
        # still bounds the stream by the writers' MAXLEN.
        with contextlib.suppress(redis.ResponseError):
            # The server's clock is the one the entries were numbered by.
            seconds, _ = self._client.time()
            self._client.xtrim(self._stream, minid=(seconds - MAX_AGE) * 1000, approximate=True)
        with contextlib.suppress(redis.ResponseError):
            # As long as somebody reads, it is the entries that go, and not the log.
            self._client.expire(self._stream, LIFE)
            self._client.expire(self._epoch_key, LIFE)
        if self._get_or_create_epoch(self._word or new_epoch()) != self._word:
            raise redis.ConnectionError("another reader found a new event log")

    def _find_epoch(self, position: str, epoch: str) -> str:
        self._word = self._get_or_create_epoch(new_epoch())
        lost = bool(position) and self._end() < _number(position)
        # Where the epoch is another one already, the loss has been noticed before.
        if not lost or (self._word or NO_EPOCH) != (epoch or self._word or NO_EPOCH):
            return self._word or NO_EPOCH
        replaced = self._replace_epoch(self._word)
        if replaced != self._word:
            self._word = replaced
            return replaced
        # Nobody lets us say so to the others: this reader knows it all the same.
        return new_epoch()

    def _get_or_create_epoch(self, proposed: str) -> str:
        """The word beside the stream; ``""`` where there is none and we may not put one there."""
        found = self._read_epoch()
        if found == "":
            with contextlib.suppress(redis.ResponseError):
                name_epoch(self._client, self._epoch_key, proposed)
            found = self._read_epoch()
        if found is None:
            logger.warning(
                "The key %s holds something that names no event log: it is replaced, and histories "
                "begin anew", self._epoch_key,
            )  # fmt: skip
            found = self._replace_epoch(None)
        return found

    def _read_epoch(self, client: Any = None) -> str | None:
        """The word beside the stream; ``""`` where there is none, None where it is no epoch."""
        with said_of("GETRANGE", self._epoch_key):
            try:
                # Not all of it: it may be anything that somebody put there.
                found = (client or self._client).getrange(self._epoch_key, 0, MAX_EPOCH_LENGTH)
            except redis.ResponseError as exc:
                if "WRONGTYPE" in str(exc):
                    return None
                raise
        word = found.decode(errors="replace") if isinstance(found, bytes) else str(found)
        return word if not word or is_epoch(word) else None

    def _replace_epoch(self, lost: str | None) -> str:
        """Put a new word in the place of the old one, unless somebody was faster.

        Returns:
            What is there now; ``""`` where that is still no epoch.
        """

        def replace(pipe: Any) -> None:
            # Before the transaction begins: the key is watched by now.
            found = self._read_epoch(pipe)
            pipe.multi()
            if found == lost:
                pipe.set(self._epoch_key, new_epoch(), ex=LIFE)

        with contextlib.suppress(redis.ResponseError):
            self._client.transaction(replace, self._epoch_key)
        return self._read_epoch() or ""

    def _newest(self) -> str:
        """The newest entry that is retained; the stream may be trimmed to nothing."""
        reply = self._ask("XREVRANGE", self._stream, "+", "-", "COUNT", 1)
        return reply[0][0].decode() if reply else ""

    def _end(self) -> tuple[int, int]:
        """The newest entry there ever was."""
        try:
            reply = self._ask("XINFO", "STREAM", self._stream)
        except redis.ResponseError as exc:
            if "no such key" not in str(exc):
                raise
            return (0, 0)
        # A list of names and values, or of pairs of them.
        flat = reply if isinstance(reply[0], bytes) else [one for pair in reply for one in pair]
        end: bytes = flat[flat.index(b"last-generated-id") + 1]
        return _number(end.decode())


def name_epoch(client: Any, key: str, word: str) -> None:
    """Put an epoch beside the stream where there is none."""
    client.set(key, word, nx=True, ex=LIFE)


def _refuse_reconnects(pool: Any) -> None:
    """Make the pool's connection its only one, for good.

    Redis's client renews a connection that it finds closed without saying so. After a restart of
    the server a reader would go on in a log that may not be the one it knew.
    """
    pool.connection_kwargs["redis_connect_func"] = _refuse
    connection = take_connection(pool)
    connection.redis_connect_func = _refuse
    pool.release(connection)


def _refuse(_: Any) -> None:
    raise redis.ConnectionError("the connection to Redis is closed")


def _number(position: str) -> tuple[int, int]:
    """A stream id as something that can be compared."""
    milliseconds, _, counter = position.partition("-")
    return int(milliseconds), int(counter or 0)
