"""The settings that workers and sidecar have in common, and how all of them are loaded.

:mod:`.settings` has those of each side. Pure.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.option_values import transport_options
from celery_wsprogress.setting_parsers import exchange_name, text, whole
from celery_wsprogress.setting_sources import from_conf, from_environ, parse_value, setting

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

#: The default exchange of the events. The names of streams and queues begin with it.
EXCHANGE: Final = "celery_wsprogress"

#: The default size of the log on the broker, in bytes.
LOG_BYTES: Final = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings that workers and sidecar have in common."""

    url: str | None = setting(None, text, "a broker URL that kombu knows", secret=True)
    """URL of the broker for the events, if it is not Celery's own."""
    transport_options: Mapping[str, Any] | None = setting(
        None,
        lambda value: transport_options(value) or None,
        "a mapping, or as JSON an object, or NAME=VALUE, such as master_name=mymaster; a dot in a "
        "NAME leads into a mapping: sentinel_kwargs.password=…",
        secret=True,
    )
    """Transport options of the broker for the events, such as a Sentinel's ``master_name`` or a
    ``global_keyprefix``. With ``url`` these are the only options. Without it they are merged into
    Celery's ``broker_transport_options`` and win over them."""
    exchange: str = setting(
        EXCHANGE, exchange_name, "a name of up to 60 letters, digits, '_' and '-'"
    )
    """Name of the exchange for the events. Projects that share a broker can use different
    exchanges: a sidecar sees only the tasks of its own exchange."""
    log_bytes: int | None = setting(
        None, whole(1_000_000, 1_000_000_000_000), "bytes from 1000000 to 1000000000000"
    )
    """Maximum size of the log, in bytes: memory of a Redis server, disk of a RabbitMQ. The default
    depends on the broker; on a Redis with a ``maxmemory`` it is at most a quarter of that.
    Workers, processes that call tasks, and the sidecar need the same value."""

    @classmethod
    def load(cls, *sources: Mapping[str, Any]) -> Self:
        """Build the settings from mappings of setting names without a prefix; later ones win.

        An empty string and None count as not set. Unknown names are ignored.

        Raises:
            ConfigurationError: A value is not allowed. Raised for the first one.
        """
        known = {field.name: field for field in dataclasses.fields(cls)}
        values: dict[str, Any] = {}
        for source in sources:
            for name, value in source.items():
                if name in known and value is not None and value != "":
                    values[name] = parse_value(known[name], value)
        return cls(**values)

    @classmethod
    def read(cls, app: Any, environ: Mapping[str, str], *more: Mapping[str, Any]) -> Self:
        """Build the settings from Celery's configuration, the environment and ``more``.

        ``app`` is the Celery application or None; ``more`` are, for instance, a command's options.
        """
        conf = from_conf(app.conf, cls) if app is not None else {}
        return cls.load(conf, from_environ(environ, cls), *more)
