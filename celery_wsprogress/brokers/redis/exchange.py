"""The exchange on Redis: an exchange type for kombu that appends to a stream.

Each writer cuts the stream to as many entries as have room in what the log may take
(:mod:`.server_memory`), reckoned by its own batches lately and by what the entries of the stream
take by the server's own account. So small batches that follow large ones take no more room than
these leave, and the first large ones push out small ones.

Beside the first batch, and about once a minute beside another one, goes what keeps house: the
epoch is named, stream and epoch are given a day to live, and the server is asked what it has. The
answers come with that to the batch, so that nobody waits for them; a server may refuse them all.
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

#: How many batches count for what a writer's batches are like lately.
SIZE_WINDOW: Final = 100
#: Seconds after which an entry is dropped, more or less.
MAX_AGE: Final = 86_400
#: Seconds between two times that a writer keeps house, and that a reader does.
MAINTENANCE_INTERVAL: Final = 60.0
#: Seconds that stream and epoch live on when nobody writes or reads any more: by then every entry
#: is too old.
EXPIRY: Final = MAX_AGE + 10 * int(MAINTENANCE_INTERVAL)
#: Entries below which what they take says little: Redis makes room for a hundred at once.
MIN_SAMPLE: Final = 200

FIELD: Final = b"batch"

Command = tuple[Any, ...]


class StreamExchange(ExchangeType):
    """An exchange that appends its messages to a stream, and knows no queues."""

    type: Any = "stream"
    log_bytes: int | None = None
    """What is set; see :func:`.server_memory.max_log_bytes`."""
    _average_size = 0.0
    """Of a batch that passed here lately, in bytes: a decaying average."""
    _bytes_per_entry = 0.0
    """Bytes that an entry of the stream takes, by the server's account; 0 while that is unknown."""
    _server_memory = ServerMemory()
    _next_maintenance = float("-inf")
    _is_new = True
    _refused: frozenset[str] = frozenset()
    _connection: Any = None
    """Of the channel's client, kept: to take it out of the pool and put it back, and all else that
    the client does around a command, would cost a worker's flusher more than the command."""

    def deliver(self, message: Any, exchange: str, _routing_key: str, **_: Any) -> None:
        """Append the body, as the bytes it is; properties and headers are not kept."""
        batch: bytes = message["body"]
        self._average_size += (len(batch) - self._average_size) / (
            SIZE_WINDOW if self._average_size else 1
        )
        if self._connection is None:
            self._connection = take_connection(self.channel.client.connection_pool)
        stream = self.channel.global_keyprefix + exchange
        most = max_entries_for(
            max_log_bytes(self.log_bytes, self._server_memory),
            self._average_size,
            self._bytes_per_entry,
        )
        append = ("XADD", stream, "MAXLEN", "~", most, "*", FIELD, batch)
        if time.monotonic() < self._next_maintenance:
            self._connection.send_command(*append)
            self._read_answer_of("XADD", stream)
            return
        self._next_maintenance = time.monotonic() + MAINTENANCE_INTERVAL
        chores = [one for one in self._maintenance(stream) if one[0] not in self._refused]
        sent = self._connection.pack_commands([append, *chores])
        self._connection.send_packed_command(sent)
        try:
            self._read_answer_of("XADD", stream)
        except redis.ResponseError:
            self._read_answers(chores, stream)
            raise
        except BaseException:
            # Answers may still come, which belong to nothing.
            self._connection.disconnect()
            raise
        self._read_answers(chores, stream)

    def _read_answer_of(self, command: str, stream: str) -> None:
        with error_context(command, stream):
            self._connection.read_response()

    def _maintenance(self, stream: str) -> list[Command]:
        epoch = f"{stream}.epoch"
        # Only once: it is a reader that puts back a lost one, for it knows the word.
        naming = [("SET", epoch, new_epoch(), "NX", "EX", EXPIRY)] if self._is_new else []
        return [
            *naming,
            ("EXPIRE", epoch, EXPIRY),
            ("EXPIRE", stream, EXPIRY),
            ("INFO", "memory"),
            ("MEMORY USAGE", stream, "SAMPLES", 0),
            ("XLEN", stream),
        ]

    def _read_answers(self, chores: Sequence[Command], stream: str) -> None:
        answers = {chore[0]: self._read_answer(chore) for chore in chores}
        self._is_new = False
        self._server_memory = parse_memory(answers.get("INFO") or b"")
        warn(self.log_bytes, self._server_memory, stream)
        taken, count = answers.get("MEMORY USAGE"), answers.get("XLEN")
        self._bytes_per_entry = taken / count if taken and count and count >= MIN_SAMPLE else 0.0

    def _read_answer(self, chore: Command) -> Any:
        try:
            return self._connection.read_response()
        except redis.ResponseError:
            # What is lacking is a right, or the command: it is not asked for again.
            self._refused |= {chore[0]}
            return None


def new_epoch() -> str:
    """Make a word for a new log."""
    return secrets.token_hex(4)
