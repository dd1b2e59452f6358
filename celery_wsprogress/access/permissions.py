"""The rights of a connection, tokens, and the checks of ``Host`` and ``Origin``. Pure.

Without a key the sidecar serves loopback addresses only, and every client may watch everything. A
page opened from disk (``Origin: null``), and every client with the setting ``exact_only``, may
watch by exact id only. With a key a client needs a token; ``*``, lists and selectors need a token
that grants ``*``. ``Host`` and ``Origin`` are checked first, against DNS rebinding and pages of
other sites.

A token is a JWT signed with HS256 (RFC 7519). Its claims are ``ids`` (operation ids, or ``*``) and
``exp``. It is sent in a command or in an ``Authorization`` header, never in a URL.
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
"""Maximum number of tokens of a connection; above it the oldest is dropped."""


class Grant(NamedTuple):
    """The rights that one token gives, until ``expires_at`` (epoch seconds)."""

    ids: frozenset[str]
    expires_at: float

    def covers(self, operation_id: str) -> bool:
        """Return whether its holder may watch this operation."""
        return operation_id in self.ids or EVERYTHING in self.ids


def sign(key: str, ids: Iterable[str], *, issued_at: float, expires_at: float) -> str:
    """Create a token. Times are epoch seconds; ``exp`` is rounded up to a whole second."""
    claims = {"ids": sorted(set(ids)), "iat": int(issued_at), "exp": math.ceil(expires_at)}
    return jwt.encode(claims, key, algorithm=ALGORITHM)


def read_token(key: str, token: object, *, timestamp: float) -> Grant:
    """Verify a token; ``timestamp`` is epoch seconds now.

    Raises:
        TokenError: it is malformed, signed with another key, or expired.
    """
    if not isinstance(token, str) or not token:
        raise TokenError("The token is not a string")
    try:
        # PyJWT reads the clock itself. Here the time is passed in, so it is checked below.
        claims = jwt.decode(
            token, key, algorithms=[ALGORITHM], options=_CLAIMS_CHECKED_HERE, audience=None
        )
    # Besides its own errors, PyJWT lets those of a text that is not ASCII, or nests too deep, pass.
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise TokenError("The token is not valid") from None
    ids: Any = claims.get("ids")
    expires_at: Any = claims.get("exp")
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise TokenError("The token has no valid claim `ids`")
    # `json.loads` accepts NaN, for which `expires_at <= timestamp` would never be true.
    if type(expires_at) not in {int, float} or not expires_at < _LATEST_END:
        raise TokenError("The token has no valid claim `exp`")
    if expires_at <= timestamp:
        raise TokenError("The token has expired")
    return Grant(frozenset(ids), float(expires_at))


_LATEST_END: Final = 1e11
"""Maximum of ``exp``, in epoch seconds: a larger number does not count seconds."""

_CLAIMS_CHECKED_HERE: Final[Any] = {
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "verify_aud": False,
}


@dataclass(slots=True)
class Permit:
    """The rights of one connection. Times are epoch seconds."""

    key: str | None = field(repr=False)
    exact_only: bool = False
    """Whether it may only watch by exact id: for ``Origin: null``, and for the setting."""
    grants: list[Grant] = field(default_factory=list)

    def add(self, token: object, *, timestamp: float) -> Grant:
        """Verify a token and add its rights. Without a key any value is accepted, and ignored.

        Raises:
            TokenError: the token is not valid.
        """
        if self.key is None:
            return Grant(frozenset(), float("inf"))
        grant = read_token(self.key, token, timestamp=timestamp)
        self.grants = [*self.grants, grant][-MAX_GRANTS:]
        return grant

    def may_watch(self, operation_id: str, timestamp: float) -> bool:
        """Return whether it may watch and read the operation with this id."""
        return self.key is None or any(
            grant.covers(operation_id) for grant in self._valid(timestamp)
        )

    def may_list(self, timestamp: float) -> bool:
        """Return whether it may watch all operations, and list them."""
        return not self.exact_only and self.may_watch(EVERYTHING, timestamp)

    def may_count(self, timestamp: float) -> bool:
        """Return whether it may read the statistics."""
        return self.key is None or any(self._valid(timestamp))

    def _valid(self, timestamp: float) -> Iterable[Grant]:
        return (grant for grant in self.grants if grant.expires_at > timestamp)


def host_allowed(header: str | None, names: Iterable[str]) -> bool:
    """Return whether the ``Host`` of a request is a name of this server, or an IP address."""
    # DNS rebinding points a name at this server. It cannot do so with an address.
    host = _hostname(f"//{header or ''}")
    if host is None:
        return False
    known = {_hostname(f"//{name}") for name in names}
    return is_loopback(host) or address_of(host) is not None or host in known


def origin_allowed(origin: str | None, host: str | None, origins: Iterable[str]) -> bool:
    """Return whether pages of an ``Origin`` may connect.

    Allowed are: no origin (no browser), pages from disk, loopback pages, pages of ``host`` (which
    :func:`host_allowed` has checked), and the listed origins.
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
