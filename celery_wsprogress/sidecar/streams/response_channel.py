"""The response to one request of the sidecar that goes on for as long as it likes.

websockets (17.4) answers a request with one whole response, within a limited time. So this one is
written while websockets still waits for it, on the connection whose head was read: the deadline is
lifted (:meth:`.ClosableConnection.take_time`), the bytes go to the transport, and in the end the
connection is closed, so that websockets has nothing to answer any more.

The body has no length: it ends with its connection, in HTTP/1.0 and 1.1 alike (RFC 9112, section
6.3).

Runs in: the event loop.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from websockets.datastructures import Headers
from websockets.http11 import Response

from celery_wsprogress.sidecar.buffered_reader import BufferedReader

if TYPE_CHECKING:
    from celery_wsprogress.sidecar.connection import ProgressConnection
    from celery_wsprogress.sidecar.streams.channel import Message


class ResponseChannel:
    """The two ways of a request on a connection of websockets; see :class:`.Channel`.

    Args:
        connection: The connection, whose request was read.
    """

    def __init__(self, connection: ProgressConnection) -> None:
        self._connection = connection

    def take_over(self) -> None:
        """Let the response take its time. From now on the client may send nothing."""
        connection = self._connection
        connection.take_time()
        reader = _SilentReader(connection, connection.limits.read_buffer)
        connection.transport.set_protocol(reader)

    async def receive(self) -> Message:
        """Wait until the client is gone."""
        await self._connection.wait_closed()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Send the head of the response, or a part of its body.

        Raises:
            OSError: the client is gone.
        """
        connection = self._connection
        if connection.transport.is_closing() or connection.protocol.eof_sent:
            raise ConnectionResetError("The client is gone")
        connection.transport.write(_to_bytes(message))
        # The socket has taken all of it then: the transport may hold nothing back (SocketWriter).
        await connection.drain()

    async def close(self) -> None:
        """End the response, and the connection with it."""
        transport = self._connection.transport
        if transport.get_write_buffer_size():
            transport.abort()
        else:
            # Over TLS this says that the body is whole (RFC 9112, section 9.8).
            transport.close()
        await self._connection.wait_closed()


class _SilentReader(BufferedReader):
    """Ends a connection whose client says more than its request: nothing can be smuggled in."""

    def __init__(self, connection: ProgressConnection, buffer: memoryview) -> None:
        super().__init__(connection, buffer)
        self._end = connection.abort

    def buffer_updated(self, nbytes: int) -> None:
        del nbytes
        self._end()


def _to_bytes(message: Message) -> bytes:
    if message["type"] == "http.response.body":
        return bytes(message["body"])
    headers = Headers()
    for name, value in message["headers"]:
        headers[name.decode("latin-1")] = value.decode("latin-1")
    headers["Connection"] = "close"
    status = HTTPStatus(message["status"])
    return Response(status, status.phrase, headers).serialize()
