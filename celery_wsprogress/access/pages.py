"""The checks of ``Host``, ``Origin`` and ``Sec-Fetch-Site``: which pages may send a request.

``Host`` is checked against DNS rebinding, the others against pages of other sites. No page can
choose these headers itself (the forbidden request-headers of the Fetch standard).

``Origin: null`` is a page from disk, or a sandboxed frame or ``data:`` URL of any website. On a
WebSocket handshake Chromium 156 sends the same bytes for all of them, and no ``Sec-Fetch-…`` at
all; Firefox says ``cross-site`` for all of them (``SecFetch.cpp``). So they cannot be told apart,
and such a page is not trusted. WebKit and Android's WebView write ``file://`` for a page from disk
(``SecurityOrigin::toString``), unless its files are kept apart; then ``null``.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from celery_wsprogress.urls import address_of, is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterable

OPAQUE: Final = "null"
"""The origin of a page from disk, and of a sandboxed frame of any website."""
FILE: Final = "file://"
"""The origin of a page from disk in browsers that tell it."""
FILE_PAGES: Final = frozenset({OPAQUE, FILE})

_OWN_SITE: Final = frozenset({None, "same-origin", "none"})


def may_read(
    origin: str | None, site: str | None, mode: str | None, destination: str | None
) -> bool:
    """Return whether the sender of a request may get what is answered.

    A page that loads something with an element (``<img>``, ``<script>``) or in the mode ``no-cors``
    sends no ``Origin``. Browsers say in ``Sec-Fetch-Site`` that the page is one of another site.
    A person who follows a link to a page of ours is let in.

    Args:
        origin: ``Origin``, which :func:`origin_allowed` checks.
        site: ``Sec-Fetch-Site``; None for clients that are no browser, and for old ones.
        mode: ``Sec-Fetch-Mode``.
        destination: ``Sec-Fetch-Dest``.
    """
    if origin is not None or site in _OWN_SITE:
        return True
    return mode == "navigate" and destination == "document"


def host_allowed(header: str | None, names: Iterable[str]) -> bool:
    """Return whether the ``Host`` of a request is a name of this server, or an IP address."""
    # DNS rebinding points a name at this server. It cannot do so with an address.
    host = _hostname(f"//{header or ''}")
    if host is None:
        return False
    known = {_hostname(f"//{name}") for name in names}
    return is_loopback(host) or address_of(host) is not None or host in known


def origin_allowed(
    origin: str | None, host: str | None, origins: Iterable[str], *, file_pages: bool = True
) -> bool:
    """Return whether pages of an ``Origin`` may connect.

    Allowed are: no origin (no browser), pages from disk unless ``file_pages`` is false, loopback
    pages, pages of ``host`` (which :func:`host_allowed` has checked), and the listed origins.
    """
    if origin is None:
        return True
    if origin in FILE_PAGES:
        return file_pages
    page = _site(origin.removesuffix("/"))
    if page is None:
        return False
    return is_loopback(page.name) or _is_known(page, host, origins)


def cookies_allowed(origin: str | None, host: str | None, origins: Iterable[str]) -> bool:
    """Return whether a cookie counts for a request, which browsers add to it by themselves.

    It counts without an origin (no browser, or a request whose answer no other page can read), for
    pages of ``host``, and for the listed origins. It does not for pages from disk, nor for another
    page of a loopback host: any website can be the former, any program of the machine the latter.
    """
    page = None if origin is None else _site(origin.removesuffix("/"))
    return origin is None or (page is not None and _is_known(page, host, origins))


def _is_known(page: _Site, host: str | None, origins: Iterable[str]) -> bool:
    """Return whether a page is of ``host`` or of a listed origin."""
    if page in (_site(one.removesuffix("/")) for one in origins):
        return True
    requested = _site(f"{page.scheme}://{host or ''}")
    return (
        requested is not None
        and requested.name == page.name
        and _is_same_port(page, requested, host)
    )


class _Site(NamedTuple):
    """An origin (RFC 6454, section 4)."""

    scheme: str
    name: str
    port: int | None
    """None if the scheme has no default port."""


_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def _site(origin: str) -> _Site | None:
    name = _hostname(origin)
    if name is None:
        return None
    parts = urlsplit(origin)
    return _Site(parts.scheme, name, parts.port or _DEFAULT_PORTS.get(parts.scheme))


def _is_same_port(page: _Site, requested: _Site, host: str | None) -> bool:
    # A browser names every port but the default one. A proxy may leave it out (nginx's `$host`), or
    # name its own default port if another proxy before it has ended TLS.
    host_port = urlsplit(f"//{host}").port
    defaults = set(_DEFAULT_PORTS.values())
    return host_port is None or page.port == requested.port or {page.port, host_port} <= defaults


def _hostname(url: str) -> str | None:
    """Return the host of an origin; None if there is none, or a part that browsers do not send."""
    try:
        parts = urlsplit(url)
        # Reading `port` raises ValueError if what follows the host is not a port.
        extra = (
            parts.port == 0 or "@" in parts.netloc or parts.path or parts.query or parts.fragment
        )
    except ValueError:
        return None
    return None if extra or not parts.hostname else parts.hostname.rstrip(".")
