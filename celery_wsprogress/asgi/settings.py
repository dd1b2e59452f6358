"""The settings of the ASGI application: those of ``serve``, as far as there is no port of its own.

Without a key and a function that decides, clients may watch by exact id only, unless the settings
say ``insecure``: the application does not know who reaches the user's server.
"""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.access.exposure import check_exposure
from celery_wsprogress.settings import ServeSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ANYWHERE: Final = "0.0.0.0"  # noqa: S104 - nothing listens there: it stands for the user's server
"""The host that the rules about public addresses are asked about."""

_OF_THE_PORT: Final = frozenset(
    {
        *("host", "port", "unix_socket", "processes", "permit"),
        *("tls_cert", "tls_key", "tls_key_password_file", "root_path"),
    }
)


def check_names(options: Mapping[str, Any]) -> None:
    """Refuse what is no setting here.

    Raises:
        TypeError: there is no such setting, or it is about the port of ``serve``.
        ConfigurationError: a value is not allowed.
    """
    known = {one.name for one in dataclasses.fields(ServeSettings)} - _OF_THE_PORT
    unknown = sorted(set(options) - known)
    if unknown:
        raise TypeError(f"wsprogress_asgi() has no setting {unknown[0]!r}")
    ServeSettings.load(options)


def load_asgi_settings(
    app: Any, permit: Callable[..., Any] | None, options: Mapping[str, Any]
) -> ServeSettings:
    """Return the settings: of Celery's configuration, the environment, and what was passed.

    Args:
        app: The Celery application, or None.
        permit: The function that decides, or None.
        options: What was passed.

    Raises:
        ConfigurationError: a value is not allowed, or settings contradict each other.
    """
    settings = ServeSettings.read(app, os.environ, options)
    changes: dict[str, Any] = {"host": ANYWHERE, "unix_socket": None}
    if permit is not None:
        # So that tokens are needed; the function itself is called.
        changes["permit"] = getattr(permit, "__qualname__", type(permit).__name__)
    settings = dataclasses.replace(settings, **changes)
    if not settings.may_be_served:
        settings = dataclasses.replace(settings, exact_only=True)
    check_exposure(settings)
    return settings
