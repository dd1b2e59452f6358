"""The browser modules, as the sidecar serves them: ``/client.js`` and what it imports, and ``/``.

They are read once, from the package, and found by their exact name: a path leads nowhere else.
They hold no data of anyone, so they need no token; which pages may import them is decided by the
``Origin``, as for everything here. A browser asks each time whether what it has is still what is
served, so that a page never runs the modules of another version than its sidecar's.
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
"""What is served, by the end of its name; anything else in the folder is not."""

Rules: TypeAlias = tuple[tuple[str, str], ...]
"""Headers that tell a browser what it may do with a file."""

MODULE_RULES: Final[Rules] = (("Cross-Origin-Resource-Policy", "cross-origin"),)

# A WebSocket to where the page came from is 'self', too. No HTML is made from text.
CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)

PAGE_RULES: Final[Rules] = (
    ("Content-Security-Policy", CSP),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Frame-Options", "DENY"),
)

FLOWER: Final = '<meta name="flower-url" content="">'
"""Where the dashboard reads the address of Flower; in the file there is none."""


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as it is served."""

    body: bytes
    content_type: str
    etag: str
    rules: Rules = MODULE_RULES


@cache
def static_files() -> Mapping[str, StaticFile]:
    """Every file that is served as it is, by its path."""
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
    """The page at ``/``.

    Args:
        flower_url: Where its links to Flower lead.
    """
    text = _folder().joinpath("index.html").read_text(encoding="utf-8")
    told = FLOWER.replace('""', f'"{html.escape(flower_url or "")}"')
    body = text.replace(FLOWER, told).encode()
    return StaticFile(body, "text/html; charset=utf-8", _etag(body), PAGE_RULES)


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def respond(request: Request, flower_url: str | None) -> Response | None:
    """Answer a request for the dashboard or a browser module; None where it is for something else.

    Args:
        request: A GET whose ``Host`` and ``Origin`` were allowed.
        flower_url: Where the dashboard's links to Flower lead.
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
    headers.update(file.rules)
    headers["Vary"] = "Origin"
    headers["Connection"] = "close"
    if origin is not None:
        headers["Access-Control-Allow-Origin"] = origin
    return headers


def _response(status: HTTPStatus, headers: Headers, body: bytes) -> Response:
    return Response(status, status.phrase, headers, body)
