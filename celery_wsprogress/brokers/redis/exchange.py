"""An exchange type for kombu on Redis that appends to a stream. Used by :mod:`.writer`.

Each writer trims the stream to the entries that fit into the bytes of the log
(:mod:`.server_memory`), by the larger of two sizes: that of its recent batches, and that of an
entry in the server's memory.

With the first batch, and then once a minute, the writer sends maintenance commands: they create the
epoch, renew the expiry of stream and epoch, and ask for the server's memory. They share the batch's
round trip, and the server may refuse any of them.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any, Final

import redis
from kombu.transport.virtual.exchange import ExchangeType

from celery_wsprogress.brokers.failure import error_context
from celery_wsprogress.brokers.redis.reply import take_connection
from celery_wsprogress.brokers.redis.server_memory import (
    ServerMemory,
    max_entries_for,
    max_log_bytes,
    parse_memory,
    warn,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Batches in the average size.
SIZE_WINDOW: Final = 100
#: Seconds after which an entry is dropped, approximately.
MAX_AGE: Final = 86_400
#: Seconds between two maintenance runs of a writer, and of a reader.
MAINTENANCE_INTERVAL: Final = 60.0
#: Seconds after which an unused stream and its epoch expire; every entry is too old by then.
EXPIRY: Final = MAX_AGE + 10 * int(MAINTENANCE_INTERVAL)
#: Entries below which the server's size is not used: a node of the stream holds up to a hundred
#: (redis.conf, ``stream-node-max-entries``).
MIN_SAMPLE: Final = 200

FIELD: Final = b"batch"

Command = tuple[Any, ...]


class StreamExchange(ExchangeType):
    """An exchange that appends its messages to a stream, and knows no queues."""

    type: Any = "stream"
    log_bytes: int | None = None
    """The setting; see :func:`.server_memory.max_log_bytes`."""
    _average_size = 0.0
    """Bytes of a recent batch, as a decaying average."""
    _bytes_per_entry = 0.0
    """Bytes of the server's memory per entry of the stream; 0 while unknown."""
    _server_memory = ServerMemory()
    _next_maintenance = float("-inf")
    _is_new = True
    _refused: frozenset[str] = frozenset()
    _connection: Any = None
    """A connection of the channel's client. The client's own calls would cost the flusher more CPU
    than the command itself."""

    def deliver(self, message: Any, exchange: str, _routing_key: str, **_: Any) -> None:
        """Append the message's body; its properties and headers are dropped."""
        batch: bytes = message["body"]
        self._average_size += (len(batch) - self._average_size) / (
            SIZE_WINDOW if self._average_size else 1
        )
        if self._connection is None:
            self._connection = take_connection(self.channel.client.connection_pool)
        stream = self.channel.global_keyprefix + exchange
        max_entries = max_entries_for(
            max_log_bytes(self.log_bytes, self._server_memory),
            self._average_size,
            self._bytes_per_entry,
        )
        append = ("XADD", stream, "MAXLEN", "~", max_entries, "*", FIELD, batch)
        if time.monotonic() < self._next_maintenance:
            self._connection.send_command(*append)
            self._read_answer_of("XADD", stream)
            return
        self._next_maintenance = time.monotonic() + MAINTENANCE_INTERVAL
        commands = [one for one in self._maintenance(stream) if one[0] not in self._refused]
        sent = self._connection.pack_commands([append, *commands])
        self._connection.send_packed_command(sent)
        try:
            self._read_answer_of("XADD", stream)
        except redis.ResponseError:
            self._read_answers(commands, stream)
            raise
        except BaseException:
            # Replies may still arrive, which the next command would take for its own.
            self._connection.disconnect()
            raise
        self._read_answers(commands, stream)

    def _read_answer_of(self, command: str, stream: str) -> None:
        with error_context(command, stream):
            self._connection.read_response()

    def _maintenance(self, stream: str) -> list[Command]:
        epoch = f"{stream}.epoch"
        # Only once: a lost epoch is restored by a reader, which knows it.
        naming = [("SET", epoch, new_epoch(), "NX", "EX", EXPIRY)] if self._is_new else []
        return [
            *naming,
            ("EXPIRE", epoch, EXPIRY),
            ("EXPIRE", stream, EXPIRY),
            ("INFO", "memory"),
            ("MEMORY USAGE", stream, "SAMPLES", 0),
            ("XLEN", stream),
        ]

    def _read_answers(self, commands: Sequence[Command], stream: str) -> None:
        answers = {command[0]: self._read_answer(command) for command in commands}
        self._is_new = False
        self._server_memory = parse_memory(answers.get("INFO") or b"")
        warn(self.log_bytes, self._server_memory, stream)
        taken, count = answers.get("MEMORY USAGE"), answers.get("XLEN")
        self._bytes_per_entry = taken / count if taken and count and count >= MIN_SAMPLE else 0.0

    def _read_answer(self, command: Command) -> Any:
        try:
            return self._connection.read_response()
        except redis.ResponseError:
            # The right or the command is missing, so it is not sent again.
            self._refused |= {command[0]}
            return None


def new_epoch() -> str:
    """Return a random epoch."""
    return secrets.token_hex(4)
