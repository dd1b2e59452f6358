"""The plain HTTP side of the port: GET, a few paths, short answers.

Pure functions from a request to a response; :mod:`.server` calls them before a WebSocket
handshake. Health is open to everyone; the rest follows the rules of the commands.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, unquote

from celery_wsprogress.errors import CommandError, TokenError
from celery_wsprogress.hub.list_page import list_operations
from celery_wsprogress.protocol.messages import encode_frame
from celery_wsprogress.sidecar.metrics.definitions import readiness, stats, to_prometheus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from celery_wsprogress.access.permissions import Permit
    from celery_wsprogress.hub.hub import Hub
    from celery_wsprogress.sidecar.metrics.definitions import Samples

TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"
PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"

STARTING: Final = "The log is still being read"

RETRY_AFTER: Final = 5
"""Seconds after which who was sent away may come back."""


@dataclass(frozen=True, slots=True)
class HTTPAnswer:
    """A response: its status, the type of its body, and the body."""

    status: HTTPStatus
    body: bytes
    content_type: str = JSON
    retry_after: int | None = None
    """Seconds after which the question may be asked again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext:
    """What the answers are made of, at one moment."""

    hub: Hub
    permit: Permit
    now: float
    report: Callable[[], Samples]
    """Makes the figures; see :mod:`.definitions`."""
    rebuilt: bool = True
    """Whether the operations are known; before that nobody is told how one stands."""


def respond(target: str, authorization: str | None, view: RequestContext) -> HTTPAnswer:
    """Answer a GET that asks for no WebSocket.

    Args:
        target: The request's path with its query.
        authorization: The header, for a ``Bearer`` token.
        view: What to answer from.
    """
    path, _, query = target.partition("?")
    if path in _PUBLIC_ROUTES:
        return _PUBLIC_ROUTES[path](view, query)
    if authorization is not None:
        try:
            view.permit.add(_bearer(authorization), now=view.now)
        except TokenError as exc:
            return _json(HTTPStatus.UNAUTHORIZED, {"error": str(exc), "code": "unauthorized"})
    if path in _AUTHORIZED_ROUTES:
        return _AUTHORIZED_ROUTES[path](view, query)
    prefix, _, operation_id = path.partition("/operations/")
    if not prefix and operation_id:
        return _operation(view, unquote(operation_id))
    return _json(HTTPStatus.NOT_FOUND, {"error": "There is nothing here", "code": "not_found"})


def needs_all_processes(target: str) -> bool:
    """Whether a path is answered for all processes of the sidecar, and not for one of them."""
    return target.partition("?")[0] in _ALL_PROCESSES_ROUTES


def is_open(target: str) -> bool:
    """Whether a path is answered to everyone."""
    return target.partition("?")[0] in _PUBLIC_ROUTES


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _health(_view: RequestContext, _query: str) -> HTTPAnswer:
    return HTTPAnswer(HTTPStatus.OK, b"ok\n", TEXT)


def _ready(view: RequestContext, _query: str) -> HTTPAnswer:
    found = readiness(view.report())
    status = HTTPStatus.OK if found["ready"] else HTTPStatus.SERVICE_UNAVAILABLE
    return _json(status, found)


def _status(view: RequestContext, _query: str) -> HTTPAnswer:
    if not view.permit.may_count(view.now):
        return _refused(view)
    found = {"available": True, "running": True, "stats": stats(view.report())}
    return _json(HTTPStatus.OK, found)


def _metrics(view: RequestContext, _query: str) -> HTTPAnswer:
    if not view.permit.may_count(view.now):
        return _refused(view)
    return HTTPAnswer(HTTPStatus.OK, to_prometheus(view.report()).encode(), PROMETHEUS)


def _operations(view: RequestContext, query: str) -> HTTPAnswer:
    if not view.permit.may_list(view.now):
        return _refused(view)
    if not view.rebuilt:
        return service_unavailable(STARTING)
    fields: dict[str, Any] = {name: values[-1] for name, values in parse_qs(query).items()}
    limit = fields.get("limit", "")
    # Python refuses to read thousands of digits as a number; so does the list, of a text.
    if limit.isdecimal() and len(limit) < 10:
        fields["limit"] = int(limit)
    try:
        return _json(HTTPStatus.OK, list_operations(view.hub.store, fields))
    except CommandError as exc:
        return _json(HTTPStatus.BAD_REQUEST, {"error": str(exc), "code": exc.code})


def _operation(view: RequestContext, operation_id: str) -> HTTPAnswer:
    if not view.permit.may_watch(operation_id, view.now):
        return _refused(view)
    if not view.rebuilt:
        return service_unavailable(STARTING)
    snapshot = view.hub.get(operation_id)
    status = HTTPStatus.NOT_FOUND if snapshot is None else HTTPStatus.OK
    return _json(status, {"operation": snapshot})


def service_unavailable(why: str) -> HTTPAnswer:
    """What is said to who cannot be served yet, or not any more."""
    return HTTPAnswer(HTTPStatus.SERVICE_UNAVAILABLE, f"{why}\n".encode(), TEXT, RETRY_AFTER)


def _refused(view: RequestContext) -> HTTPAnswer:
    if view.permit.may_count(view.now):
        body = {"error": "The token does not grant this", "code": "forbidden"}
        return _json(HTTPStatus.FORBIDDEN, body)
    body = {"error": "This needs `Authorization: Bearer <token>`", "code": "unauthorized"}
    return _json(HTTPStatus.UNAUTHORIZED, body)


def _json(status: HTTPStatus, value: Mapping[str, Any]) -> HTTPAnswer:
    return HTTPAnswer(status, encode_frame(dict(value)) + b"\n")


_PUBLIC_ROUTES: Final[Mapping[str, Callable[[RequestContext, str], HTTPAnswer]]] = {
    "/healthz": _health,
    "/readyz": _ready,
}

_AUTHORIZED_ROUTES: Final[Mapping[str, Callable[[RequestContext, str], HTTPAnswer]]] = {
    "/status": _status,
    "/metrics": _metrics,
    "/operations": _operations,
}

_ALL_PROCESSES_ROUTES: Final = frozenset({"/readyz", "/status", "/metrics"})
