"""The decision before a WebSocket handshake: reject, answer over HTTP, or go on.

:class:`.Sidecar` gives :meth:`RequestHandler.process` to websockets as ``process_request``. It asks
:mod:`.handshake` whether the request is allowed, :mod:`.static_files` for the browser modules and
:mod:`.routes` for everything else that is not a WebSocket. A stream of events is sent before it
answers.

Runs in: the event loop.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from celery_wsprogress.access.addresses import address_key
from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.errors import TokenError
from celery_wsprogress.hub.steps import take_all
from celery_wsprogress.sidecar.connection import ProgressConnection
from celery_wsprogress.sidecar.http.event_requests import (
    REFUSALS,
    as_events,
    path_of_operation,
    watched_in,
)
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
from celery_wsprogress.sidecar.http.limit_refusals import refuse
from celery_wsprogress.sidecar.http.refusals import describe_refusal
from celery_wsprogress.sidecar.http.root_path import (
    is_root_without_slash,
    redirect_to_root,
    without_root,
)
from celery_wsprogress.sidecar.http.routes import (
    HTTPAnswer,
    RequestContext,
    is_public,
    needs_all_processes,
    not_started,
    route,
    service_unavailable,
    unauthorized,
)
from celery_wsprogress.sidecar.http.static_files import respond_with_file
from celery_wsprogress.sidecar.limits.stepped_work import SteppedWork

if TYPE_CHECKING:
    from collections.abc import Callable
    from http import HTTPStatus

    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

    from celery_wsprogress.hub.hub import Hub
    from celery_wsprogress.settings import ServeSettings
    from celery_wsprogress.sidecar.access.authorizer import Authorizer
    from celery_wsprogress.sidecar.ingest.startup_replay import StartupReplay
    from celery_wsprogress.sidecar.metrics.collector import MetricsCollector
    from celery_wsprogress.sidecar.metrics.definitions import Samples
    from celery_wsprogress.sidecar.multiprocess.supervisor_link import SupervisorLink
    from celery_wsprogress.sidecar.streams.event_responder import EventResponder

logger = logging.getLogger(__name__)


class RequestHandler:
    """Decides about each request on the port.

    Args:
        settings: How the sidecar serves.
        authorizer: Gives each request its permit.
        hub: The operations, for ``/operations``.
        events: Answers with the events of an operation.
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
        events: EventResponder,
        startup_replay: StartupReplay,
        metrics: MetricsCollector,
        report: Callable[[], Samples],
        link: SupervisorLink | None,
    ) -> None:
        self._settings = settings
        self._authorizer = authorizer
        self._hub = hub
        self._events = events
        self._startup_replay = startup_replay
        self._metrics = metrics
        self._report = report
        self._link = link
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

    def log_failed_handshake(
        self, connection: ServerConnection, _request: Request, response: Response
    ) -> None:
        """Log a handshake that websockets has refused; to be called with every response."""
        if connection.protocol.handshake_exc is not None and isinstance(
            connection, ProgressConnection
        ):
            status = f"{response.status_code} {response.reason_phrase}"
            text = f"Refused a handshake from {connection.who}: {status}"
            connection.limits.log.write("handshake", text, client=connection.address)

    async def _decide(self, connection: ServerConnection, request: Request) -> Response | None:
        assert isinstance(connection, ProgressConnection)  # noqa: S101 - see Sidecar._serve
        connection.address = address_of(connection.address, request, self._settings)
        # The turns of who comes through a listed proxy count for the client's own address.
        connection.input.address = address_key(connection.address)
        asked, root = request.path, self._settings.root_path
        request.path = without_root(asked, root)
        rejection = reject_reason(request, self._settings)
        if rejection is not None:
            self._log_rejection(connection, request, rejection.status)
            response = to_http_response(rejection)
            return without_body(response) if request.method == "HEAD" else response
        if not is_handshake(request):
            is_outside = is_root_without_slash(asked, root)
            response = (
                redirect_to_root(asked, root)
                if is_outside
                else await self._respond(connection, request)
            )
            share_with_page(response, request.headers, self._settings)
            return without_body(response) if request.method == "HEAD" else response
        refusal = self._admit(connection) or await self._wait_for_replay()
        refusal = refusal or await self._give_permit(connection, request)
        return None if refusal is None else to_http_response(refusal)

    async def _give_permit(
        self, connection: ProgressConnection, request: Request
    ) -> HTTPAnswer | None:
        """Give a WebSocket its first permit, or return the response that refuses it."""
        try:
            connection.permit = await self._authorizer.permit_for(request)
        except TokenError as exc:
            return _unauthorized(connection, exc)
        if not connection.hold_subjects():
            return refuse("subject", connection)
        _take_budget(connection, connection.permit)
        return None

    async def _wait_for_replay(self) -> HTTPAnswer | None:
        """Wait until the log was read. Return the response to a handshake that cannot be served."""
        replay_done = await self._startup_replay.wait()
        if self._metrics.stopping:
            return service_unavailable("Stopping")
        return None if replay_done else not_started(self._report())

    def _admit(self, connection: ProgressConnection) -> HTTPAnswer | None:
        """Let a client stay, or return the response that refuses it for now."""
        limit = connection.limits.admission.admit(connection, connection.input.address)
        return None if limit is None else refuse(limit, connection)

    def _log_rejection(
        self, connection: ProgressConnection, request: Request, status: HTTPStatus
    ) -> None:
        header = refused_header(request, self._settings)
        log, client = connection.limits.log, connection.who
        if header is not None:
            connection.limits.admission.refused[header.what.partition(" ")[0]] += 1
            text = describe_refusal(header, client)
            log.write(header.what, text, client=connection.address, level=logging.WARNING)
        else:
            text = f"Refused a request from {client}: {status:d} {status.phrase}"
            log.write(f"{status:d}", text, client=connection.address)

    async def _respond(self, connection: ProgressConnection, request: Request) -> Response:
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
        watched = watched_in(request)
        if watched is not None:
            return await self._respond_with_events(connection, request, watched)
        permit = Permit(None)
        if not is_public(request.path):
            try:
                permit = await self._authorizer.permit_for(request)
            except TokenError as exc:
                return to_http_response(_unauthorized(connection, exc))
            _take_budget(connection, permit)
        if self._link is not None and needs_all_processes(request.path):
            await self._link.refresh()
        return to_http_response(await self._route(connection, request.path, permit))

    async def _respond_with_events(
        self, connection: ProgressConnection, request: Request, operation_id: str
    ) -> Response:
        # As a WebSocket, before it waits: it counts from then on.
        answer = self._admit(connection) or await self._wait_for_replay()
        if answer is None:
            try:
                permit = await self._authorizer.permit_for(request)
            except TokenError as exc:
                return to_http_response(_unauthorized(connection, exc))
            _take_budget(connection, permit)
            answer = await self._route(connection, path_of_operation(request), permit)
            if answer.status not in REFUSALS:
                return await self._events.respond(connection, request, operation_id, permit)
        return to_http_response(as_events(answer, request))

    async def _route(
        self, connection: ProgressConnection, target: str, permit: Permit
    ) -> HTTPAnswer:
        """Return what :mod:`.routes` answers for a path, in turns of the client."""
        context = RequestContext(
            hub=self._hub,
            permit=permit,
            timestamp=time.time(),
            report=self._report,
            replay_done=self._startup_replay.done,
        )
        steps = route(target, context)
        if is_public(target):
            # Whether the sidecar is alive must be seen also while clients use up their budgets.
            return take_all(steps)
        client = connection.input
        work = SteppedWork(steps, client.address, client.budget)
        return await work.run(connection.limits.turns)

    def _warn_of_lost_upgrade(self) -> None:
        if not self._warned_of_lost_upgrade:
            self._warned_of_lost_upgrade = True
            logger.warning(LOST_UPGRADE.strip())


def _take_budget(connection: ProgressConnection, permit: Permit) -> None:
    if permit.untrusted:
        connection.input.budget = connection.limits.new_budget(trusted=False)


def _unauthorized(connection: ProgressConnection, exc: TokenError) -> HTTPAnswer:
    connection.limits.admission.refused["token"] += 1
    text = f"Refused a request from {connection.who}: {exc}"
    connection.limits.log.write("401", text, client=connection.address)
    return unauthorized(exc)
