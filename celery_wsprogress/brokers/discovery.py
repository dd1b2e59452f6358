"""Find the broker of this process's events, and the settings of a side.

Reads the environment and, where the program has loaded Celery, its applications. It never imports
Celery itself.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from celery_wsprogress.brokers import BrokerAddress
from celery_wsprogress.brokers.address import broker_address, broker_settings
from celery_wsprogress.common_settings import Settings
from celery_wsprogress.setting_sources import from_conf

if TYPE_CHECKING:
    from collections.abc import Iterator

#: A broker within this process that keeps nothing.
MEMORY: Final = "memory://"

_POLLING: Final = 0.02
"""Seconds between two polls of the memory transport."""

S = TypeVar("S", bound=Settings)


class BrokerAddresses(NamedTuple):
    """The addresses to read events from and to write them to, which Celery may set apart."""

    read: BrokerAddress
    write: BrokerAddress


_default: BrokerAddresses | None = None


def load_settings(cls: type[S]) -> S:
    """Load the settings of a side from this process's application, then the environment.

    Raises:
        ConfigurationError: a setting is invalid.
    """
    return cls.read(find_celery_app(), os.environ)


def default_address(*, write: bool = False) -> BrokerAddress:
    """Return the broker of this process's operations. Connects to nothing.

    It is the events' broker of the Celery application that names one, else ``WSPROGRESS_URL``, else
    ``memory://``, which no other process can read.

    The first result holds for the process and its forks, so that writers and readers in it meet:
    make the Celery application before.

    Args:
        write: Whether to return the address to write to.

    Raises:
        ConfigurationError: a setting is invalid.
    """
    global _default  # noqa: PLW0603 - one a process
    if _default is None:
        _default = _find_addresses()
    return _default.write if write else _default.read


def _find_addresses() -> BrokerAddresses:
    found = choose_broker(find_celery_app(), load_settings(Settings))
    if found is not None:
        return found
    memory = BrokerAddress(MEMORY, {"polling_interval": _POLLING})
    return BrokerAddresses(memory, memory)


def choose_broker(app: Any, settings: Settings, url: str | None = None) -> BrokerAddresses | None:
    """Return the broker of the application, else of the URL; None without either.

    Args:
        app: The Celery application, or None.
        settings: Name the URL, the exchange and the size of the log.
        url: Overrides the URL of the settings.
    """
    url, options = url or settings.url, settings.transport_options
    exchange, size = settings.exchange, settings.log_bytes
    if app is not None:
        read, write = (
            broker_address(app, url, exchange, write=write, log_bytes=size, options=options)
            for write in (False, True)
        )
        return BrokerAddresses(read, write)
    if url is None:
        return None
    address = BrokerAddress(url, options or {}, exchange=exchange, log_bytes=size)
    return BrokerAddresses(address, address)


def find_celery_app() -> Any:
    """Return the Celery application of this process that names its broker, or None.

    An application is current only in the thread that made it. Elsewhere this is one of those that
    name a broker, if all of them name the same.
    """
    celery = sys.modules.get("celery")
    if celery is None:
        return None
    if _names_broker(celery.current_app):
        return celery.current_app
    found = {str(broker_settings(app)): app for app in _applications() if _names_broker(app)}
    return next(iter(found.values())) if len(found) == 1 else None


def _applications() -> Iterator[Any]:
    state = sys.modules.get("celery._state")
    yield from list(getattr(state, "_apps", ()))


def _names_broker(app: Any) -> bool:
    return any(broker_settings(app)) or bool(from_conf(app.conf, Settings))
