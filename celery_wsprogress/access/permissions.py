"""Who may connect, and what a connection may watch.

Closed from the start. Without a key the sidecar serves loopback addresses only, and whoever
reaches it may watch; a page opened from disk (``Origin: null``), or whoever reaches an address
that is served with ``exact_only``, may watch by exact id and nothing more. With a key nobody may
watch anything without a token, and ``*``, lists and selectors need a token that grants ``*``.
Pages of other sites never get in: ``Host`` and ``Origin`` are checked first, against DNS
rebinding and cross-site connections.

A token is a JWT signed with HS256. Its claims are ``ids`` (operation ids, or ``*``) and ``exp``.
Tokens travel in a command or in an ``Authorization`` header, never in a URL.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

import jwt

from celery_wsprogress.errors import TokenError
from celery_wsprogress.urls import address_of, is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterable

ALGORITHM: Final = "HS256"
EVERYTHING: Final = "*"
MAX_GRANTS: Final = 100
"""Tokens one connection may hold; the oldest goes."""


class Grant(NamedTuple):
    """What one token gives, and until when (epoch seconds)."""

    ids: frozenset[str]
    expires_at: float

    def covers(self, operation_id: str) -> bool:
        """Whether it lets its holder watch this operation."""
        return operation_id in self.ids or EVERYTHING in self.ids


def sign(key: str, ids: Iterable[str], *, issued_at: float, expires_at: float) -> str:
    """Make a token. Times are epoch seconds; the end is rounded up to a whole one."""
    claims = {"ids": sorted(set(ids)), "iat": int(issued_at), "exp": math.ceil(expires_at)}
    return jwt.encode(claims, key, algorithm=ALGORITHM)


def read_token(key: str, token: object, *, timestamp: float) -> Grant:
    """Read a token.

    Raises:
        TokenError: it is malformed, signed with another key, or expired.
    """
    if not isinstance(token, str) or not token:
        raise TokenError("The token is not a text")
    try:
        # The clock is passed in, so the time is checked here and not by the library.
        claims = jwt.decode(
            token, key, algorithms=[ALGORITHM], options=_CLAIMS_CHECKED_HERE, audience=None
        )
    # Beside what the library raises on purpose: a text that is no ASCII, or nests too deep.
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise TokenError("The token is not valid") from None
    ids, expires_at = claims.get("ids"), claims.get("exp")
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise TokenError("The token names no operations (claim `ids`)")
    if isinstance(expires_at, bool) or not isinstance(expires_at, (int, float)):
        raise TokenError("The token has no end (claim `exp`)")
    # Python's JSON knows NaN, which no comparison would ever end.
    if not expires_at < _LATEST_END:
        raise TokenError("The token has no end (claim `exp`)")
    if expires_at <= timestamp:
        raise TokenError("The token has expired")
    return Grant(frozenset(ids), float(expires_at))


_LATEST_END: Final = 1e11
"""Epoch seconds; what is above counts something else."""

_CLAIMS_CHECKED_HERE: Final[Any] = {
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "verify_aud": False,
}


@dataclass(slots=True)
class Permit:
    """What one connection may do."""

    key: str | None = field(repr=False)
    exact_only: bool = False
    """It may watch by exact id and nothing more: a page with ``Origin: null``, or whoever reaches
    a public address without a key."""
    grants: list[Grant] = field(default_factory=list)

    def add(self, token: object, *, timestamp: float) -> Grant:
        """Take a token.

        Raises:
            TokenError: it does not hold. Without a key every token is as good as none.
        """
        if self.key is None:
            return Grant(frozenset(), float("inf"))
        grant = read_token(self.key, token, timestamp=timestamp)
        self.grants = [*self.grants, grant][-MAX_GRANTS:]
        return grant

    def may_watch(self, operation_id: str, timestamp: float) -> bool:
        """Whether it may watch and read the operation with this id."""
        return self.key is None or any(
            grant.covers(operation_id) for grant in self._valid(timestamp)
        )

    def may_list(self, timestamp: float) -> bool:
        """Whether it may watch everything and list what there is."""
        return not self.exact_only and self.may_watch(EVERYTHING, timestamp)

    def may_count(self, timestamp: float) -> bool:
        """Whether it may read the statistics."""
        return self.key is None or any(self._valid(timestamp))

    def _valid(self, timestamp: float) -> Iterable[Grant]:
        return (grant for grant in self.grants if grant.expires_at > timestamp)


def host_allowed(header: str | None, names: Iterable[str]) -> bool:
    """Whether the ``Host`` of a request is one this server goes by.

    An IP address always is: a foreign page can rebind a name, never an address.
    """
    host = _hostname(f"//{header or ''}")
    if host is None:
        return False
    known = {_hostname(f"//{name}") for name in names}
    return is_loopback(host) or address_of(host) is not None or host in known


def origin_allowed(origin: str | None, host: str | None, origins: Iterable[str]) -> bool:
    """Whether the ``Origin`` of a request may connect.

    That is: none (no browser), a page from disk, a loopback page, a page of this very host
    (whose name was checked before), or a listed one.
    """
    if origin is None or origin == "null":
        return True
    page = _site(origin.removesuffix("/"))
    if page is None:
        return False
    if is_loopback(page.name) or page in (_site(one.removesuffix("/")) for one in origins):
        return True
    requested = _site(f"{page.scheme}://{host or ''}")
    return (
        requested is not None
        and requested.name == page.name
        and _is_same_port(page, requested, host)
    )


class _Site(NamedTuple):
    """An origin as RFC 6454, 4 compares them."""

    scheme: str
    name: str
    port: int | None
    """None is a scheme without a default."""


_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def _site(origin: str) -> _Site | None:
    name = _hostname(origin)
    if name is None:
        return None
    parts = urlsplit(origin)
    return _Site(parts.scheme, name, parts.port or _DEFAULT_PORTS.get(parts.scheme))


def _is_same_port(page: _Site, requested: _Site, host: str | None) -> bool:
    """Whether a page of the host that was asked is one of its port, too.

    A browser names every port but the default one. A proxy may leave it out (nginx's ``$host``),
    and name its own default port where another proxy before it ended TLS.
    """
    host_port = urlsplit(f"//{host}").port
    defaults = set(_DEFAULT_PORTS.values())
    return host_port is None or page.port == requested.port or {page.port, host_port} <= defaults


def _hostname(url: str) -> str | None:
    """The host of an origin, or None where there is none or more than browsers send."""
    try:
        parts = urlsplit(url)
        # Reading the port checks it, and so that the host ends where it seems to end.
        extra = (
            parts.port == 0 or "@" in parts.netloc or parts.path or parts.query or parts.fragment
        )
    except ValueError:
        return None
    return None if extra or not parts.hostname else parts.hostname.rstrip(".")
