"""HTTP of the ASGI application: the routes and files of the sidecar, and streams of events.

Runs in: the event loop.
"""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from websockets.datastructures import Headers
from websockets.http11 import Response

from celery_wsprogress.access.addresses import address_key
from celery_wsprogress.access.permissions import Permit
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
from celery_wsprogress.sidecar.http.event_requests import (
    REFUSALS,
    as_events,
    headers_of_events,
    path_of_operation,
    watched_in,
)
from celery_wsprogress.sidecar.http.handshake import (
    options_response,
    share_with_page,
    to_http_response,
    without_body,
)
from celery_wsprogress.sidecar.http.routes import HTTPAnswer, RequestContext, is_public, route
from celery_wsprogress.sidecar.http.static_files import respond_with_file
from celery_wsprogress.sidecar.limits.stepped_work import SteppedWork
from celery_wsprogress.sidecar.streams.event_stream import EventStream

if TYPE_CHECKING:
    from websockets.http11 import Request

    from celery_wsprogress.asgi.messages import Scope
    from celery_wsprogress.asgi.service import ProgressService
    from celery_wsprogress.sidecar.streams.channel import Channel


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
    response: Response | None
    try:
        check_method(request)
        if not is_public(path):
            check_page(request, service, scope)
    except Refused as exc:
        response = to_http_response(exc.answer)
    else:
        response = await _respond_to_page(service, request, scope, channel)
    if response is not None:
        await send_response(
            channel.send, without_body(response) if request.method == "HEAD" else response
        )


async def _respond_to_page(
    service: ProgressService, request: Request, scope: Scope, channel: Channel
) -> Response | None:
    """Return the response to a client that may connect; None where it was sent already."""
    watched = watched_in(request)
    response: Response | None
    try:
        if watched is None:
            response = await _respond(service, request, scope)
        else:
            response = await _respond_with_events(service, request, watched, scope, channel)
    except Refused as exc:
        answer = exc.answer if watched is None else as_events(exc.answer, request)
        response = to_http_response(answer)
    if response is not None:
        share_with_page(response, request.headers, service.settings)
    return response


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


async def _respond_with_events(
    service: ProgressService,
    request: Request,
    operation_id: str,
    scope: Scope,
    channel: Channel,
) -> Response | None:
    """Send the events of an operation. Return the response where the head alone is asked for.

    Raises:
        Refused: the client may not watch it, or not now.
    """
    await wait_for_replay(service)
    permit = await permit_of(request, service, scope)
    answer = await _route(service, request, permit, scope, path_of_operation(request))
    if answer.status in REFUSALS:
        raise Refused(answer)
    if request.method == "HEAD":
        return headers_of_events(request, service.settings)
    stream = EventStream.of(
        request,
        operation_id,
        *channel,
        hub=service.hub,
        settings=service.settings,
        permit=permit,
        address=address_of(request, service, scope),
        limits=service.limits,
    )
    admit(service, stream)
    try:
        await stream.serve(service.connections)
    finally:
        service.limits.admission.end(stream)
    return None
