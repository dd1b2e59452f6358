"""What ``serve --show-config`` prints: each setting, its value, and where it comes from.

Secrets are hidden, and passwords in URLs are masked.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from celery_wsprogress.printable import escape_control
from celery_wsprogress.setting_sources import (
    CONF_PREFIX,
    ENVIRONMENT_PREFIX,
    from_conf,
    from_environ,
)
from celery_wsprogress.urls import masked, without_password

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from celery_wsprogress.brokers import BrokerAddress
    from celery_wsprogress.settings import ServeSettings

HIDDEN: Final = "(hidden)"
UNSET: Final = "(not set)"

_URLS: Final = frozenset({"url", "result_backend", "flower_url"})
"""The secret settings that are URLs: without their passwords they are shown."""


class ConfigLine(NamedTuple):
    """One setting."""

    name: str
    value: str
    source: str
    """Where it comes from: the command line, a variable, Celery's configuration, or the default."""


def config_lines(
    settings: ServeSettings, app: Any, environ: Mapping[str, str], options: Mapping[str, Any]
) -> Iterator[ConfigLine]:
    """Yield the settings by their names.

    Args:
        settings: What was read from the others.
        app: The Celery application, or None.
        environ: The environment.
        options: What the command line has set.
    """
    cls = type(settings)
    conf = {} if app is None else from_conf(app.conf, cls)
    variables = from_environ(environ, cls)
    for field in sorted(dataclasses.fields(cls), key=lambda one: one.name):
        name, value = field.name, getattr(settings, field.name)
        if name in options:
            source = "command line"
        elif name in variables:
            own = ENVIRONMENT_PREFIX + name.upper()
            source = own if environ.get(own) else "WEBSOCKET_PORT"
        elif name in conf:
            source = f"{CONF_PREFIX}{name} of the application"
        else:
            source = "default"
        yield ConfigLine(name, _shown(name, value, secret=field.metadata["secret"]), source)


def config_text(lines: Iterable[ConfigLine], broker: BrokerAddress) -> Iterator[str]:
    """Yield the lines of text: the broker that events are read from, and the settings."""
    found = [ConfigLine("broker", masked(broker.url), "events are read from it"), *lines]
    names = max(len(one.name) for one in found)
    values = min(40, max(len(one.value) for one in found))
    for one in found:
        yield f"{one.name:{names}}  {one.value:{values}}  {one.source}"


def _shown(name: str, value: Any, *, secret: bool) -> str:
    if value is None or (isinstance(value, Collection) and not value):
        return UNSET
    if secret:
        return escape_control(masked(value)) if name in _URLS else HIDDEN
    if isinstance(value, bool):
        return str(value).lower()
    several = isinstance(value, Collection) and not isinstance(value, str)
    texts = map(str, value if several else [value])
    return escape_control(", ".join(map(without_password, texts)))
