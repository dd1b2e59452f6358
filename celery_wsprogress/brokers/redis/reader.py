"""Reads the Redis stream by position, and trims what is too old.

Opened by :mod:`.stream`; used by the sidecar's reader thread.
"""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any, Final

import redis

from celery_wsprogress.brokers import MAX_BATCH_BYTES, LogEntry
from celery_wsprogress.brokers.connection import release
from celery_wsprogress.brokers.failure import error_context
from celery_wsprogress.brokers.redis.epoch_key import EpochKey
from celery_wsprogress.brokers.redis.exchange import (
    EXPIRY,
    FIELD,
    MAINTENANCE_INTERVAL,
    MAX_AGE,
    new_epoch,
)
from celery_wsprogress.brokers.redis.reply import Cut, read_entries, send_command, take_connection
from celery_wsprogress.brokers.redis.server_memory import parse_memory, warn

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger(__name__)

#: Entries in one reply, at most.
READ_COUNT: Final = 300

#: Entries in the first reply, at most: their size is not known yet.
FIRST_COUNT: Final = 10

#: The epoch of a log without one, where a reader may not store one.
NO_EPOCH: Final = "0"

START: Final = "0-0"


class RedisReader:
    """Reads the stream over one connection, which is never renewed.

    Raises:
        redis.RedisError: the server cannot be read.
    """

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
        self._stored_epoch = ""
        """The epoch beside the stream; ``""`` where there is none."""
        self._next_maintenance = 0.0
        try:
            channel = connection.channel()
            self._client: Any = channel.client
            self._stream = channel.global_keyprefix + exchange
            self._epoch_key = EpochKey(self._client, self._stream)
            # The reply to a blocking command must come before the socket times out.
            self._max_block = channel.socket_timeout / 2
            _refuse_reconnects(self._client.connection_pool)
            self.epoch = self._find_epoch(position, epoch)
            self.end = self._newest_position()
            with contextlib.suppress(redis.ResponseError):
                info = self._send_command("INFO", "memory")
                warn(log_bytes, parse_memory(info), self._stream)
        except BaseException:
            release(connection)
            raise

    def read(self, position: str, *, wait: float) -> Sequence[LogEntry]:
        """Return the entries after a position; see :class:`celery_wsprogress.brokers.Reader`.

        Raises ``redis.ConnectionError`` also when another reader found a new log.
        """
        deadline = time.monotonic() + wait
        while True:
            self._run_maintenance()
            left = max(deadline - time.monotonic(), 0.0)
            entries = self._read(position or START, min(left, self._max_block))
            if entries or time.monotonic() >= deadline:
                return entries

    def close(self) -> None:
        """Close the socket; a :meth:`read` that another thread waits in ends at once."""
        release(self._connection)

    def _read(self, position: str, wait: float) -> list[LogEntry]:
        # BLOCK 0 waits for ever (https://redis.io/docs/latest/commands/xread/).
        block = max(int(wait * 1000), 1)
        reply = self._send_command(
            "XREAD", "COUNT", self._count, "BLOCK", block, "STREAMS", self._stream, position
        )
        found, complete = read_entries(reply[0][1] if reply else ())
        if not complete:
            # The server sends the omitted entries again, so fewer are requested.
            self._count = len(found)
        elif len(found) == self._count:
            self._count = min(self._count * 2, READ_COUNT)
        return [
            LogEntry(entry_id, self._batch_of(entry_id, fields), _written_at(entry_id))
            for entry_id, fields in found
        ]

    def _batch_of(self, entry_id: str, fields: Any) -> bytes:
        batch = fields.get(FIELD, b"")
        if not isinstance(batch, Cut):
            return batch or b""
        if not self._warned:
            self._warned = True
            logger.warning(
                "An entry of %s has %d bytes and is left out (%s); a batch has %d at most",
                self._stream, batch.size, entry_id, MAX_BATCH_BYTES,
            )  # fmt: skip
        return b""

    def _send_command(self, command: str, *arguments: Any) -> Any:
        with error_context(command, self._stream):
            return send_command(self._client.connection_pool, command, *arguments)

    def _run_maintenance(self) -> None:
        if time.monotonic() < self._next_maintenance:
            return
        self._next_maintenance = time.monotonic() + MAINTENANCE_INTERVAL
        # Without MINID (before Redis 6.2) or the right to trim, the writers' MAXLEN bounds the
        # stream.
        with contextlib.suppress(redis.ResponseError):
            # LogEntry ids follow the server's clock.
            seconds, _ = self._client.time()
            self._client.xtrim(self._stream, minid=(seconds - MAX_AGE) * 1000, approximate=True)
        with contextlib.suppress(redis.ResponseError):
            # A log with readers does not expire; its entries do.
            self._client.expire(self._stream, EXPIRY)
            self._epoch_key.extend_expiry()
        if self._epoch_key.get_or_create(self._stored_epoch or new_epoch()) != self._stored_epoch:
            raise redis.ConnectionError("another reader found a new event log")

    def _find_epoch(self, position: str, epoch: str) -> str:
        """Return the log's epoch; a new one where the log ends before the known position."""
        self._stored_epoch = self._epoch_key.get_or_create(new_epoch())
        current = self._stored_epoch or NO_EPOCH
        lost = bool(position) and self._last_generated() < _parse_position(position)
        # Where the epoch differs already, another reader has noticed the loss.
        if not lost or current != (epoch or current):
            return current
        replaced = self._epoch_key.replace(self._stored_epoch)
        if replaced != self._stored_epoch:
            self._stored_epoch = replaced
            return replaced
        # The server refused the new epoch, so this reader alone uses one.
        return new_epoch()

    def _newest_position(self) -> str:
        """Return the newest retained entry; ``""`` where the stream is empty."""
        reply = self._send_command("XREVRANGE", self._stream, "+", "-", "COUNT", 1)
        return reply[0][0].decode() if reply else ""

    def _last_generated(self) -> tuple[int, int]:
        """Return the id of the newest entry ever added, even if it has been trimmed."""
        try:
            reply = self._send_command("XINFO", "STREAM", self._stream)
        except redis.ResponseError as exc:
            if "no such key" not in str(exc):
                raise
            return (0, 0)
        # RESP 2 returns a flat list of names and values, RESP 3 a list of pairs.
        flat = reply if isinstance(reply[0], bytes) else [one for pair in reply for one in pair]
        end: bytes = flat[flat.index(b"last-generated-id") + 1]
        return _parse_position(end.decode())


def _refuse_reconnects(pool: Any) -> None:
    """Keep the pool from reconnecting: after a restart of the server the log may be another one."""
    pool.connection_kwargs["redis_connect_func"] = _refuse
    connection = take_connection(pool)
    connection.redis_connect_func = _refuse
    pool.release(connection)


def _refuse(_: Any) -> None:
    raise redis.ConnectionError("the connection to Redis is closed")


def _parse_position(position: str) -> tuple[int, int]:
    """Return a stream id as two numbers that can be compared."""
    milliseconds, _, counter = position.partition("-")
    return int(milliseconds), int(counter or 0)


def _written_at(entry_id: str) -> float:
    """Return the epoch seconds of an entry: its id begins with the server's, in milliseconds."""
    return int(entry_id.partition("-")[0]) / 1e3
