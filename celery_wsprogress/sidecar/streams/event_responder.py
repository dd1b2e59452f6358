"""What the sidecar answers to a request for the events of an operation: all of them.

Runs in: the event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery_wsprogress.access.addresses import address_key
from celery_wsprogress.sidecar.http.event_requests import as_events, headers_of_events
from celery_wsprogress.sidecar.http.handshake import to_http_response
from celery_wsprogress.sidecar.http.limit_refusals import refuse
from celery_wsprogress.sidecar.streams.event_stream import EventStream
from celery_wsprogress.sidecar.streams.response_channel import ResponseChannel

if TYPE_CHECKING:
    from websockets.http11 import Request, Response

    from celery_wsprogress.access.permissions import Permit
    from celery_wsprogress.hub.hub import Hub
    from celery_wsprogress.settings import ServeSettings
    from celery_wsprogress.sidecar.connection import ProgressConnection
    from celery_wsprogress.sidecar.connections import Connections


class EventResponder:
    """Serves streams of events on connections of websockets.

    Args:
        settings: How the sidecar serves.
        connections: Serve them as they serve WebSockets.
        hub: The operations.
    """

    def __init__(self, settings: ServeSettings, connections: Connections, hub: Hub) -> None:
        self._settings = settings
        self._connections = connections
        self._hub = hub

    async def respond(
        self,
        connection: ProgressConnection,
        request: Request,
        operation_id: str,
        permit: Permit,
    ) -> Response:
        """Send the events of an operation until it has ended, and close the connection.

        Args:
            connection: The connection.
            request: A request whose client may watch the operation.
            operation_id: The operation.
            permit: What the client may do.

        Returns:
            The response. It is still to be sent where the connection is open.
        """
        response = headers_of_events(request, self._settings)
        if request.method == "HEAD":
            return response
        channel = ResponseChannel(connection)
        stream = EventStream.of(
            request,
            operation_id,
            channel.receive,
            channel.send,
            hub=self._hub,
            settings=self._settings,
            permit=permit,
            address=connection.address,
            limits=connection.limits,
        )
        limit = _admit(stream, connection)
        if limit is not None:
            return to_http_response(as_events(refuse(limit, connection), request))
        channel.take_over()
        try:
            await stream.serve(self._connections)
        finally:
            connection.limits.admission.end(stream)
            await channel.close()
        return response


def _admit(stream: EventStream, connection: ProgressConnection) -> str | None:
    """Count a stream in the place of its connection. Return the limit that does not allow it."""
    admission = connection.limits.admission
    admission.end(connection)
    limit = admission.admit(stream, address_key(connection.address))
    if limit is None and not stream.hold_subjects():
        limit = "subject"
        admission.end(stream)
    return limit
