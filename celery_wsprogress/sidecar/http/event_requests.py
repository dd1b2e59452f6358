"""Requests for server-sent events, and what an ``EventSource`` is told that cannot be served now.

``EventSource`` connects again where a connection breaks or a response ends, and never again after
any other status than 200 (HTML Standard, section 9.2.3). So one that asks for ``text/event-stream``
gets no 503: its response says when to come back, and ends.

Pure, but for chance.
"""

from __future__ import annotations

import random
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from celery_wsprogress.protocol.events import MAX_ID_LENGTH
from celery_wsprogress.sidecar.http.handshake import (
    share_with_page,
    single_header,
    to_http_response,
)
from celery_wsprogress.sidecar.http.routes import RETRY_AFTER, HTTPAnswer

if TYPE_CHECKING:
    from websockets.http11 import Request, Response

    from celery_wsprogress.settings import ServeSettings

PATH_END: Final = "/events"

NOTHING_SEEN: Final = "none"
"""Stands for the id of the last event that a new client has seen: no log has it."""

EVENT_STREAM: Final = "text/event-stream"

CONTENT_TYPE: Final = f"{EVENT_STREAM}; charset=utf-8"

REFUSALS: Final = frozenset(
    {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE}
)
"""Of the answer about an operation: what refuses its events, too."""


def watched_in(request: Request) -> str | None:
    """Return the id in ``/operations/<id>/events``; None for any other request."""
    prefix, _, rest = request.path.partition("?")[0].partition("/operations/")
    if request.method not in {"GET", "HEAD"} or prefix or not rest.endswith(PATH_END):
        return None
    operation_id = unquote(rest.removesuffix(PATH_END))
    # A star would subscribe to everything.
    is_id = operation_id not in {"", "*"} and len(operation_id) <= MAX_ID_LENGTH
    return operation_id if is_id else None


def path_of_operation(request: Request) -> str:
    """Return the path that answers with the operation whose events are asked for."""
    return request.path.partition("?")[0].removesuffix(PATH_END)


def subscription(request: Request, operation_id: str) -> dict[str, Any]:
    """Return the command that a request for events stands for."""
    return {
        "command": "subscribe",
        "operation_id": operation_id,
        "since": single_header(request.headers, "Last-Event-ID") or NOTHING_SEEN,
        "resync": True,
    }


def headers_of_events(request: Request, settings: ServeSettings) -> Response:
    """Return a response with events, without them."""
    response = to_http_response(HTTPAnswer(HTTPStatus.OK, b"", CONTENT_TYPE))
    # It ends with its connection.
    del response.headers["Content-Length"]
    # nginx would hold events back (ngx_http_proxy_module, `proxy_buffering`).
    response.headers["X-Accel-Buffering"] = "no"
    share_with_page(response, request.headers, settings)
    return response


def retry_field(seconds: int) -> bytes:
    """Return when to connect again, for a browser: within a second of ``seconds``.

    So pages do not come back all at once.
    """
    milliseconds = 1_000 * seconds
    return b"retry: %d\n\n" % random.randint(milliseconds - 1_000, milliseconds + 1_000)  # noqa: S311


def as_events(answer: HTTPAnswer, request: Request) -> HTTPAnswer:
    """Return the answer to a request whose events are refused, as its client understands it."""
    accepted = single_header(request.headers, "Accept")
    if answer.status is not HTTPStatus.SERVICE_UNAVAILABLE or accepted != EVENT_STREAM:
        return answer
    body = b": " + answer.body + retry_field(RETRY_AFTER)
    return HTTPAnswer(HTTPStatus.OK, body, CONTENT_TYPE)
