"""HTTP of the ASGI application: the routes and files of the sidecar, and streams of events.

Runs in: the event loop.
"""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from websockets.datastructures import Headers
from websockets.http11 import Response

from celery_wsprogress.access.addresses import address_key
from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.asgi.event_stream import PATH_END, EventStream, subscription, watched_in
from celery_wsprogress.asgi.messages import send_response, to_request
from celery_wsprogress.asgi.requests import (
    Refused,
    address_of,
    admit,
    check_method,
    check_page,
    permit_of,
    wait_for_replay,
)
from celery_wsprogress.sidecar.http.handshake import (
    options_response,
    share_with_page,
    single_header,
    to_http_response,
    without_body,
)
from celery_wsprogress.sidecar.http.routes import HTTPAnswer, RequestContext, is_public, route
from celery_wsprogress.sidecar.http.static_files import respond_with_file
from celery_wsprogress.sidecar.limits.stepped_work import SteppedWork

if TYPE_CHECKING:
    from websockets.http11 import Request

    from celery_wsprogress.asgi.messages import Channel, Scope
    from celery_wsprogress.asgi.service import ProgressService

_REFUSALS: Final = frozenset(
    {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE}
)
"""Of the answer about an operation: what refuses its events, too."""


async def answer_request(
    service: ProgressService, path: str, scope: Scope, channel: Channel
) -> None:
    """Answer a request.

    Args:
        service: What is served.
        path: The path below the prefix.
        scope: The request.
        channel: Where the answer goes.
    """
    request = to_request(scope, path)
    operation_id = watched_in(path)
    try:
        check_method(request)
        if not is_public(path):
            check_page(request, service, scope)
        if operation_id is not None and request.method == "GET":
            await _stream(service, request, operation_id, scope, channel)
            return
        response = await _respond(service, request, scope)
    except Refused as exc:
        response = to_http_response(exc.answer)
    else:
        _share(response, request, service)
    await send_response(
        channel.send, without_body(response) if request.method == "HEAD" else response
    )


async def _respond(service: ProgressService, request: Request, scope: Scope) -> Response:
    if request.method == "OPTIONS":
        return options_response()
    path = request.path.partition("?")[0]
    if not path:
        # Behind a slash, so that the addresses in the page are below it.
        location = f"{scope['path'].rpartition('/')[2]}/"
        headers = Headers({"Location": location, "Content-Length": "0"})
        return Response(HTTPStatus.TEMPORARY_REDIRECT, "", headers)
    file = respond_with_file(request, service.settings.flower_url)
    if file is not None:
        return file
    permit = Permit(None) if is_public(path) else await permit_of(request, service, scope)
    return to_http_response(await _route(service, request, permit, scope))


async def _route(
    service: ProgressService, request: Request, permit: Permit, scope: Scope, path: str = ""
) -> HTTPAnswer:
    """Return what the sidecar would answer, in turns of the client."""
    context = RequestContext(
        hub=service.hub,
        permit=permit,
        timestamp=time.time(),
        report=service.metrics.report,
        replay_done=service.replay.done,
    )
    address = address_key(address_of(request, service, scope))
    budget = service.limits.new_budget(trusted=not permit.untrusted)
    work = SteppedWork(route(path or request.path, context), address, budget)
    return await work.run(service.limits.turns)


async def _stream(
    service: ProgressService,
    request: Request,
    operation_id: str,
    scope: Scope,
    channel: Channel,
) -> None:
    """Answer with the events of an operation.

    Raises:
        Refused: the client may not watch it, or not now.
    """
    await wait_for_replay(service)
    permit = await permit_of(request, service, scope)
    about = request.path.partition("?")[0].removesuffix(PATH_END)
    answer = await _route(service, request, permit, scope, about)
    if answer.status in _REFUSALS:
        raise Refused(answer)
    shared = Response(HTTPStatus.OK, "", Headers())
    _share(shared, request, service)
    stream = EventStream(
        *channel,
        permit=permit,
        address=address_of(request, service, scope),
        limits=service.limits,
        first_command=subscription(operation_id, single_header(request.headers, "Last-Event-ID")),
        hub=service.hub,
        operation_id=operation_id,
        keep_alive=service.settings.heartbeat,
        headers=dict(shared.headers.raw_items()),
    )
    admit(service, stream)
    try:
        await stream.serve(service.connections)
    finally:
        service.limits.admission.end(stream)


def _share(response: Response, request: Request, service: ProgressService) -> None:
    """Let the page that sent a request read the response, also where it sends cookies."""
    share_with_page(response, request.headers)
    if service.settings.permit is not None and response.headers.get("Access-Control-Allow-Origin"):
        response.headers["Access-Control-Allow-Credentials"] = "true"
