"""The browser modules, as the sidecar serves them: ``/client.js`` and what it imports.

They are read once, from the package, and found by their exact name: a path leads nowhere else.
They hold no data of anyone, so they need no token; which pages may import them is decided by the
``Origin``, as for everything here. A browser asks each time whether what it has is still what is
served, so that a page never runs the modules of another version than its sidecar's.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from websockets.datastructures import Headers
from websockets.http11 import Response

from celery_wsprogress.sidecar.handshake import one_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from websockets.http11 import Request

FOLDER: Final = "static/celery_wsprogress"

CONTENT_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""What is served, by the end of its name; anything else in the folder is not."""


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as it is served."""

    body: bytes
    content_type: str
    etag: str


@cache
def static_files() -> Mapping[str, StaticFile]:
    """Everything that is served, by its path."""
    found = {}
    for one in files("celery_wsprogress").joinpath(FOLDER).iterdir():
        _, dot, ending = one.name.rpartition(".")
        content_type = CONTENT_TYPES.get(dot + ending)
        if content_type is not None:
            body = one.read_bytes()
            etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            found[f"/{one.name}"] = StaticFile(body, content_type, etag)
    return found


def respond(request: Request) -> Response | None:
    """Answer a request for a browser module; None where it is for something else.

    Args:
        request: A GET whose ``Host`` and ``Origin`` were allowed.
    """
    file = static_files().get(request.path.partition("?")[0])
    if file is None:
        return None
    headers = _headers(file, one_value(request.headers, "Origin"))
    if file.etag in (one_value(request.headers, "If-None-Match") or ""):
        return _response(HTTPStatus.NOT_MODIFIED, headers, b"")
    headers["Content-Type"] = file.content_type
    headers["Content-Length"] = str(len(file.body))
    return _response(HTTPStatus.OK, headers, file.body)


def _headers(file: StaticFile, origin: str | None) -> Headers:
    headers = Headers()
    headers["ETag"] = file.etag
    headers["Cache-Control"] = "no-cache"
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    headers["Vary"] = "Origin"
    headers["Connection"] = "close"
    if origin is not None:
        headers["Access-Control-Allow-Origin"] = origin
    return headers


def _response(status: HTTPStatus, headers: Headers, body: bytes) -> Response:
    return Response(status, status.phrase, headers, body)
