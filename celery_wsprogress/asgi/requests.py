"""What is decided about a request before it is served: its page, its client, its rights.

Which host names there are is the user's server's own affair, unless everything is open. Which pages
may connect is checked here: browsers add cookies also where a page of another site opens a
WebSocket or a stream.

Runs in: the event loop.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from celery_wsprogress.access.addresses import address_key, client_address
from celery_wsprogress.access.pages import (
    cookies_allowed,
    host_allowed,
    may_read,
    origin_allowed,
)
from celery_wsprogress.errors import TokenError
from celery_wsprogress.sidecar.http.handshake import ALLOW, METHODS, single_header
from celery_wsprogress.sidecar.http.routes import (
    TEXT,
    HTTPAnswer,
    not_started,
    service_unavailable,
    unauthorized,
)

if TYPE_CHECKING:
    from websockets.http11 import Request

    from celery_wsprogress.access.permissions import Permit
    from celery_wsprogress.asgi.messages import Scope
    from celery_wsprogress.asgi.service import ProgressService
    from celery_wsprogress.sidecar.streams.sent_connection import SentConnection

_FETCH_HEADERS: Final = ("Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest")
_OTHER_SITE: Final = b"Pages of this origin may not connect here (origins)\n"
_OTHER_HOST: Final = b"This host name is not served here (hosts)\n"


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, answer: HTTPAnswer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def check_page(request: Request, service: ProgressService, scope: Scope) -> None:
    """Refuse a request of a page that may not connect.

    Where a function of the application decides, by cookies or whatever else a browser adds, that
    is every page but those of the same host and of the listed origins.

    Raises:
        Refused: it may not.
    """
    settings, headers = service.settings, request.headers
    origin, host = single_header(headers, "Origin"), single_header(headers, "Host")
    # Of a server that is open, a page of any site could read all, by a name that leads to it.
    is_open = not settings.needs_tokens and not settings.exact_only
    if (is_open or settings.hosts) and not host_allowed(host, settings.hosts):
        raise Refused(HTTPAnswer(HTTPStatus.FORBIDDEN, _OTHER_HOST, TEXT))
    if settings.permit is not None:
        allowed = cookies_allowed(origin, host, settings.origins)
    else:
        allowed = origin_allowed(origin, host, settings.origins, file_pages=settings.file_pages)
    # A handshake has no mode that its page may choose; browsers always send its origin.
    readable = scope["type"] == "websocket" or may_read(
        *(single_header(headers, name) for name in _FETCH_HEADERS)
    )
    if not allowed or not readable:
        service.limits.log.write("origin", "Refused a request of a page of another origin")
        raise Refused(HTTPAnswer(HTTPStatus.FORBIDDEN, _OTHER_SITE, TEXT))


def check_method(request: Request) -> None:
    """Refuse a request that would change anything.

    Raises:
        Refused: it has another method than those of the sidecar.
    """
    if request.method not in METHODS:
        text = f"{ALLOW} only\n".encode()
        raise Refused(HTTPAnswer(HTTPStatus.METHOD_NOT_ALLOWED, text, TEXT))


def address_of(request: Request, service: ProgressService, scope: Scope) -> str:
    """Return the address of the client, behind the proxies that are listed."""
    peer = (scope.get("client") or ("",))[0]
    forwarded_for = request.headers.get_all("X-Forwarded-For")
    return client_address(peer, forwarded_for, service.settings.trusted_proxies)


async def permit_of(request: Request, service: ProgressService, scope: Scope) -> Permit:
    """Return what the client may do.

    Raises:
        Refused: the function of the application refuses, or a token is not valid.
    """
    try:
        return await service.authorizer.permit_for(
            request, scope if service.asks_by_scope else None
        )
    except TokenError as exc:
        service.limits.log.write("401", f"Refused a request: {exc}")
        raise Refused(unauthorized(exc)) from None


async def wait_for_replay(service: ProgressService) -> None:
    """Wait until the log was read.

    Raises:
        Refused: it takes long, or the server stops.
    """
    done = await service.replay.wait()
    if service.metrics.stopping:
        raise Refused(service_unavailable("Stopping"))
    if not done:
        raise Refused(not_started(service.metrics.report()))


def admit(service: ProgressService, one: SentConnection) -> None:
    """Count a connection, until :meth:`.Admission.end` is called with it.

    Raises:
        Refused: there are too many.
    """
    limit = service.limits.admission.admit(one, address_key(one.address))
    if limit is not None:
        service.limits.log.write(limit, f"Refused a connection from {one.who}: too many ({limit})")
        raise Refused(service_unavailable("Too many connections"))
    if not one.hold_subjects():
        service.limits.admission.end(one)
        raise Refused(service_unavailable("Too many connections of the holder of this token"))
