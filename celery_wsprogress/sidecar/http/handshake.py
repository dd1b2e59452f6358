"""Checks before the WebSocket handshake: reject a request, or give it a first permit.

:mod:`.request_handler` calls these functions. They are pure: from a request and the settings to a
decision.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from celery_wsprogress.access.addresses import client_address
from celery_wsprogress.access.pages import (
    FILE_PAGES,
    OPAQUE,
    cookies_allowed,
    host_allowed,
    may_read,
    origin_allowed,
)
from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.sidecar.http.refusals import RefusedHeader
from celery_wsprogress.sidecar.http.routes import TEXT, HTTPAnswer, is_public

if TYPE_CHECKING:
    from celery_wsprogress.access.tokens import TokenVerifier
    from celery_wsprogress.settings import ServeSettings

METHODS: Final = ("GET", "HEAD", "OPTIONS")
ALLOW: Final = ", ".join(METHODS)

PREFLIGHT_MAX_AGE: Final = 600
"""Seconds for which a browser keeps the answer to a preflight."""

LOST_UPGRADE: Final = (
    "This WebSocket handshake came without its Upgrade header: the proxy before this server does "
    "not pass it on. For nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
    'proxy_set_header Connection "upgrade";\n'
)


def reject_reason(request: Request, settings: ServeSettings) -> HTTPAnswer | None:
    """Return the response that rejects a request; None where the request may be served."""
    host = single_header(request.headers, "Host")
    if host is None and is_public(request.path):
        # A load balancer's check in HTTP/1.0. Browsers always send Host (RFC 9112, section 3.2).
        return None
    header = refused_header(request, settings)
    if header is not None:
        option = f" ({header.option})" if header.option else ""
        text = f"{_REASONS[header.option]}{option}\n"
        return HTTPAnswer(HTTPStatus.FORBIDDEN, text.encode(), TEXT)
    if not _may_read(request.headers):
        return HTTPAnswer(HTTPStatus.FORBIDDEN, b"Pages of other sites may not load this\n", TEXT)
    if request.method not in METHODS:
        return HTTPAnswer(HTTPStatus.METHOD_NOT_ALLOWED, f"{ALLOW} only\n".encode(), TEXT)
    return None


def refused_header(request: Request, settings: ServeSettings) -> RefusedHeader | None:
    """Return the host name or origin that is not allowed; None where both are."""
    host = single_header(request.headers, "Host")
    names = (settings.host, *settings.hosts)
    if not host_allowed(host, names):
        name = re.sub(r":\d*$", "", host or "")
        if host and host_allowed(name, names):
            return RefusedHeader("host name", "", host)
        return RefusedHeader("host name", "--allow-host", name)
    origin = single_header(request.headers, "Origin")
    if not origin_allowed(origin, host, settings.origins, file_pages=settings.file_pages):
        option = "--file-pages" if origin in FILE_PAGES else "--origin"
        return RefusedHeader("origin", option, origin or "")
    return None


def _may_read(headers: Headers) -> bool:
    names = ("Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest")
    return may_read(*(single_header(headers, name) for name in names))


_REASONS: Final = {
    "": "The port in this Host is impossible",
    "--allow-host": "This host name is not served here",
    "--origin": "Pages of this origin may not connect here",
    "--file-pages": "Pages from disk may not connect here",
}


def reject_lost_upgrade(request: Request) -> HTTPAnswer | None:
    """Return the response to a handshake that lost its ``Upgrade`` header in a proxy; else None.

    ``Upgrade`` and ``Connection`` are for one hop only (RFC 9110, section 7.6.1): a proxy that is
    not configured to pass them on drops them, and sends the rest of the handshake.
    """
    if "Sec-WebSocket-Key" not in request.headers:
        return None
    return HTTPAnswer(HTTPStatus.UPGRADE_REQUIRED, LOST_UPGRADE.encode(), TEXT)


def permit_for(
    request: Request | None, settings: ServeSettings, verifier: TokenVerifier | None
) -> Permit:
    """Return the permit that a request begins with, before any token.

    A page from disk may only watch exact ids, and one that may as well be a frame of any website
    (``Origin: null``) is not trusted.
    """
    origin = request.headers.get("Origin") if request else None
    without_key = settings.exact_only and verifier is None
    return Permit(
        verifier,
        exact_only=origin in FILE_PAGES or without_key,
        untrusted=origin == OPAQUE,
        cancels_unverified=settings.allow_cancel,
    )


def address_of(peer: str, request: Request, settings: ServeSettings) -> str:
    """Return the address that a request comes from, behind the proxies that are listed.

    Args:
        peer: The address that its connection comes from.
        request: It.
        settings: Which proxies are listed.
    """
    forwarded_for = request.headers.get_all("X-Forwarded-For")
    return client_address(peer, forwarded_for, settings.trusted_proxies)


def is_handshake(request: Request) -> bool:
    """Return whether a request asks for a WebSocket."""
    upgrade = single_header(request.headers, "Upgrade") or ""
    return request.method == "GET" and upgrade.lower() == "websocket"


def operation_id_in_path(path: str) -> str:
    """Return the id in ``/ws/<operation_id>``; an empty string for any other path."""
    prefix, _, operation_id = path.partition("?")[0].partition("/ws/")
    return "" if prefix else unquote(operation_id)


def single_header(headers: Headers, name: str) -> str | None:
    """Return the only value of a header; None without one.

    A header that is sent twice gives an empty string, which no rule allows.
    """
    values = headers.get_all(name)
    if len(values) > 1:
        return ""
    return values[0] if values else None


def to_http_response(answer: HTTPAnswer) -> Response:
    """Return the answer as a response of websockets."""
    headers = Headers()
    headers["Content-Type"] = answer.content_type
    headers["Content-Length"] = str(len(answer.body))
    headers["Cache-Control"] = "no-store"
    headers["X-Content-Type-Options"] = "nosniff"
    # Without it an element of any page could load the answer (Fetch standard, section 3.7).
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers["Connection"] = "close"
    if answer.status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ALLOW
    if answer.status is HTTPStatus.UPGRADE_REQUIRED:
        headers["Upgrade"] = "websocket"
    if answer.retry_after is not None:
        headers["Retry-After"] = str(answer.retry_after)
    return Response(answer.status, answer.status.phrase, headers, answer.body)


def without_body(response: Response) -> Response:
    """Return the response to ``HEAD``: the headers alone, with the length of the body."""
    response.body = b""
    return response


def options_response() -> Response:
    """Return the response to ``OPTIONS``, which is also that to a preflight of CORS."""
    headers = Headers()
    headers["Allow"] = ALLOW
    headers["Access-Control-Allow-Methods"] = ALLOW
    headers["Access-Control-Allow-Headers"] = "Authorization, Last-Event-ID"
    headers["Access-Control-Max-Age"] = str(PREFLIGHT_MAX_AGE)
    headers["Content-Length"] = "0"
    headers["Connection"] = "close"
    return Response(HTTPStatus.NO_CONTENT, HTTPStatus.NO_CONTENT.phrase, headers)


def share_with_page(response: Response, headers: Headers, settings: ServeSettings) -> None:
    """Let the page that sent a request read the response, as CORS has it.

    Its origin was allowed, but in a check without ``Host`` (:func:`reject_reason`), which no page
    sends. One that may be any website's (``null``) is not told apart from others, so it reads
    nothing. A page whose cookies count reads the response to a request with cookies, too.
    """
    origin, host = single_header(headers, "Origin"), single_header(headers, "Host")
    if "Access-Control-Allow-Origin" not in response.headers:
        response.headers["Vary"] = "Origin"
        if not host or not origin or origin in FILE_PAGES:
            return
        response.headers["Access-Control-Allow-Origin"] = origin
    uses_cookies = settings.permit is not None or settings.token_cookie is not None
    if uses_cookies and cookies_allowed(origin, host, settings.origins):
        response.headers["Access-Control-Allow-Credentials"] = "true"
