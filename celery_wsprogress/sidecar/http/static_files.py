"""The static files: the dashboard at ``/``, and the browser modules such as ``/client.js``.

The files are read once, from the package, and found by exact path, so no path leads outside.
They hold no user data and need no token; the ``Origin`` decides which pages may import them. The
browser revalidates them each time (ETag), so a page never runs modules of another version than
its sidecar's. :mod:`.request_handler` calls :func:`respond_with_file`.
"""

from __future__ import annotations

import hashlib
import html
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import TYPE_CHECKING, Final, TypeAlias

from websockets.datastructures import Headers
from websockets.http11 import Response

from celery_wsprogress.sidecar.http.handshake import single_header

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.resources.abc import Traversable

    from websockets.http11 import Request

FOLDER: Final = "static/celery_wsprogress"

CONTENT_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Content types by file extension. Files with any other extension are not served."""

ResponseHeaders: TypeAlias = tuple[tuple[str, str], ...]
"""Response headers, as name and value."""

MODULE_HEADERS: Final[ResponseHeaders] = (("Cross-Origin-Resource-Policy", "cross-origin"),)

# 'self' includes a WebSocket to the page's own origin (CSP Level 3).
# The dashboard makes no HTML from text, so it needs no trusted type.
CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)

PAGE_HEADERS: Final[ResponseHeaders] = (
    ("Content-Security-Policy", CSP),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Frame-Options", "DENY"),
)

FLOWER_META: Final = '<meta name="flower-url" content="">'
"""The tag from which the dashboard reads the URL of Flower; it is empty in the file."""


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file with its headers."""

    body: bytes
    content_type: str
    etag: str
    headers: ResponseHeaders = MODULE_HEADERS


@cache
def static_files() -> Mapping[str, StaticFile]:
    """Return the files that are served unchanged, by URL path."""
    return dict(_files_in(_folder(), "/"))


def _folder() -> Traversable:
    return files("celery_wsprogress").joinpath(FOLDER)


def _files_in(folder: Traversable, path: str) -> Iterator[tuple[str, StaticFile]]:
    for one in folder.iterdir():
        _, dot, ending = one.name.rpartition(".")
        content_type = CONTENT_TYPES.get(dot + ending)
        if one.is_dir():
            yield from _files_in(one, f"{path}{one.name}/")
        elif content_type is not None:
            body = one.read_bytes()
            yield f"{path}{one.name}", StaticFile(body, content_type, _etag(body))


@cache
def dashboard(flower_url: str | None) -> StaticFile:
    """Return the page at ``/``.

    Args:
        flower_url: The base of its links to Flower.
    """
    text = _folder().joinpath("index.html").read_text(encoding="utf-8")
    meta_tag = FLOWER_META.replace('""', f'"{html.escape(flower_url or "")}"')
    body = text.replace(FLOWER_META, meta_tag).encode()
    return StaticFile(body, "text/html; charset=utf-8", _etag(body), PAGE_HEADERS)


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def is_file(path: str) -> bool:
    """Return whether a path is that of the dashboard or of a browser module."""
    return path == "/" or path in static_files()


def respond_with_file(request: Request, flower_url: str | None) -> Response | None:
    """Answer a request for the dashboard or a browser module; None for any other path.

    Args:
        request: A GET whose ``Host`` and ``Origin`` were allowed.
        flower_url: The base of the dashboard's links to Flower.
    """
    path = request.path.partition("?")[0]
    file = dashboard(flower_url) if path == "/" else static_files().get(path)
    if file is None:
        return None
    headers = _headers(file, single_header(request.headers, "Origin"))
    if file.etag in (single_header(request.headers, "If-None-Match") or ""):
        return _response(HTTPStatus.NOT_MODIFIED, headers, b"")
    headers["Content-Type"] = file.content_type
    headers["Content-Length"] = str(len(file.body))
    return _response(HTTPStatus.OK, headers, file.body)


def _headers(file: StaticFile, origin: str | None) -> Headers:
    headers = Headers()
    headers["ETag"] = file.etag
    headers["Cache-Control"] = "no-cache"
    headers["X-Content-Type-Options"] = "nosniff"
    headers.update(file.headers)
    headers["Vary"] = "Origin"
    headers["Connection"] = "close"
    if origin is not None:
        headers["Access-Control-Allow-Origin"] = origin
    return headers


def _response(status: HTTPStatus, headers: Headers, body: bytes) -> Response:
    return Response(status, status.phrase, headers, body)
