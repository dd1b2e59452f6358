"""The log on Redis: the exchange keeps a stream.

Writers publish through kombu to an exchange of a type of ours, whose delivery is one ``XADD``
to the stream of the exchange's name. It is capped by the writers, to as many entries as take
:data:`MAX_BYTES` if all are as large as theirs, and by age by the readers, because it lives
beside the user's queues.

TLS, credentials, sentinels and unix sockets come with kombu's connection. The key prefix
(``global_keyprefix``) does not: kombu puts it on the commands it knows, and a stream's are not
among them, so it is put on here and kombu's own prefixing is left out.

The epoch is a random word beside the stream, in the key ``<stream>.epoch``: the same for every
reader, gone when the server lost its data, and replaced by the first reader that finds the
log's end behind the position it had.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import secrets
import time
from typing import TYPE_CHECKING, Any, Final

import redis
from kombu.connection import Connection
from kombu.transport import redis as kombu_redis
from kombu.transport.virtual.exchange import ExchangeType
from redis.backoff import NoBackoff
from redis.retry import Retry

from celery_wsprogress.brokers import MAX_BATCH_BYTES, Entry
from celery_wsprogress.brokers.connection import RAW_JSON, bounded, connect, make_producer, release

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celery_wsprogress.brokers import BrokerAddress

#: Bytes of batches the stream keeps at the most, for which the server takes up to 130 MB. The
#: writer with the largest batches cuts it for all. When batches become small, the large ones are
#: still there until they have been replaced: that may be twice as much.
MAX_BYTES: Final = 100_000_000
#: The fewest entries it may be cut to: with the largest batches they are as many bytes.
MIN_ENTRIES: Final = MAX_BYTES // MAX_BATCH_BYTES
#: The most entries it keeps, however small they are.
MAX_ENTRIES: Final = 100_000
#: How many batches count for what a writer's batches are like lately.
LATELY: Final = 100
#: Seconds after which an entry is dropped, more or less.
MAX_AGE: Final = 86_400
#: Seconds between a reader's rounds: dropping what is old, looking whether the log is the same.
ROUND: Final = 60.0
#: Entries that come in one reply: 10 MB at the most.
READ_COUNT: Final = 300

START: Final = "0-0"
FIELD: Final = b"batch"


def entries_of(size: float) -> int:
    """Return how many entries a stream of batches of so many bytes may keep."""
    return min(max(int(MAX_BYTES / max(size, 1)), MIN_ENTRIES), MAX_ENTRIES)


class StreamExchange(ExchangeType):
    """An exchange that appends its messages to a stream, and knows no queues."""

    type: Any = "stream"
    _size = 0.0
    """Of a batch that passed here lately, in bytes: a decaying average."""
    _connection: Any = None
    """Of the channel's client, kept: to take it out of the pool and put it back, and all else that
    the client does around a command, would cost a worker's flusher more than the command."""

    def deliver(self, message: Any, exchange: str, _routing_key: str, **_: Any) -> None:
        """Append the body, as the bytes it is; properties and headers are not kept."""
        batch: bytes = message["body"]
        self._size += (len(batch) - self._size) / (LATELY if self._size else 1)
        if self._connection is None:
            self._connection = take_connection(self.channel.client.connection_pool)
        stream, most = self.channel.global_keyprefix + exchange, entries_of(self._size)
        self._connection.send_command("XADD", stream, "MAXLEN", "~", most, "*", FIELD, batch)
        self._connection.read_response()


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
    return StreamWriter(_connect(address), address.exchange)


def open_reader(address: BrokerAddress, position: str, epoch: str) -> StreamReader:
    """Connect a reader; see :func:`celery_wsprogress.brokers.open_reader`."""
    return StreamReader(_connect(address), address.exchange, position, epoch)


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

    def __init__(self, connection: Any, exchange: str) -> None:
        self._connection = connection
        self._process = os.getpid()
        self._producer = make_producer(connection.channel(), exchange, StreamExchange.type)

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

    def __init__(self, connection: Any, exchange: str, position: str, epoch: str) -> None:
        self._connection = connection
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
            self._make_round()
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
        reply = self._client.xread({self._stream: position}, count=READ_COUNT, block=block)
        return [
            Entry(entry_id.decode(), fields.get(FIELD, b""))
            for entry_id, fields in (reply[0][1] if reply else ())
        ]

    def _make_round(self) -> None:
        if time.monotonic() < self._next_round:
            return
        self._next_round = time.monotonic() + ROUND
        # Trimming is housekeeping: a server that knows no MINID (before 6.2), or does not let us,
        # still bounds the stream by the writers' MAXLEN.
        with contextlib.suppress(redis.ResponseError):
            # The server's clock is the one the entries were numbered by.
            seconds, _ = self._client.time()
            self._client.xtrim(self._stream, minid=(seconds - MAX_AGE) * 1000, approximate=True)
        if self._agreed_epoch(self.epoch) != self.epoch:
            raise redis.ConnectionError("another reader found a new event log")

    def _find_epoch(self, position: str, epoch: str) -> str:
        found = self._agreed_epoch(_new_epoch())
        lost = bool(position) and self._end() < _number(position)
        # Where the epoch is another one already, the loss has been noticed before.
        return self._replace_epoch(found) if lost and found == (epoch or found) else found

    def _agreed_epoch(self, proposed: str) -> str:
        self._client.set(self._epoch_key, proposed, nx=True)
        found: bytes | None = self._client.get(self._epoch_key)
        return found.decode() if found else proposed

    def _replace_epoch(self, lost: str) -> str:
        """Put a new word in the place of the old one, unless somebody was faster."""

        def replace(pipe: Any) -> None:
            found = pipe.get(self._epoch_key)
            pipe.multi()
            if found == lost.encode():
                pipe.set(self._epoch_key, _new_epoch())

        self._client.transaction(replace, self._epoch_key)
        return self._agreed_epoch(_new_epoch())

    def _newest(self) -> str:
        """The newest entry that is retained; the stream may be trimmed to nothing."""
        entries = self._client.xrevrange(self._stream, count=1)
        return entries[0][0].decode() if entries else ""

    def _end(self) -> tuple[int, int]:
        """The newest entry there ever was."""
        if not self._client.exists(self._stream):
            return (0, 0)
        end: bytes = self._client.xinfo_stream(self._stream)["last-generated-id"]
        return _number(end.decode())


def take_connection(pool: Any) -> Any:
    """Take a connection out of a pool of any version of redis-py.

    Before 5.3 it asks for the name of a command, of which it makes nothing; since then it warns
    of one (redis/connection.py, ``ConnectionPool.get_connection``).
    """
    parameters = inspect.signature(pool.get_connection).parameters
    wanted = [one for one in parameters.values() if one.default is one.empty]
    named = any(one.kind is one.POSITIONAL_OR_KEYWORD for one in wanted)
    return pool.get_connection("_") if named else pool.get_connection()


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


def _new_epoch() -> str:
    return secrets.token_hex(4)
