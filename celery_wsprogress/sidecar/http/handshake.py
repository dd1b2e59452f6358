"""Before the handshake: who is refused, and what a settings file may not open.

Pure functions from a request, or from settings, to a decision.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from celery_wsprogress.access.permissions import host_allowed, origin_allowed
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.sidecar.http.refusals import Refused
from celery_wsprogress.sidecar.http.routes import TEXT, HTTPAnswer, is_open
from celery_wsprogress.urls import is_loopback

if TYPE_CHECKING:
    from celery_wsprogress.settings import ServeSettings

LOST_UPGRADE: Final = (
    "This WebSocket handshake came without its Upgrade header: the proxy before this server does "
    "not pass it on. For nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
    'proxy_set_header Connection "upgrade";\n'
)


def check_exposure(settings: ServeSettings) -> None:
    """Refuse settings that would show operations to people who were not asked.

    Raises:
        ConfigurationError: a public address has neither a key nor ``insecure`` nor
            ``exact_only``, or
            ``monitor_unsubscribed`` is on together with a key.
    """
    if not settings.may_be_served:
        raise ConfigurationError(
            "wsprogress_host",
            settings.host,
            "a loopback address unless a key (WSPROGRESS_KEY) is set, or --exact-only or "
            "--insecure is given",
        )
    if settings.monitor_unsubscribed and settings.key is not None:
        raise ConfigurationError("wsprogress_monitor_unsubscribed", True, "off once a key is set")


def exposure(settings: ServeSettings) -> str | None:
    """What others may do who reach a public address; None where it is closed to them."""
    if settings.key is not None or is_loopback(settings.host):
        return None
    if settings.exact_only:
        return "whoever reaches it may watch every operation whose id they know"
    return "whoever reaches it may list and watch every operation, results included"


def reject_reason(request: Request, settings: ServeSettings) -> HTTPAnswer | None:
    """Why a request is not served, or None when it is."""
    host = single_header(request.headers, "Host")
    if host is None and is_open(request.path):
        # A balancer's check in HTTP/1.0. Browsers always name the host (RFC 9112, 3.2).
        return None
    refused = foreign(request, settings)
    if refused is not None:
        text = f"{_WHY[refused.option]} ({refused.option})\n"
        return HTTPAnswer(HTTPStatus.FORBIDDEN, text.encode(), TEXT)
    if request.method != "GET":
        return HTTPAnswer(HTTPStatus.METHOD_NOT_ALLOWED, b"Only GET is served here\n", TEXT)
    return None


def foreign(request: Request, settings: ServeSettings) -> Refused | None:
    """The host name or the origin of a request that may not be; None where both may."""
    host = single_header(request.headers, "Host")
    if not host_allowed(host, (settings.host, *settings.hosts)):
        name = re.sub(r":\d*$", "", host or "")
        return Refused("host name", "--allow-host", name)
    origin = single_header(request.headers, "Origin")
    if not origin_allowed(origin, host, settings.origins):
        return Refused("origin", "--origin", origin or "")
    return None


_WHY: Final = {
    "--allow-host": "This host name is not served here",
    "--origin": "Pages of this origin may not connect here",
}


def lost_upgrade(request: Request) -> HTTPAnswer | None:
    """What is said where a proxy has taken the upgrade out of a WebSocket handshake.

    ``Upgrade`` and ``Connection`` are for one hop only (RFC 9110, 7.6.1): a proxy that was not told
    to pass them on drops them, and sends the rest of the handshake.
    """
    if "Sec-WebSocket-Key" not in request.headers:
        return None
    return HTTPAnswer(HTTPStatus.UPGRADE_REQUIRED, LOST_UPGRADE.encode(), TEXT)


def operation_id_of(path: str) -> str:
    """The id in ``/ws/<operation_id>``, or an empty text."""
    prefix, _, operation_id = path.partition("?")[0].partition("/ws/")
    return "" if prefix else unquote(operation_id)


def single_header(headers: Headers, name: str) -> str | None:
    """A header's only value, or None. One that is sent twice is as good as a foreign one."""
    values = headers.get_all(name)
    if len(values) > 1:
        return ""
    return values[0] if values else None


def response(answer: HTTPAnswer) -> Response:
    """An answer as websockets sends it."""
    headers = Headers()
    headers["Content-Type"] = answer.content_type
    headers["Content-Length"] = str(len(answer.body))
    headers["Cache-Control"] = "no-store"
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Connection"] = "close"
    if answer.status is HTTPStatus.UPGRADE_REQUIRED:
        headers["Upgrade"] = "websocket"
    if answer.retry_after is not None:
        headers["Retry-After"] = str(answer.retry_after)
    return Response(answer.status, answer.status.phrase, headers, answer.body)
