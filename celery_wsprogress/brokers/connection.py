"""The kombu connection of a writer or a reader: never one of Celery's pool.

Used by :mod:`.exchange`, :mod:`.amqp` and :mod:`.redis`. Each URL is tried once. Every wait has a
timeout, because a stopped server (SIGSTOP) would otherwise block the publisher's thread for ever.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import socket
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

# Looking up a host imports this codec. A child that is forked during the import could never finish
# it, so it is imported before there is a thread.
codecs.lookup("idna")

#: Seconds that connecting, one write or one reply may take.
TIMEOUT: Final = 5.0

#: Options of ``Producer.publish`` for a batch, which is JSON already.
RAW_JSON: Final = {
    "content_type": "application/json",
    "content_encoding": "utf-8",
    "retry": False,
}

# py-amqp replaces librabbitmq, which kombu's `amqp` may mean, too
# (kombu/connection.py, `Connection._init_params`).
_LIBRABBITMQ: Final = re.compile(r"(^|;)(?:librabbitmq|amqp)://")

_NOT_A_URL: Final = "a broker URL that kombu knows"


def bounded(options: Mapping[str, Any], name: str) -> float:
    """Return a timeout of the transport options, in seconds, :data:`TIMEOUT` at most."""
    return min(float(options.get(name) or TIMEOUT), TIMEOUT)


def connect(
    address: BrokerAddress,
    options: Mapping[str, Any],
    *,
    connection_class: type[Any] = Connection,
    heartbeat: float = 0,
) -> Any:
    """Return a ``kombu.Connection``, connected to the first URL that answers.

    Args:
        address: The broker.
        options: The transport options, instead of the address's own.
        connection_class: ``kombu.Connection`` or a subclass of ours.
        heartbeat: Seconds between AMQP heartbeats; 0 for none.

    Raises:
        ConfigurationError: kombu has no transport for the URL, or the transport refuses it.
        Exception: whatever the client library raises when no URL answers.
    """
    connection = _prepare(address, options, connection_class, heartbeat)
    try:
        connection.ensure_connection(
            max_retries=max(len(connection.alt) - 1, 0),
            interval_start=0,
            reraise_as_library_errors=False,
        )
    except OSError:
        # Also a certificate that is refused, which is a ValueError as well.
        release(connection)
        raise
    except (ValueError, ImportError) as exc:
        # kombu 5.7 checks a Redis database and a sentinel's `master_name` only here
        # (transport/redis.py, `_prepare_virtual_host` and `_sentinel_managed_pool`).
        raise _refused(address, str(exc)) from None
    except BaseException:
        release(connection)
        raise
    return connection


def check(address: BrokerAddress) -> None:
    """Find the transport of an address without connecting to it.

    Raises:
        ConfigurationError: as :func:`celery_wsprogress.brokers.prepare`.
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
    """Refuse a sentinel address without ``master_name``, which kombu checks when it connects."""
    options = address.transport_options
    if not isinstance(options.get("master_name"), str) or not options["master_name"]:
        allowed = (
            "one with a master_name among its transport options: "
            "broker_transport_options = {'master_name': …} for Celery's own broker, "
            "wsprogress_transport_options or --broker-option master_name=… for another one"
        )
        raise ConfigurationError("broker URL", masked(address.url), allowed)
    if not isinstance(options.get("sentinel_kwargs") or {}, dict):
        allowed = "a mapping of options of the sentinels, such as their password"
        raise ConfigurationError("sentinel_kwargs", "(hidden)", allowed)


def _path_of(url: str) -> str:
    path: str = parse_url(url)["virtual_host"] or ""
    return path


def _check_number(address: BrokerAddress, paths: Iterable[str | None]) -> None:
    """Refuse a path that is no database number, which kombu checks when it connects."""
    for path in paths:
        # The path of a unix socket is its file (kombu 5.7, transport/redis.py).
        number = "" if "+socket" in address.url else (path or "").strip("/")
        if number and not re.fullmatch(r"\d{1,5}", number):
            allowed = "one that ends in a database number, such as redis://host:6379/0"
            raise ConfigurationError("broker URL", masked(address.url), allowed)


def _check_database(address: BrokerAddress, url: str) -> None:
    """Refuse a URL of SQLAlchemy that it cannot take, which kombu checks when it connects."""
    sqlalchemy = import_module("sqlalchemy")
    try:
        sqlalchemy.create_engine(url)
    except ImportError as exc:
        raise _refused(address, str(exc)) from None
    except (sqlalchemy.exc.ArgumentError, ValueError):
        # Their text quotes the URL.
        raise ConfigurationError(
            "broker URL", masked(address.url), "sqla+ and a URL that SQLAlchemy takes"
        ) from None


def has_fanout(connection: Any) -> bool:
    """Return whether the transport delivers a message to every queue bound to an exchange."""
    return "fanout" in connection.transport.implements.exchange_type


def driver_type(address: BrokerAddress) -> str:
    """Return kombu's name for the kind of an address's transport, such as ``redis``.

    Raises:
        ConfigurationError: as :func:`connect`.
    """
    connection = _prepare(address, {}, Connection, 0)
    try:
        return str(connection.transport.driver_type)
    finally:
        release(connection)


def lacks_fanout(address: BrokerAddress) -> bool:
    """Return whether all readers share one queue; see :func:`..brokers.lacks_fanout`."""
    connection = _prepare(address, {}, Connection, 0)
    try:
        return not has_fanout(connection)
    finally:
        release(connection)


def make_producer(channel: Any, name: str, exchange_type: str, *, declare: bool = True) -> Any:
    """Return a ``kombu.Producer`` for the exchange of the events.

    Args:
        channel: A channel of kombu or py-amqp.
        name: The exchange.
        exchange_type: ``fanout``, ``topic`` or one of ours.
        declare: Whether the producer declares the exchange.
    """
    exchange = Exchange(name, type=exchange_type, durable=True)  # type: ignore[no-untyped-call]
    return Producer(channel, exchange=exchange, auto_declare=declare)  # type: ignore[no-untyped-call]


def queue_name(exchange: str, epoch: str) -> str:
    """Return the name of the queue that one reader of an exchange owns."""
    return f"{exchange}.{socket.gethostname()}.{epoch}"


class OwnedConnection:
    """A writer's connection, which a forked child never closes: the socket is its parent's."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._process = os.getpid()

    def close(self) -> None:
        """Close the connection, unless a parent process opened it. Never raises."""
        if os.getpid() == self._process:
            self._disconnect()

    def _disconnect(self) -> None:
        release(self._connection)


def release(connection: Any) -> None:
    """Close a connection in any state. Never raises."""
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
    # kombu 5.7, transport/SQS.py creates no queue then, and its error only names the queue.
    name = f"{address.transport_options.get('queue_name_prefix', '')}{address.exchange}"
    if queues and name not in queues:
        allowed = f"a mapping with a queue {name!r} for the events"
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
        connection.transport  # noqa: B018 - imports the transport
    except ImportError as exc:
        raise _refused(address, str(exc)) from None
    except Exception:  # noqa: BLE001 - nothing has been connected to: it is the URL or the library
        # The text may quote a part of the password.
        raise _refused(address) from None
    return connection


def _refused(address: BrokerAddress, reason: str = "") -> ConfigurationError:
    shown = masked(address.url)
    hidden = f"{address.url} {unquote(address.url)}"
    if any(part in hidden and part not in shown for part in reason.split()):
        # The reason quotes a masked part of the URL: perhaps a password with a slash.
        reason = ""
    allowed = f"{_NOT_A_URL} ({reason})" if reason else _NOT_A_URL
    return ConfigurationError("broker URL", shown, allowed)
