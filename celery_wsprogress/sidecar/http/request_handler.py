"""The decision before a WebSocket handshake: reject, answer over HTTP, or go on.

:class:`.Sidecar` gives :meth:`RequestHandler.process` to websockets as ``process_request``. It asks
:mod:`.handshake` whether the request is allowed, :mod:`.static_files` for the browser modules and
:mod:`.routes` for everything else that is not a WebSocket.

Runs in: the event loop.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.errors import TokenError
from celery_wsprogress.sidecar.connection import ProgressConnection
from celery_wsprogress.sidecar.http.handshake import (
    LOST_UPGRADE,
    address_of,
    is_handshake,
    options_response,
    refused_header,
    reject_lost_upgrade,
    reject_reason,
    share_with_page,
    to_http_response,
    without_body,
)
from celery_wsprogress.sidecar.http.refusals import Refusals
from celery_wsprogress.sidecar.http.routes import (
    STARTING,
    RequestContext,
    is_public,
    needs_all_processes,
    route,
    service_unavailable,
    unauthorized,
)
from celery_wsprogress.sidecar.http.static_files import respond_with_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

    from celery_wsprogress.hub.hub import Hub
    from celery_wsprogress.settings import ServeSettings
    from celery_wsprogress.sidecar.access.authorizer import Authorizer
    from celery_wsprogress.sidecar.ingest.startup_replay import StartupReplay
    from celery_wsprogress.sidecar.metrics.collector import MetricsCollector
    from celery_wsprogress.sidecar.metrics.definitions import Samples
    from celery_wsprogress.sidecar.multiprocess.supervisor_link import SupervisorLink

logger = logging.getLogger(__name__)


class RequestHandler:
    """Decides about each request on the port.

    Args:
        settings: How the sidecar serves.
        authorizer: Gives each request its permit.
        hub: The operations, for ``/operations``.
        startup_replay: Handshakes wait until it is done.
        metrics: Says whether the sidecar stops.
        report: Makes the figures of all processes.
        link: The other processes on this port; None where there are none.
    """

    def __init__(
        self,
        settings: ServeSettings,
        *,
        authorizer: Authorizer,
        hub: Hub,
        startup_replay: StartupReplay,
        metrics: MetricsCollector,
        report: Callable[[], Samples],
        link: SupervisorLink | None,
    ) -> None:
        self._settings = settings
        self._authorizer = authorizer
        self._hub = hub
        self._startup_replay = startup_replay
        self._metrics = metrics
        self._report = report
        self._link = link
        self._refusals = Refusals()
        self._warned_of_lost_upgrade = False

    async def process(self, connection: ServerConnection, request: Request) -> Response | None:
        """Return the response to a request; None lets the WebSocket handshake go on."""
        response = await self._decide(connection, request)
        if connection.protocol.eof_sent:
            # More came before the response, and was no frame: a second request, or garbage.
            # websockets (17.4) has closed its side, and would fail to write the response.
            connection.transport.abort()
            await connection.wait_closed()
        return response

    async def _decide(self, connection: ServerConnection, request: Request) -> Response | None:
        assert isinstance(connection, ProgressConnection)  # noqa: S101 - see Sidecar._serve
        rejection = reject_reason(request, self._settings)
        if rejection is not None:
            header = refused_header(request, self._settings)
            if header is not None:
                address = address_of(connection, request, self._settings)
                self._refusals.log_once(header, address)
            response = to_http_response(rejection)
            return without_body(response) if request.method == "HEAD" else response
        if not is_handshake(request):
            response = await self._respond(request)
            share_with_page(response, request.headers)
            return without_body(response) if request.method == "HEAD" else response
        replay_done = await self._startup_replay.wait()
        if self._metrics.stopping:
            return to_http_response(service_unavailable("Stopping"))
        if not replay_done:
            return to_http_response(service_unavailable(STARTING))
        try:
            connection.permit = await self._authorizer.permit_for(request)
        except TokenError as exc:
            return to_http_response(unauthorized(exc))
        return None

    async def _respond(self, request: Request) -> Response:
        """Answer a request that is not for a WebSocket."""
        if request.method == "OPTIONS":
            return options_response()
        rejection = reject_lost_upgrade(request)
        if rejection is not None:
            self._warn_of_lost_upgrade()
            return to_http_response(rejection)
        file = respond_with_file(request, self._settings.flower_url)
        if file is not None:
            return file
        permit = Permit(None)
        if not is_public(request.path):
            try:
                permit = await self._authorizer.permit_for(request)
            except TokenError as exc:
                return to_http_response(unauthorized(exc))
        if self._link is not None and needs_all_processes(request.path):
            await self._link.refresh()
        context = RequestContext(
            hub=self._hub,
            permit=permit,
            timestamp=time.time(),
            report=self._report,
            replay_done=self._startup_replay.done,
        )
        return to_http_response(route(request.path, context))

    def _warn_of_lost_upgrade(self) -> None:
        if not self._warned_of_lost_upgrade:
            self._warned_of_lost_upgrade = True
            logger.warning(LOST_UPGRADE.strip())
