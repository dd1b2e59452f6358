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

from celery_wsprogress.sidecar.http.handshake import (
    LOST_UPGRADE,
    address_of,
    permit_for,
    refused_header,
    reject_lost_upgrade,
    reject_reason,
    single_header,
    to_http_response,
)
from celery_wsprogress.sidecar.http.refusals import Refusals
from celery_wsprogress.sidecar.http.routes import (
    STARTING,
    RequestContext,
    needs_all_processes,
    route,
    service_unavailable,
)
from celery_wsprogress.sidecar.http.static_files import respond_with_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

    from celery_wsprogress.access.tokens import TokenVerifier
    from celery_wsprogress.hub.hub import Hub
    from celery_wsprogress.settings import ServeSettings
    from celery_wsprogress.sidecar.ingest.startup_replay import StartupReplay
    from celery_wsprogress.sidecar.metrics.collector import MetricsCollector
    from celery_wsprogress.sidecar.metrics.definitions import Samples
    from celery_wsprogress.sidecar.multiprocess.supervisor_link import SupervisorLink

logger = logging.getLogger(__name__)


class RequestHandler:
    """Decides about each request on the port.

    Args:
        settings: How the sidecar serves.
        verifier: Verifies tokens; None where none is needed.
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
        verifier: TokenVerifier | None,
        hub: Hub,
        startup_replay: StartupReplay,
        metrics: MetricsCollector,
        report: Callable[[], Samples],
        link: SupervisorLink | None,
    ) -> None:
        self._settings = settings
        self._verifier = verifier
        self._hub = hub
        self._startup_replay = startup_replay
        self._metrics = metrics
        self._report = report
        self._link = link
        self._refusals = Refusals()
        self._warned_of_lost_upgrade = False

    async def process(self, connection: ServerConnection, request: Request) -> Response | None:
        """Return the response to a request; None lets the WebSocket handshake go on."""
        rejection = reject_reason(request, self._settings)
        if rejection is not None:
            header = refused_header(request, self._settings)
            if header is not None:
                address = address_of(connection, request, self._settings)
                self._refusals.log_once(header, address)
            return to_http_response(rejection)
        if (single_header(request.headers, "Upgrade") or "").lower() != "websocket":
            return await self._respond(request)
        replay_done = await self._startup_replay.wait()
        if self._metrics.stopping:
            return to_http_response(service_unavailable("Stopping"))
        return None if replay_done else to_http_response(service_unavailable(STARTING))

    async def _respond(self, request: Request) -> Response:
        """Answer a request that is not for a WebSocket."""
        rejection = reject_lost_upgrade(request)
        if rejection is not None:
            self._warn_of_lost_upgrade()
            return to_http_response(rejection)
        file = respond_with_file(request, self._settings.flower_url)
        if file is not None:
            return file
        authorization = single_header(request.headers, "Authorization")
        if self._link is not None and needs_all_processes(request.path):
            await self._link.refresh()
        context = RequestContext(
            hub=self._hub,
            permit=permit_for(request, self._settings, self._verifier),
            timestamp=time.time(),
            report=self._report,
            replay_done=self._startup_replay.done,
        )
        return to_http_response(route(request.path, authorization, context))

    def _warn_of_lost_upgrade(self) -> None:
        if not self._warned_of_lost_upgrade:
            self._warned_of_lost_upgrade = True
            logger.warning(LOST_UPGRADE.strip())
