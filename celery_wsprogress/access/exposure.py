"""The rule for serving an address without a key, and the texts of refusal and warning.

The sidecar checks its settings before it listens; the command line and the embedded server warn.
Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery_wsprogress.errors import ConfigurationError

if TYPE_CHECKING:
    from celery_wsprogress.settings import ServeSettings


def is_exposed(settings: ServeSettings) -> bool:
    """Return whether clients on other machines can connect without a token."""
    return not settings.needs_tokens and not settings.is_local


def check_exposure(settings: ServeSettings) -> None:
    """Refuse settings that would show operations to everyone without an explicit choice.

    Raises:
        ConfigurationError: a public address has neither a key nor ``insecure`` nor
            ``exact_only``, or ``allow_cancel`` and no key; or ``monitor_unsubscribed`` is on
            together with a key.
    """
    if not settings.may_be_served:
        raise ConfigurationError(
            "wsprogress_host",
            settings.host,
            "a loopback address unless a key (WSPROGRESS_KEY) is set, or --exact-only or "
            "--insecure is given",
        )
    if settings.allow_cancel and is_exposed(settings):
        raise ConfigurationError(
            "wsprogress_allow_cancel", True, "off at a public address without a key"
        )
    if settings.monitor_unsubscribed and settings.needs_tokens:
        raise ConfigurationError("wsprogress_monitor_unsubscribed", True, "off once a key is set")


def describe_exposure(settings: ServeSettings) -> str | None:
    """Return what anyone may do at a public address; None if the address is not exposed."""
    if not is_exposed(settings):
        return None
    if settings.exact_only:
        return "anyone who reaches it may watch every operation whose id they know"
    return "anyone who reaches it may list and watch every operation, results included"
