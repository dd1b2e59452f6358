"""Where the values of settings come from: Celery's configuration and the environment.

:mod:`.settings` declares the settings with :func:`setting`. Pure: the callers pass the mappings in.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.origins import is_service_link
from celery_wsprogress.setting_parsers import Parser, switch
from celery_wsprogress.urls import without_password

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CONF_PREFIX: Final = "wsprogress_"
ENVIRONMENT_PREFIX: Final = "WSPROGRESS_"


def setting(default: Any, parse: Parser, allowed: str, *, secret: bool = False) -> Any:
    """Declare a setting: its default, its parser, and a text that says what is allowed."""
    return dataclasses.field(
        default=default,
        repr=not secret,
        metadata={"parse": parse, "allowed": allowed, "secret": secret},
    )


def parse_value(field: dataclasses.Field[Any], value: Any) -> Any:
    """Parse the value of a setting.

    Raises:
        ConfigurationError: It is not allowed.
    """
    try:
        return field.metadata["parse"](value)
    except (ValueError, TypeError, AttributeError, OverflowError):
        shown = "(hidden)" if field.metadata["secret"] else _without_passwords(value)
        raise ConfigurationError(
            CONF_PREFIX + field.name, shown, field.metadata["allowed"]
        ) from None


def _without_passwords(value: Any) -> Any:
    """Return a value, or what may be shown of it if it is a URL, or several."""
    if isinstance(value, str):
        return without_password(value)
    if isinstance(value, (list, tuple)):
        return type(value)(map(_without_passwords, value))
    return value


def from_conf(conf: Mapping[str, Any], cls: type[Any]) -> dict[str, Any]:
    """Return the settings that Celery's configuration holds (``wsprogress_…``), without prefix."""
    return _pick(((CONF_PREFIX + name, name) for name in _names(cls)), conf)


def from_environ(environ: Mapping[str, str], cls: type[Any]) -> dict[str, Any]:
    """Return the settings that the environment holds (``WSPROGRESS_…``), without prefix.

    For the sidecar, ``WEBSOCKET_PORT`` is the port if ``WSPROGRESS_PORT`` is not set.
    """
    # For a service `wsprogress`, Kubernetes sets `WSPROGRESS_PORT=tcp://…` in every container.
    environ = {name: value for name, value in environ.items() if not is_service_link(value)}
    found = _pick(((ENVIRONMENT_PREFIX + name.upper(), name) for name in _names(cls)), environ)
    if "port" in _names(cls) and environ.get("WEBSOCKET_PORT"):
        found.setdefault("port", environ["WEBSOCKET_PORT"])
    return found


def websocket_enabled(environ: Mapping[str, str]) -> bool:
    """Return whether ``ENABLE_WEBSOCKET`` lets a sidecar start: true unless it is set to false.

    Raises:
        ConfigurationError: The variable holds something else.
    """
    value = environ.get("ENABLE_WEBSOCKET", "")
    try:
        return switch(value) if value else True
    except ValueError:
        raise ConfigurationError("ENABLE_WEBSOCKET", value, "true or false") from None


def _names(cls: type[Any]) -> Iterable[str]:
    return [field.name for field in dataclasses.fields(cls)]


def _pick(names: Iterable[tuple[str, str]], source: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, name in names:
        value = source.get(key)
        if value is not None and value != "":
            found[name] = value
    return found
