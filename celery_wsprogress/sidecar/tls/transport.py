"""TLS between a socket and its connection, with the memory of the connection's limits.

The transports of TLS of asyncio and uvloop read up to 256 KiB of each socket at once, hold a
buffer of as much for each connection (``asyncio/sslproto.py``, CPython 3.11), and tell a
connection of its client only after the handshake. A :class:`TLSTransport` reads every socket into
one small buffer, reads nothing while the connection is paused, and is there from the first byte
on. So a client counts as unfinished until the head of its request is read, TLS included, and the
limits are the same with and without it.

OpenSSL works on two buffers in memory (:class:`ssl.MemoryBIO`): what the socket has received, and
what is to be sent. Both are empty between two calls, but for the part of a record and what came
while the connection was paused. What is to be sent is given to the plain transport at once.

Runs in: the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable

RECORD_BYTES: Final = 16_384
"""The most that one record of TLS holds (RFC 8446, section 5.1)."""

PIECE_BYTES: Final = 2_048
"""The most that OpenSSL is given at once: one call of it takes all updates of the keys in there."""

MAX_ANSWER_BYTES: Final = 2_048
"""The most that OpenSSL may answer by itself on one connection, after the handshake. A client may
ask for new keys (RFC 8446, section 4.6.3), as few do, and to answer costs more than to ask."""

PLAIN_HTTP: Final = "HTTP_REQUEST"
"""OpenSSL's name for what comes where a person has written ``http://``."""

_ANSWER_TEXT: Final = b"This port speaks TLS: use https:// or wss://\n"
_ANSWER: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(_ANSWER_TEXT), _ANSWER_TEXT)
)


class TLSTransport(asyncio.Transport, asyncio.BufferedProtocol):
    """What a connection writes to and is read from, over the transport of its socket.

    It is the protocol of that transport, too. To the connection the handshake does not show: it is
    given what came after it.

    Args:
        plain: The transport of the socket.
        context: The certificate and what else is offered to the client.
        buffer: Is read into, for a moment; it may be shared.
        on_failure: Called with the reason when the handshake has failed.
    """

    def __init__(
        self,
        plain: asyncio.Transport,
        context: ssl.SSLContext,
        buffer: memoryview,
        on_failure: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._plain = plain
        self._read_buffer = buffer
        self._on_failure = on_failure
        self._received, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._received, self._to_send, server_side=True)
        self._connection = plain.get_protocol()
        self._is_established = False
        self._is_closing = False
        self._is_paused = False
        self._answer_bytes = 0
        plain.set_protocol(self)

    # The protocol of the socket.

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Return the buffer that the socket is read into."""
        return self._read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Decrypt what was read."""
        # A copy: the connection may read into the same buffer.
        read = bytes(self._read_buffer[:nbytes])
        for start in range(0, nbytes, PIECE_BYTES):
            self._received.write(read[start : start + PIECE_BYTES])
            self._decrypt()

    def eof_received(self) -> None:
        """Pass on that the client sends nothing more; then the socket is closed."""
        self._decrypt()
        self._end_input()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on that the socket is closed."""
        self._is_closing = True
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass on that the socket's buffer is full."""
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the socket's buffer is empty again."""
        self._connection.resume_writing()

    # Input.

    def _decrypt(self) -> None:
        """Give the connection what can be decrypted, as long as it reads."""
        if not self._is_established and not self._is_closing:
            self._shake_hands()
        while self._is_established and not (self._is_closing or self._is_paused):
            target = cast("memoryview", self._reader.get_buffer(-1))
            # As one read of the socket would be, however small the records are.
            filled, count = 0, self._read_some(target)
            while count:
                filled += count
                count = self._read_some(target[filled:]) if filled < len(target) else None
            if filled and not self._is_closing:
                self._reader.buffer_updated(filled)
            if count == 0:
                self._end_input()
            if filled < len(target):
                return

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
            self._is_established = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as exc:
            self._fail(exc)
        # Its part of the handshake, or an alert that says why there is none.
        self._send()
        if self._is_closing:
            self._plain.close()

    def _fail(self, exc: ssl.SSLError) -> None:
        self._is_closing = True
        self._on_failure(_reason(exc))
        if exc.reason == PLAIN_HTTP:
            self._to_send.read()
            self._plain.write(_ANSWER)

    def _read_some(self, target: memoryview) -> int | None:
        """Decrypt into a buffer. Return the number of bytes; None if there are none now."""
        try:
            # typeshed has only a bytearray here, and bytes as the result.
            count = self._tls.read(len(target), cast("Any", target))
        except ssl.SSLWantReadError:
            count = None
        except ssl.SSLError:
            # Bytes that are no TLS, or a record that somebody has changed on its way.
            self.abort()
            return None
        self._answer_bytes += self._to_send.pending
        if self._answer_bytes > MAX_ANSWER_BYTES:
            self.abort()
            return None
        self._send()
        return cast("int | None", count)

    @property
    def _reader(self) -> asyncio.BufferedProtocol:
        return cast("asyncio.BufferedProtocol", self._connection)

    def _end_input(self) -> None:
        if not self._is_closing:
            self._reader.eof_received()
            self.close()

    def pause_reading(self) -> None:
        """Give the connection nothing more, and let the socket wait."""
        self._is_paused = True
        self._plain.pause_reading()

    def resume_reading(self) -> None:
        """Go on reading; first with what was received before."""
        self._is_paused = False
        self._plain.resume_reading()
        asyncio.get_running_loop().call_soon(self._decrypt)

    def is_reading(self) -> bool:
        """Return whether it reads."""
        return not self._is_paused and self._plain.is_reading()

    # Output.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send. Nothing is sent before the handshake, and none after the end."""
        if not self._is_established or self._is_closing:
            return
        rest = memoryview(data)
        try:
            while rest:
                # A buffer in memory keeps the size that it has once had.
                rest = rest[self._tls.write(rest[:RECORD_BYTES]) :]
                self._send()
        except ssl.SSLError:
            self.abort()

    def _send(self) -> None:
        data = self._to_send.read()
        if data:
            self._plain.write(data)

    def can_write_eof(self) -> bool:
        """Return False: TLS has no end of one direction only."""
        return False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the limits of the socket's transport: encrypted bytes."""
        self._plain.set_write_buffer_limits(high, low)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the limits of the socket's transport."""
        return self._plain.get_write_buffer_limits()

    def get_write_buffer_size(self) -> int:
        """Return the number of encrypted bytes that the socket has not taken."""
        return self._plain.get_write_buffer_size()

    # The connection.

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return something about the socket; ``ssl_object`` is that of TLS."""
        if name == "ssl_object":
            return self._tls
        return self._plain.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Set who is told what the client sends: a :class:`asyncio.BufferedProtocol`."""
        self._connection = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return who is told what the client sends."""
        return self._connection

    def is_closing(self) -> bool:
        """Return whether it is closed, or begins to be."""
        return self._is_closing or self._plain.is_closing()

    def close(self) -> None:
        """Say that it is closed, and close the socket when that was taken."""
        if self._is_closing:
            return
        self._is_closing = True
        if self._is_established:
            # It waits for the client's own end, which nobody needs.
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()
            self._send()
        self._plain.close()

    def abort(self) -> None:
        """Close the socket at once."""
        self._is_closing = True
        self._plain.abort()


def _reason(exc: ssl.SSLError) -> str:
    """Return why a handshake has failed: OpenSSL's words, which hold nothing of the client's."""
    if exc.reason == PLAIN_HTTP:
        return "it is HTTP without TLS"
    return (exc.reason or "it is no TLS").replace("_", " ").lower()
