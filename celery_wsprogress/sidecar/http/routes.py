"""The HTTP routes: health, readiness, status, metrics and operations, all by GET.

:func:`route` is pure: from a request's path and header to an answer. :mod:`.request_handler`
calls it. ``/healthz`` and ``/readyz`` are public; the others need what the same command over
WebSocket needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, unquote

from celery_wsprogress.errors import CommandError
from celery_wsprogress.hub.command_context import pattern_of
from celery_wsprogress.hub.disclosure import shown_snapshot
from celery_wsprogress.hub.list_page import list_operations, parse_filters
from celery_wsprogress.protocol.messages import encode_frame
from celery_wsprogress.protocol.whole_numbers import parse_whole_number
from celery_wsprogress.sidecar.metrics.definitions import (
    broker_error,
    readiness,
    stats,
    to_prometheus,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from celery_wsprogress.access.permissions import Permit
    from celery_wsprogress.errors import TokenError
    from celery_wsprogress.hub.hub import Hub
    from celery_wsprogress.hub.steps import Steps
    from celery_wsprogress.sidecar.metrics.definitions import Samples

TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"
PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"

STARTING: Final = "The log is still being read"

RETRY_AFTER: Final = 5
"""Seconds after which a client that got 503 may try again."""


@dataclass(frozen=True, slots=True)
class HTTPAnswer:
    """A response: its status, the type of its body, and the body."""

    status: HTTPStatus
    body: bytes
    content_type: str = JSON
    retry_after: int | None = None
    """Seconds after which the client may try again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext:
    """The sources of an answer."""

    hub: Hub
    permit: Permit
    timestamp: float
    """Now, in epoch seconds, for the expiry of tokens."""
    report: Callable[[], Samples]
    """Makes the figures; see :mod:`.definitions`."""
    replay_done: bool = True
    """Whether the log was read; before that no operation is shown, as it may be out of date."""


def route(target: str, context: RequestContext) -> Steps[HTTPAnswer]:
    """Answer a GET that asks for no WebSocket, in steps.

    Args:
        target: The request's path with its query.
        context: What to answer from.
    """
    path, _, query = target.partition("?")
    if path in _PUBLIC_ROUTES:
        return _PUBLIC_ROUTES[path](context, query)
    if path in _AUTHORIZED_ROUTES:
        answer = _AUTHORIZED_ROUTES[path](context, query)
        return answer if isinstance(answer, HTTPAnswer) else (yield from answer)
    prefix, _, operation_id = path.partition("/operations/")
    if not prefix and operation_id:
        return _operation(context, unquote(operation_id))
    return _json(HTTPStatus.NOT_FOUND, {"error": "There is nothing here", "code": "not_found"})


def is_known(target: str) -> bool:
    """Return whether :func:`route` has an answer for a path, other than that nothing is there."""
    path = target.partition("?")[0]
    return path in _PUBLIC_ROUTES or path in _AUTHORIZED_ROUTES or path.startswith("/operations/")


def needs_all_processes(target: str) -> bool:
    """Return whether the answer for a path needs the figures of all processes."""
    return target.partition("?")[0] in _ALL_PROCESSES_ROUTES


def is_public(target: str) -> bool:
    """Return whether a path needs neither a token nor a known host."""
    return target.partition("?")[0] in _PUBLIC_ROUTES


def _health(_context: RequestContext, _query: str) -> HTTPAnswer:
    return HTTPAnswer(HTTPStatus.OK, b"ok\n", TEXT)


def _ready(context: RequestContext, _query: str) -> HTTPAnswer:
    found = readiness(context.report())
    status = HTTPStatus.OK if found["ready"] else HTTPStatus.SERVICE_UNAVAILABLE
    return _json(status, found)


def _status(context: RequestContext, _query: str) -> HTTPAnswer:
    if not context.permit.may_count(context.timestamp):
        return _not_permitted(context)
    found = {"available": True, "running": True, "stats": stats(context.report())}
    return _json(HTTPStatus.OK, found)


def _metrics(context: RequestContext, _query: str) -> HTTPAnswer:
    if not context.permit.may_count(context.timestamp):
        return _not_permitted(context)
    return HTTPAnswer(HTTPStatus.OK, to_prometheus(context.report()).encode(), PROMETHEUS)


def _operations(context: RequestContext, query: str) -> Steps[HTTPAnswer]:
    fields: dict[str, Any] = {name: values[-1] for name, values in parse_qs(query).items()}
    try:
        filters = [pattern_of(one) for one in parse_filters(fields)]
    except CommandError as exc:
        return _bad_request(exc)
    if not context.permit.may_list(context.timestamp, filters):
        return _not_permitted(context)
    if not context.replay_done:
        return service_unavailable(STARTING)
    # The list rejects a string as limit.
    limit = parse_whole_number(fields.get("limit", ""))
    if limit is not None:
        fields["limit"] = limit
    try:
        listed = list_operations(context.hub.store, fields, context.permit, context.timestamp)
        return _json(HTTPStatus.OK, (yield from listed))
    except CommandError as exc:
        return _bad_request(exc)


def _bad_request(exc: CommandError) -> HTTPAnswer:
    return _json(HTTPStatus.BAD_REQUEST, {"error": str(exc), "code": exc.code})


def _operation(context: RequestContext, operation_id: str) -> HTTPAnswer:
    record = context.hub.store.get(operation_id)
    operation = None if record is None else record.operation
    if not context.permit.may_watch(operation_id, context.timestamp, operation):
        return _not_permitted(context)
    if not context.replay_done:
        return service_unavailable(STARTING)
    record = context.hub.store.get(operation_id)
    if record is None:
        return _json(HTTPStatus.NOT_FOUND, {"operation": None})
    snapshot = shown_snapshot(record, context.permit, context.timestamp)
    return _json(HTTPStatus.OK, {"operation": snapshot})


def service_unavailable(reason: str) -> HTTPAnswer:
    """Return the answer for a sidecar that starts or stops."""
    return HTTPAnswer(HTTPStatus.SERVICE_UNAVAILABLE, f"{reason}\n".encode(), TEXT, RETRY_AFTER)


def not_started(report: Samples) -> HTTPAnswer:
    """Return the answer to a handshake while the log is not read yet.

    If the broker is away it has its sentence, and no ``Retry-After``: nobody knows for how long.
    """
    error = broker_error(report)
    if not error:
        return service_unavailable(STARTING)
    text = f"The sidecar runs; its broker is away: {error}\n"
    return HTTPAnswer(HTTPStatus.SERVICE_UNAVAILABLE, text.encode(), TEXT)


def unauthorized(exc: TokenError) -> HTTPAnswer:
    """Return the answer to a request with a token that is not valid."""
    return _json(HTTPStatus.UNAUTHORIZED, {"error": str(exc), "code": exc.code})


def _not_permitted(context: RequestContext) -> HTTPAnswer:
    if context.permit.is_authenticated(context.timestamp):
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

_AUTHORIZED_ROUTES: Final[
    Mapping[str, Callable[[RequestContext, str], HTTPAnswer | Steps[HTTPAnswer]]]
] = {
    "/status": _status,
    "/metrics": _metrics,
    "/operations": _operations,
}

_ALL_PROCESSES_ROUTES: Final = frozenset({"/readyz", "/status", "/metrics"})
