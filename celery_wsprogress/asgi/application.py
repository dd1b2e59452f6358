"""The ASGI application: it answers what is below its prefix, and passes everything else on.

Runs in: the event loop.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from celery_wsprogress.asgi.http_requests import answer_request
from celery_wsprogress.asgi.lifespan import Lifespan
from celery_wsprogress.asgi.messages import path_below, send_response, to_request
from celery_wsprogress.asgi.requests import (
    Refused,
    address_of,
    admit,
    check_page,
    permit_of,
    wait_for_replay,
)
from celery_wsprogress.asgi.service import ProgressService
from celery_wsprogress.asgi.settings import check_names
from celery_wsprogress.asgi.websocket import AsgiWebSocket
from celery_wsprogress.brokers.discovery import find_celery_app
from celery_wsprogress.sidecar.http.handshake import operation_id_in_path, to_http_response
from celery_wsprogress.sidecar.http.routes import is_known
from celery_wsprogress.sidecar.http.static_files import is_file
from celery_wsprogress.sidecar.streams.channel import Channel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from celery_wsprogress.asgi.messages import ASGIApplication, Scope
    from celery_wsprogress.sidecar.streams.channel import Receive, Send

_REFUSABLE = "websocket.http.response"
"""The extension of ASGI to refuse a handshake with a response."""


class ProgressApplication:
    """An ASGI application that serves progress.

    Args:
        app: The application that gets what is not for this one; None if there is none.
        prefix: The path below which it answers.
        permit: Decides what a client may do.
        options: Settings.
    """

    def __init__(
        self,
        app: ASGIApplication | None,
        prefix: str,
        permit: Callable[..., Any] | None,
        options: Mapping[str, Any],
    ) -> None:
        check_names(options)
        self._app = app
        self._prefix = prefix.rstrip("/")
        self._permit = permit
        self._options = options
        # Of this thread: the server may run in another one.
        self._celery = find_celery_app()
        self._services: dict[asyncio.AbstractEventLoop, ProgressService] = {}
        """By their event loops: a process nearly always has one."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, a WebSocket, or the lifespan of the server."""
        if scope["type"] == "lifespan":
            lifespan = Lifespan(receive, send, start=self._service, stop=self._stop)
            await lifespan.serve(self._app, scope)
            return
        path = None
        if scope["type"] in {"http", "websocket"}:
            path = path_below(scope, self._prefix)
        if path is None or (self._app is not None and not _is_ours(scope, path)):
            await self._pass_on(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._serve_websocket(path, scope, receive, send)
        else:
            await answer_request(self._service(), path, scope, Channel(receive, send))

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is not None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await answer_request(self._service(), "/nothing", scope, Channel(receive, send))
        else:
            await send({"type": "websocket.close"})

    def _service(self) -> ProgressService:
        """Return the service of this event loop; start it where that was not done."""
        loop = asyncio.get_running_loop()
        found = self._services.get(loop)
        if found is None:
            for closed in [one for one in self._services if one.is_closed()]:
                loop.run_in_executor(None, self._services.pop(closed).abandon)
            found = self._services[loop] = ProgressService(
                self._celery, self._permit, self._options
            )
            found.start()
        return found

    async def _stop(self) -> None:
        service = self._services.pop(asyncio.get_running_loop(), None)
        if service is not None:
            await service.stop()

    async def _serve_websocket(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        service = self._service()
        request = to_request(scope, path)
        operation_id = operation_id_in_path(request.path)
        command = {"command": "subscribe", "operation_id": operation_id} if operation_id else None
        try:
            check_page(request, service, scope)
            await wait_for_replay(service)
            connection = AsgiWebSocket(
                receive,
                send,
                permit=await permit_of(request, service, scope),
                address=address_of(request, service, scope),
                limits=service.limits,
                first_command=command,
            )
            admit(service, connection)
        except Refused as exc:
            await _refuse(scope, send, exc)
            return
        try:
            await send({"type": "websocket.accept"})
            await connection.serve(service.connections)
        finally:
            service.limits.admission.end(connection)


def _is_ours(scope: Scope, path: str) -> bool:
    if scope["type"] == "websocket":
        # The element connects to the folder that it was loaded from.
        return path in {"", "/", "/ws"} or path.startswith("/ws/")
    return not path or is_file(path) or is_known(path)


async def _refuse(scope: Scope, send: Send, refused: Refused) -> None:
    if _REFUSABLE in (scope.get("extensions") or {}):
        await send_response(send, to_http_response(refused.answer), _REFUSABLE)
    else:
        # The server answers with 403.
        await send({"type": "websocket.close"})
