"""Where a process sends the events that belong to no Celery task, and reads them.

An edge: it looks at the environment and, where the program has loaded Celery, at its
applications. Celery itself is never imported here.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from celery_wsprogress.brokers import BrokerAddress
from celery_wsprogress.brokers.address import broker_address, broker_settings
from celery_wsprogress.settings import Settings, from_conf

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Reaches no further than this process, and keeps nothing.
MEMORY: Final = "memory://"

_POLLING: Final = 0.02
"""Seconds between two looks into memory."""

S = TypeVar("S", bound=Settings)


class BrokerAddresses(NamedTuple):
    """The broker of the events; Celery may be told of two."""

    read: BrokerAddress
    write: BrokerAddress


_default: BrokerAddresses | None = None


def load_settings(cls: type[S]) -> S:
    """A side's settings, from the configuration of the process's app, then the environment.

    Raises:
        ConfigurationError: one of them is bad.
    """
    return cls.read(find_celery_app(), os.environ)


def default_address(*, write: bool = False) -> BrokerAddress:
    """The broker of this process's operations. Connects to nothing.

    That of the process's Celery application, where there is one that names its broker
    (``wsprogress_url`` names another one for the events); else ``WSPROGRESS_URL``; else none:
    ``memory://``, which joins what is in this process and nothing else.

    The first answer holds for the life of the process and that of its forks, so that whatever
    writes and whatever reads here meet. Make the Celery application before.

    Args:
        write: The address to write to, where Celery is told of two.

    Raises:
        ConfigurationError: a setting is bad.
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
    """Return the broker of the events: of the application, else of the URL; None without either.

    Args:
        app: The Celery application; None where there is none.
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
    """The Celery application of this process that names its broker; None where there is none.

    The current one. It is current only in the thread that made it, so elsewhere it is whichever
    names a broker, if all that do name the same.
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
