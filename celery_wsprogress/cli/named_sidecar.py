"""The sidecar that a client command talks to: its URL, and a token for it.

Where a Celery application is named (``-A``, or ``celery -A proj wsprogress …``), both follow from
its configuration and the environment, as those of ``serve`` do.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.access.grants import Right
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.setting_sources import from_conf, from_environ
from celery_wsprogress.settings import ServeSettings

if TYPE_CHECKING:
    from collections.abc import Callable

EXPIRES_IN: Final = 600.0
"""Seconds. A new token is made for each connection."""


def url_of(app: Any) -> str:
    """Return the URL of the sidecar that ``serve`` runs on this machine.

    Args:
        app: The Celery application; None where none is named.

    Raises:
        ConfigurationError: a setting is invalid.
    """
    from celery_wsprogress.sidecar.sockets import display_address  # noqa: PLC0415 - a command that is given a URL loads no sidecar

    conf = from_conf(app.conf, ServeSettings) if app is not None else {}
    sources = (conf, from_environ(os.environ, ServeSettings))
    settings = ServeSettings.load(
        *({name: one.get(name) for name in ("host", "port", "tls_cert")} for one in sources)
    )
    if settings.port == 0:
        allowed = "a port that clients can know, unless --url is given"
        raise ConfigurationError("wsprogress_port", 0, allowed)
    scheme = "wss" if settings.has_tls else "ws"
    return f"{scheme}://{display_address(settings.host, settings.port)}"


def token_of(app: Any) -> Callable[[], str] | None:
    """Return what makes tokens that grant everything, with the key of an application.

    Args:
        app: The Celery application; None where none is named.

    Returns:
        The function; None without an application or a key.

    Raises:
        ConfigurationError: the key is invalid.
    """
    if app is None:
        return None
    from celery_wsprogress.access.issue import create_token, has_key  # noqa: PLC0415 - only here is PyJWT needed

    app.set_current()
    if not has_key():
        return None
    return partial(create_token, "*", EXPIRES_IN, can=[one.value for one in Right])
