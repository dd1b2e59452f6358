"""The path under which a proxy serves the sidecar, where the proxy does not remove it.

All addresses of pages and modules are relative, so nothing but the paths of requests knows of it.
Pure.
"""

from __future__ import annotations

from http import HTTPStatus

from websockets.datastructures import Headers
from websockets.http11 import Response


def without_root(target: str, root: str | None) -> str:
    """Return a request's target without the path that it begins with.

    Targets without it stay, such as those of health checks that do not pass the proxy.

    Args:
        target: Path and query.
        root: The path, without a slash at its end.
    """
    if root is None or not target.startswith(root):
        return target
    rest = target[len(root) :]
    if rest.startswith("/"):
        return rest
    # `/progress?a=1` is the root without its slash, and `/progressive` is another path.
    return f"/{rest}" if not rest or rest.startswith("?") else target


def is_root_without_slash(target: str, root: str | None) -> bool:
    """Return whether a target is the root, but relative addresses on it would lead outside."""
    return root is not None and target.partition("?")[0] == root


def redirect_to_root(target: str, root: str | None) -> Response:
    """Return the response that leads to the root with its slash; a query is kept."""
    headers = Headers()
    headers["Location"] = f"{root}{without_root(target, root)}"
    headers["Content-Length"] = "0"
    headers["Connection"] = "close"
    status = HTTPStatus.PERMANENT_REDIRECT
    return Response(status, status.phrase, headers, b"")
