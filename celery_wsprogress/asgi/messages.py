"""The types of ASGI, and its requests and responses as those of websockets.

The sidecar decides about requests by those of websockets (:mod:`celery_wsprogress.sidecar.http`),
which are plain data.

Pure.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import quote

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from celery_wsprogress.sidecar.streams.channel import Receive, Send, encode_headers

Scope: TypeAlias = MutableMapping[str, Any]
ASGIApplication: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


def path_below(scope: Scope, prefix: str) -> str | None:
    """Return the path of a request below a prefix; None if it is not below it.

    ``path`` contains ``root_path`` where an application is mounted, or a proxy removes a part of
    the path (ASGI HTTP specification 2.5). Older servers leave it out.

    Args:
        scope: The request.
        prefix: Empty, or a path that begins with a slash and does not end with one.
    """
    path, root = scope["path"], scope.get("root_path", "").rstrip("/")
    if root and (path == root or path.startswith(f"{root}/")):
        path = path.removeprefix(root)
    if not prefix:
        return str(path)
    below = path.removeprefix(prefix)
    return str(below) if below != path and (not below or below.startswith("/")) else None


def to_request(scope: Scope, path: str) -> Request:
    """Return a request as one of websockets.

    Args:
        scope: The request.
        path: Its path, below the prefix.
    """
    headers = Headers()
    for name, value in scope["headers"]:
        headers[name.decode("latin-1")] = value.decode("latin-1")
    query = scope.get("query_string", b"").decode("latin-1")
    target = quote(path) + (f"?{query}" if query else "")
    return Request(target, headers, method=scope.get("method", "GET"))


async def send_response(send: Send, response: Response, kind: str = "http.response") -> None:
    """Send a whole response.

    Args:
        send: Of the request.
        response: The response.
        kind: The kind of messages: ``http.response``, or ``websocket.http.response`` for a
            handshake that is refused (ASGI extension).
    """
    await send(
        {
            "type": f"{kind}.start",
            "status": int(response.status_code),
            "headers": encode_headers(response),
        }
    )
    await send({"type": f"{kind}.body", "body": bytes(response.body or b"")})
