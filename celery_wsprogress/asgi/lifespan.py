"""The lifespan of the user's server: reading the log begins and ends with it.

An application that knows no lifespan, as Django's (6.0, django/core/handlers/asgi.py), raises an
exception, or returns; then it is answered here.

Runs in: the event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from celery_wsprogress.asgi.messages import ASGIApplication, Scope
    from celery_wsprogress.sidecar.streams.channel import Message, Receive, Send

_STARTUP: Final = "lifespan.startup"
_SHUTDOWN: Final = "lifespan.shutdown"


class Lifespan:
    """One lifespan, of which the user's application learns, too.

    Args:
        receive: Of the lifespan.
        send: Of the lifespan.
        start: Called when the server starts.
        stop: Called when it stops.
    """

    def __init__(
        self,
        receive: Receive,
        send: Send,
        *,
        start: Callable[[], object],
        stop: Callable[[], Awaitable[None]],
    ) -> None:
        self._receive = receive
        self._send = send
        self._start = start
        self._stop = stop
        self._is_answered = False
        self._is_started = False
        self._has_failed = False
        """Whether ``start`` has raised an exception."""

    async def serve(self, app: ASGIApplication | None, scope: Scope) -> None:
        """Serve it from its start to its end."""
        if app is not None:
            try:
                await app(scope, self._receive_one, self._send_one)
            except Exception:
                if self._is_answered or self._has_failed:
                    raise
        if not self._is_answered:
            await self._serve_alone()

    async def _serve_alone(self) -> None:
        if not self._is_started:
            await self._receive_one()
        await self._send({"type": f"{_STARTUP}.complete"})
        await self._receive_one()
        await self._send({"type": f"{_SHUTDOWN}.complete"})

    async def _receive_one(self) -> Message:
        message = await self._receive()
        if message["type"] == _STARTUP:
            self._has_failed = True
            self._start()
            self._has_failed, self._is_started = False, True
        elif message["type"] == _SHUTDOWN:
            await self._stop()
        return message

    async def _send_one(self, message: Message) -> None:
        self._is_answered = True
        await self._send(message)
