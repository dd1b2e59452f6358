"""Replies of Redis, read from the socket in pieces, without values that are too large.

Used by :mod:`.reader`. redis-py keeps a whole reply in memory, and an entry of a stream may have
512 MB (Redis documentation, ``proto-max-bulk-len``): one entry could exhaust a reader's memory.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import redis

if TYPE_CHECKING:
    from collections.abc import Sequence
    from io import BufferedReader

#: Bytes of the largest value that is kept.
MAX_ENTRY_BYTES: Final = 4_000_000
#: Bytes that one read keeps; the next read returns the rest.
MAX_READ_BYTES: Final = 8_000_000

_CHUNK: Final = 65_536
#: Bytes of memory that a value takes besides its own.
_OVERHEAD: Final = 64


class Cut(NamedTuple):
    """A placeholder for a value that was skipped."""

    size: int
    is_too_large: bool
    """Whether it exceeds :data:`MAX_ENTRY_BYTES`; else this reply had no room for it."""


class Reply:
    """One reply, in RESP 2 or 3 (https://redis.io/docs/latest/develop/reference/protocol-spec/).

    Args:
        file: Reads from the socket, from the beginning of the reply.
    """

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        self._room = MAX_READ_BYTES

    def read(self) -> Any:
        """Return the reply: texts as bytes or :class:`Cut`, maps as lists of pairs.

        Raises:
            redis.ResponseError: the reply is an error.
            redis.ConnectionError: the connection ends within it.
        """
        line = self._read_line()
        while line[:1] == b">":
            # A push message belongs to no command.
            self._values(int(line[1:]))
            line = self._read_line()
        return self._value(line)

    def _value(self, line: bytes) -> Any:
        kind, rest = line[:1], line[1:]
        self._room -= _OVERHEAD
        if kind == b"$":
            return self._text(int(rest))
        if kind == b"=":
            # A verbatim string, which begins with its format.
            text = self._text(int(rest))
            return text[4:] if isinstance(text, bytes) else text
        if kind in (b"*", b"~"):
            return self._values(int(rest))
        if kind == b"%":
            return [self._values(2) for _ in range(int(rest))]
        if kind == b"-":
            raise redis.ResponseError(rest.decode(errors="replace"))
        return None if kind == b"_" else rest

    def _values(self, count: int) -> list[Any] | None:
        return None if count < 0 else [self._value(self._read_line()) for _ in range(count)]

    def _text(self, size: int) -> bytes | Cut | None:
        if size < 0:
            return None
        if size > MAX_ENTRY_BYTES or size > self._room:
            self._skip(size + 2)
            return Cut(size, size > MAX_ENTRY_BYTES)
        self._room -= size
        return self._read_exactly(size + 2)[:-2]

    def _read_line(self) -> bytes:
        line = self._file.readline()
        if not line.endswith(b"\n"):
            raise redis.ConnectionError("the connection to Redis is closed")
        return line.rstrip()

    def _read_exactly(self, size: int) -> bytes:
        found = self._file.read(size)
        if len(found) < size:
            raise redis.ConnectionError("the connection to Redis is closed")
        return found

    def _skip(self, size: int) -> None:
        while size:
            size -= len(self._read_exactly(min(size, _CHUNK)))


def take_connection(pool: Any) -> Any:
    """Take a connection out of a pool of redis-py.

    Before 5.3 redis-py requires the name of a command; since then it warns of one
    (redis/connection.py, ``ConnectionPool.get_connection``).
    """
    return pool.get_connection("_") if _wants_a_name(pool.__class__) else pool.get_connection()


@functools.cache
def _wants_a_name(pool: Any) -> bool:
    _, *parameters = inspect.signature(pool.get_connection).parameters.values()
    wanted = [one for one in parameters if one.default is one.empty]
    return any(one.kind is one.POSITIONAL_OR_KEYWORD for one in wanted)


def send_command(pool: Any, *command: Any) -> Any:
    """Send a command and return its reply; see :meth:`Reply.read`.

    Args:
        pool: A pool of redis-py.
        command: The command and its arguments.

    Raises:
        redis.RedisError: as redis-py does. The caller must give up the connection.
    """
    connection = take_connection(pool)
    try:
        connection.send_command(*command)
        # The socket's name in redis-py 5.2 to 8.1, which have read all earlier replies.
        with connection._sock.makefile("rb", _CHUNK) as file:  # noqa: SLF001
            return Reply(file).read()
    except TimeoutError:
        raise redis.TimeoutError("Redis has not answered in time") from None
    except (OSError, ValueError, AttributeError):
        # Another thread closed it.
        raise redis.ConnectionError("the connection to Redis is closed") from None
    finally:
        pool.release(connection)


def read_entries(reply: Any) -> tuple[Sequence[tuple[str, dict[bytes, bytes | Cut]]], bool]:
    """Return the entries of a stream in a reply of ids and fields, and whether they are complete.

    Entries from the first one that the reply had no room for are left out; the first entry of all
    is always returned, with its skipped values as :class:`Cut`.
    """
    found: list[tuple[str, dict[bytes, bytes | Cut]]] = []
    for entry_id, fields in reply or ():
        read = dict(zip(fields[::2], fields[1::2], strict=True)) if fields else {}
        no_room = any(isinstance(one, Cut) and not one.is_too_large for one in fields or ())
        if no_room and found:
            return found, False
        found.append((entry_id.decode(), read))
    return found, True
