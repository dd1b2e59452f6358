"""The rights of a connection, and the checks of ``Host`` and ``Origin``. Pure.

Without keys the sidecar serves loopback addresses only, and every client may watch everything. A
page opened from disk (``Origin: null``), and every client with the setting ``exact_only``, may
watch by exact id only. With keys a client needs tokens (:mod:`.tokens`), and may do what one of
them grants. ``Host`` and ``Origin`` are checked first, against DNS rebinding and pages of other
sites.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from celery_wsprogress.access.grants import ALL_OPERATIONS, Grant, Pattern, Right, View
from celery_wsprogress.access.held_grants import HeldGrants
from celery_wsprogress.urls import address_of, is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from celery_wsprogress.access.grants import OperationFields
    from celery_wsprogress.access.tokens import TokenVerifier

_UNLIMITED: Final = Grant(frozenset({ALL_OPERATIONS}), math.inf, frozenset(Right))


class Permit:
    """The rights of one connection. Times are epoch seconds.

    Args:
        verifier: Verifies its tokens; None where everything is allowed without one.
        exact_only: Whether it may only watch by exact id: for ``Origin: null``, and for the
            setting.
    """

    __slots__ = ("_grants", "exact_only", "verifier")

    def __init__(self, verifier: TokenVerifier | None, *, exact_only: bool = False) -> None:
        self.verifier = verifier
        self.exact_only = exact_only
        self._grants = HeldGrants()

    @property
    def is_open(self) -> bool:
        """Whether it needs no token."""
        return self.verifier is None

    @property
    def grants(self) -> list[Grant]:
        """What its tokens grant."""
        return [*self._grants]

    @property
    def earliest_end(self) -> float:
        """The time at which the next grant ends, so that :meth:`drop_ended` is due."""
        return self._grants.earliest_end

    def add(self, token: object, *, timestamp: float) -> Grant:
        """Verify a token and add its rights. Without a key any value is accepted, and ignored.

        Raises:
            TokenError: the token is not valid, or there are too many.
        """
        if self.verifier is None:
            return _UNLIMITED
        grant = self.verifier.read(token, timestamp=timestamp)
        self.add_grant(grant, timestamp=timestamp)
        return grant

    def add_grant(self, grant: Grant, *, timestamp: float) -> None:
        """Add rights that were verified.

        Raises:
            TooManyTokens: the connection has too many already.
        """
        self._grants.drop_ended(timestamp)
        self._grants.add(grant)

    def drop_ended(self, timestamp: float) -> bool:
        """Drop the rights of tokens that have expired. Return whether there were any."""
        return self._grants.drop_ended(timestamp)

    def drop_if(self, is_over: Callable[[Grant], bool]) -> bool:
        """Drop the grants of which a function returns true. Return whether there were any."""
        return self._grants.drop_if(is_over)

    def may_watch(
        self, operation_id: str, timestamp: float, operation: OperationFields | None = None
    ) -> bool:
        """Return whether it may watch and read an operation.

        Args:
            operation_id: Its id.
            timestamp: Now.
            operation: What is known of it; without it a token grants it by its id only.
        """
        if operation is not None:
            return self._has(self._grants.covering(operation), Right.WATCH, timestamp)
        return self._has(self._grants.covering_id(operation_id), Right.WATCH, timestamp)

    def view_of(self, operation: OperationFields, timestamp: float) -> View:
        """Return what it may see of an operation: the widest view that a token of it grants."""
        if self.verifier is None:
            return View.FULL
        grants = self._valid(self._grants.covering(operation), Right.WATCH, timestamp)
        return View.FULL if any(one.view is View.FULL for one in grants) else View.PROGRESS

    def may_select(self, selector: Pattern, timestamp: float) -> bool:
        """Return whether it may watch all operations that a pattern selects."""
        return self._may_use(selector, Right.WATCH, timestamp)

    def may_list(self, timestamp: float, filters: Iterable[Pattern] = ()) -> bool:
        """Return whether it may list the operations that match all filters; all without any."""
        return any(self._may_use(one, Right.LIST, timestamp) for one in (ALL_OPERATIONS, *filters))

    def may_count(self, timestamp: float) -> bool:
        """Return whether it may read the statistics."""
        return self._has(self._grants, Right.STATS, timestamp)

    def is_authenticated(self, timestamp: float) -> bool:
        """Return whether it has any rights, so that another token is needed for more."""
        return self.verifier is None or self._has(self._grants, None, timestamp)

    def _may_use(self, selector: Pattern, right: Right, timestamp: float) -> bool:
        grants = self._grants.covering_selector(selector)
        return not self.exact_only and self._has(grants, right, timestamp)

    def _has(self, grants: Iterable[Grant], right: Right | None, timestamp: float) -> bool:
        return self.verifier is None or any(self._valid(grants, right, timestamp))

    def _valid(
        self, grants: Iterable[Grant], right: Right | None, timestamp: float
    ) -> Iterable[Grant]:
        return (
            one
            for one in grants
            if one.expires_at > timestamp and (right is None or right in one.rights)
        )


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
