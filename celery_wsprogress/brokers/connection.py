"""The kombu connection under a writer or a reader: our own, never one of Celery's pool.

It connects at once and once: there is no retrying in here (callers pause and open anew), and
every wait is bounded, because a stopped server would otherwise hold the flusher for ever.
"""

from __future__ import annotations

import codecs
import contextlib
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from kombu.connection import Connection
from kombu.entity import Exchange
from kombu.messaging import Producer
from kombu.utils.url import parse_url

from celery_wsprogress.brokers.transports import objection, transport_of
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.urls import masked

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from celery_wsprogress.brokers import BrokerAddress

# Looking up a host imports this codec. A module that a thread is importing while its process
# forks can never be imported in the child, so it is here before there is a thread.
codecs.lookup("idna")

#: Seconds that connecting, one write or one reply may take.
TIMEOUT: Final = 5.0

#: What a batch is published with: its bytes are JSON already, kombu serialises nothing.
RAW_JSON: Final = {
    "content_type": "application/json",
    "content_encoding": "utf-8",
    "retry": False,
}

# The events go over py-amqp, which librabbitmq lacks parts of; kombu's `amqp` may mean either.
_LIBRABBITMQ: Final = re.compile(r"(^|;)(?:librabbitmq|amqp)://")

_NOT_A_URL: Final = "a broker URL that kombu knows"


def bounded(options: Mapping[str, Any], name: str) -> float:
    """Return a timeout in seconds: what the user's transport options say, or less."""
    return min(float(options.get(name) or TIMEOUT), TIMEOUT)


def connect(
    address: BrokerAddress,
    options: Mapping[str, Any],
    *,
    connection_class: type[Any] = Connection,
    heartbeat: float = 0,
) -> Any:
    """Return a ``kombu.Connection`` that is connected, to the first URL that answers.

    Args:
        address: Where to; its own transport options count only as far as ``options`` has them.
        options: The transport options.
        connection_class: ``kombu.Connection`` or a subclass of ours.
        heartbeat: Seconds between AMQP heartbeats; 0 for none.

    Raises:
        ConfigurationError: no transport can be found for the URL, or it does not take it.
        Exception: whatever the client library raises when no URL answers.
    """
    connection = _prepare(address, options, connection_class, heartbeat)
    try:
        # Every URL once. A pause between them would be one more wait for the flusher.
        connection.ensure_connection(
            max_retries=max(len(connection.alt) - 1, 0),
            interval_start=0,
            reraise_as_library_errors=False,
        )
    except (ValueError, ImportError) as exc:
        # Redis numbers its databases, sentinels want a `master_name`: kombu looks at
        # these only when it connects.
        raise _refused(address, str(exc)) from None
    except BaseException:
        release(connection)
        raise
    return connection


def check(address: BrokerAddress) -> None:
    """Find the transport of an address without connecting to it.

    Raises:
        ConfigurationError: there is none, or its driver is not installed.
    """
    connection = _prepare(address, {}, Connection, 0)
    release(connection)
    if transport_of(address.url) == "sentinel":
        _check_sentinel(address)
    if connection.transport.driver_type == "redis":
        _check_number(address, (connection.virtual_host, *map(_path_of, connection.alt)))
    elif connection.transport.driver_type == "sql":
        _check_database(address, connection.hostname)


def _check_sentinel(address: BrokerAddress) -> None:
    """Sentinels are asked for a master by its name; kombu looks at that only when it connects."""
    options = address.transport_options
    if not isinstance(options.get("master_name"), str) or not options["master_name"]:
        allowed = (
            "one with the name of the master among its transport options: "
            "broker_transport_options = {'master_name': …} with Celery's own broker, "
            "wsprogress_transport_options or --broker-option master_name=… with another one"
        )
        raise ConfigurationError("broker URL", masked(address.url), allowed)
    if not isinstance(options.get("sentinel_kwargs") or {}, dict):
        allowed = "a mapping of what the sentinels themselves need, such as their password"
        raise ConfigurationError("sentinel_kwargs", "(hidden)", allowed)


def _path_of(url: str) -> str:
    path: str = parse_url(url)["virtual_host"] or ""
    return path


def _check_number(address: BrokerAddress, paths: Iterable[str | None]) -> None:
    """Redis numbers its databases; kombu looks at that only when it connects."""
    for path in paths:
        # Of a socket the path is its file (kombu/transport/redis.py).
        number = "" if "+socket" in address.url else (path or "").strip("/")
        if number and not re.fullmatch(r"\d{1,5}", number):
            allowed = "one that ends in the number of a database, as redis://host:6379/0 does"
            raise ConfigurationError("broker URL", masked(address.url), allowed)


def _check_database(address: BrokerAddress, url: str) -> None:
    """Find the driver of a database behind SQLAlchemy, as kombu does when it connects."""
    sqlalchemy = import_module("sqlalchemy")
    try:
        sqlalchemy.create_engine(url)
    except ImportError as exc:
        raise _refused(address, str(exc)) from None
    except (sqlalchemy.exc.ArgumentError, ValueError):
        # What these say quotes the URL.
        raise ConfigurationError(
            "broker URL", masked(address.url), "sqla+ and a URL that SQLAlchemy takes"
        ) from None


def has_fanout(connection: Any) -> bool:
    """Whether the transport gives each queue what an exchange gets."""
    return "fanout" in connection.transport.implements.exchange_type


def lacks_fanout(address: BrokerAddress) -> bool:
    """Whether all readers share one queue; see :func:`celery_wsprogress.brokers.lacks_fanout`."""
    connection = _prepare(address, {}, Connection, 0)
    try:
        return not has_fanout(connection)
    finally:
        release(connection)


def make_producer(channel: Any, name: str, exchange_type: str, *, declare: bool = True) -> Any:
    """Return a ``kombu.Producer`` for the exchange of the events, which is declared by it."""
    exchange = Exchange(name, type=exchange_type, durable=True)  # type: ignore[no-untyped-call]
    return Producer(channel, exchange=exchange, auto_declare=declare)  # type: ignore[no-untyped-call]


def release(connection: Any) -> None:
    """Let go of a connection, in whatever state it is; never raises."""
    with contextlib.suppress(Exception):
        connection.release()


def _prepare(
    address: BrokerAddress,
    options: Mapping[str, Any],
    connection_class: type[Any],
    heartbeat: float,
) -> Any:
    allowed = objection(address.url)
    if allowed:
        raise ConfigurationError("broker URL", masked(address.url), allowed)
    queues = address.transport_options.get("predefined_queues")
    # In kombu 5.7's SQS such a queue is never made, but the lack of it is told by a name.
    name = f"{address.transport_options.get('queue_name_prefix', '')}{address.exchange}"
    if queues and name not in queues:
        allowed = f"a mapping with a queue {name!r}, by which the events go"
        raise ConfigurationError("predefined_queues", sorted(queues), allowed)
    try:
        connection = connection_class(
            _LIBRABBITMQ.sub(r"\1pyamqp://", address.url),
            ssl=address.use_ssl or False,
            login_method=address.login_method,
            transport_options=dict(options),
            connect_timeout=TIMEOUT,
            heartbeat=heartbeat,
        )
        # Imports the transport.
        connection.transport  # noqa: B018
    except ImportError as exc:
        raise _refused(address, str(exc)) from None
    except Exception:  # noqa: BLE001 - nothing has been connected to: it is the URL or the library
        # What these say may quote a part of the URL, and so of a password.
        raise _refused(address) from None
    return connection


def _refused(address: BrokerAddress, reason: str = "") -> ConfigurationError:
    shown = masked(address.url)
    hidden = f"{address.url} {unquote(address.url)}"
    if any(word in hidden and word not in shown for word in reason.split()):
        # It quotes a part of the URL, and so perhaps of a password with a slash in it.
        reason = ""
    allowed = f"{_NOT_A_URL} ({reason})" if reason else _NOT_A_URL
    return ConfigurationError("broker URL", shown, allowed)
