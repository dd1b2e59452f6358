"""Server-sent events: one operation as a response that does not end before the operation does.

Each event is what a WebSocket gets, in one line ``data:``, with its ``event_id`` as ``id:``. None
has a name (``event:``), so that a page gets all in ``onmessage``: ``error`` is a name that
``EventSource`` uses itself. A browser that connects again sends the last id (``Last-Event-ID``),
and gets what came after it; a new client first gets a ``snapshot``.

When the operation has ended the response ends. A client that has seen the end already gets 204,
which tells ``EventSource`` to stay away (HTML Standard, section 9.2.3).

Runs in: the event loop.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from celery_wsprogress.protocol.frames import payloads_of
from celery_wsprogress.sidecar.http.event_requests import (
    headers_of_events,
    retry_field,
    subscription,
)
from celery_wsprogress.sidecar.streams.channel import encode_headers
from celery_wsprogress.sidecar.streams.sent_connection import SentConnection

if TYPE_CHECKING:
    from typing import Self

    from websockets.http11 import Request, Response

    from celery_wsprogress.hub.hub import Hub
    from celery_wsprogress.settings import ServeSettings
    from celery_wsprogress.sidecar.streams.sent_connection import Closing

KEEP_ALIVE: Final = b": still here\n\n"
"""A comment, sent where there is nothing else, so that proxies keep the connection open."""

STUCK_AFTER: Final = 60.0
"""Seconds after which a client that does not even take a comment is given up."""

RETRY_AFTER: Final = 2
"""Seconds after which a browser connects again, on average, where a connection breaks."""

_NO_EVENTS: Final = frozenset({"connected", "reply"})
"""Messages of the protocol that are for WebSockets only."""


class EventStream(SentConnection):
    """A stream of one operation.

    Args:
        more: Those of :class:`.SentConnection`.
        hub: Knows whether the operation has ended.
        operation_id: The operation.
        keep_alive: Seconds without an event after which a comment is sent.
        response: The response, without its body.
    """

    def __init__(
        self,
        *more: Any,
        hub: Hub,
        operation_id: str,
        keep_alive: float,
        response: Response,
        **options: Any,
    ) -> None:
        super().__init__(*more, **options)
        self._hub = hub
        self._operation_id = operation_id
        self._keep_alive = keep_alive
        self._response = response
        self._begun = False

    @classmethod
    def of(
        cls,
        request: Request,
        operation_id: str,
        *way: Any,
        hub: Hub,
        settings: ServeSettings,
        **client: Any,
    ) -> Self:
        """Return the stream that a request is answered with.

        Args:
            request: Its client may watch the operation.
            operation_id: The operation.
            way: The two ways of the request, as of a :class:`.Channel`.
            hub: Knows whether the operation has ended.
            settings: How it is served.
            client: ``permit``, ``address`` and ``limits``, as :class:`.SentConnection` has them.
        """
        return cls(
            *way,
            first_command=subscription(request, operation_id),
            hub=hub,
            operation_id=operation_id,
            keep_alive=settings.heartbeat,
            response=headers_of_events(request, settings),
            **client,
        )

    async def write_all(self) -> None:
        """Send the whole response."""
        await self._begin()
        await super().write_all()

    async def _begin(self) -> None:
        """Begin the response, unless the client has seen the end already."""
        # The welcome and the reply were written, and nothing else where nothing is missing.
        events = [one for one in map(_event, payloads_of(await self.writer.take())) if one]
        self.writer.finish()
        self.flush()
        if not events and self._is_over():
            await self._start(HTTPStatus.NO_CONTENT)
            await self._end()
            return
        await self._start(HTTPStatus.OK)
        self._begun = True
        # Its headers reach the client with the first bytes.
        await self._send_some(retry_field(RETRY_AFTER))
        for one in events:
            await self._send_some(one)
        await self.after_write()

    async def _start(self, status: HTTPStatus) -> None:
        headers = encode_headers(self._response)
        await self._send({"type": "http.response.start", "status": int(status), "headers": headers})

    async def next_frames(self) -> bytes:
        """Wait for the next frames; meanwhile send a comment now and then."""
        while True:
            try:
                return await asyncio.wait_for(self.writer.take(), self._keep_alive)
            except TimeoutError:
                # A client that does not even take that is gone.
                await asyncio.wait_for(self._send_some(KEEP_ALIVE), STUCK_AFTER)

    async def send_payload(self, payload: bytes) -> None:
        """Send an event."""
        event = _event(payload)
        if event:
            await self._send_some(event)

    async def after_write(self) -> None:
        """End the response where nothing more is to come."""
        if self.writer.is_idle and self._is_over():
            await self._end()
        await super().after_write()

    async def send_close(self, closing: Closing) -> None:
        """End the response: a browser connects again by itself, and tells what it has seen."""
        del closing
        if self._begun:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    def _is_over(self) -> bool:
        record = self._hub.store.get(self._operation_id)
        session = self.session
        if record is None or session is None or session.has_unread or not self.writer.is_idle:
            return False
        return record.operation.state.ended

    async def _end(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        self._begun = False
        self.their_code = 1000
        self._ending.set()
        # Until it is cancelled: the response is complete.
        await asyncio.Event().wait()

    async def _send_some(self, body: bytes) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": True})
        self.writer.note_sent()

    async def read_all(self) -> None:
        """Receive until the client is gone."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


class _StreamedEvent(Struct, gc=False):
    """What a stream reads of an event."""

    event_type: str
    event_id: str | None = None


_decode_head: Final = msgspec.json.Decoder(_StreamedEvent).decode


def _event(payload: bytes) -> bytes:
    """Return the event for the text of a frame; empty if it is none."""
    head = _decode_head(payload)
    if head.event_type in _NO_EVENTS:
        return b""
    # JSON has no line break outside its strings, and none inside unescaped.
    named = f"id: {head.event_id}\n".encode() if head.event_id else b""
    return named + b"data: " + payload + b"\n\n"
