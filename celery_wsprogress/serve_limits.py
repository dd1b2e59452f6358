"""The settings of the sidecar that limit what its clients may take.

:class:`~celery_wsprogress.settings.ServeSettings` has all settings of the sidecar. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from celery_wsprogress.common_settings import Settings
from celery_wsprogress.setting_parsers import between, whole
from celery_wsprogress.setting_sources import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeLimits(Settings):
    """The limits on clients."""

    max_subscriptions: int = setting(10_000, whole(1, 1_000_000), "a number from 1 to 1000000")
    """Maximum number of operations that one connection may watch by id."""
    max_connections: int = setting(10_000, whole(1, 1_000_000), "a number from 1 to 1000000")
    """Maximum number of WebSockets of one process, if its limit on open files allows so many."""
    address_connections: int = setting(5_000, whole(1, 1_000_000), "a number from 1 to 1000000")
    """The same for one address; an IPv6 address counts as its /64. See ``trusted_proxies``."""
    subject_connections: int = setting(1_000, whole(1, 1_000_000), "a number from 1 to 1000000")
    """The same for one holder of tokens (their claim ``sub``)."""
    auth_timeout: float = setting(10.0, between(0.1, 600), "seconds from 0.1 to 600")
    """Seconds that a client has to send a valid token, if one is needed."""
    client_share: float = setting(0.25, between(0.01, 1), "a number from 0.01 to 1")
    """Share of one processor for what one client sends; eight seconds of it may be used at once."""
    address_share: float = setting(0.5, between(0.01, 1), "a number from 0.01 to 1")
    """The same for all clients of one address together."""
    max_lookups: int = setting(1000, whole(1, 1_000_000), "a number from 1 to 1000000")
    """Maximum number of unknown operations of all clients that wait to be looked up. When they are
    as many, the client with most of them gives up a place to a client with fewer."""
    max_client_lookups: int = setting(100, whole(1, 1_000_000), "a number from 1 to 1000000")
    """Maximum number of unknown operations of one client that wait to be looked up. A further one
    is not looked up."""
