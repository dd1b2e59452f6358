"""The address of the events' broker, from Celery's configuration or from ``wsprogress_url``.

Called by :mod:`.discovery`, which finds the application and the settings.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from celery_wsprogress.brokers import EXCHANGE, BrokerAddress
from celery_wsprogress.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery import Celery

#: The default of kombu (kombu/transport/pyamqp.py, ``default_connection_params``).
DEFAULT_URL: Final = "amqp://guest:guest@localhost:5672//"


def broker_address(
    app: Celery,
    url: str | None = None,
    exchange: str = EXCHANGE,
    *,
    write: bool = False,
    log_bytes: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> BrokerAddress:
    """Return the address of the events' broker. Connects to nothing.

    Celery's own broker comes with its transport options, TLS, login method and the settings beside
    its URL (``broker_user`` and others), as in ``app.connection_for_write()``. Another broker gets
    none of them.

    Args:
        app: The Celery application.
        url: Another broker than Celery's (``wsprogress_url``). Several URLs, separated by
            ``;``, are alternatives.
        exchange: The exchange of the events (``wsprogress_exchange``).
        write: Whether to take ``broker_write_url`` instead of ``broker_read_url``.
        log_bytes: Bytes that the log may take (``wsprogress_log_bytes``).
        options: Transport options (``wsprogress_transport_options``), which override those of
            Celery's broker.

    Raises:
        ConfigurationError: ``broker_transport`` names no transport of kombu's.
    """
    conf, more = app.conf, dict(options or {})
    configured = conf.broker_write_url if write else conf.broker_read_url
    if url and url != _joined(configured):
        return BrokerAddress(url, more, exchange=exchange, log_bytes=log_bytes)
    return BrokerAddress(
        _completed(configured, conf),
        {**(conf.broker_transport_options or {}), **more},
        conf.broker_use_ssl or None,
        conf.broker_login_method,
        exchange,
        log_bytes,
    )


def broker_settings(app: Celery) -> tuple[Any, ...]:
    """Return the settings that name the application's broker."""
    conf = app.conf
    return conf.broker_read_url, conf.broker_write_url, *map(conf.get, _URL_PARTS)


#: The settings beside the URL (celery/app/base.py, ``Celery._connection``).
_URL_PARTS: Final = (
    "broker_transport", "broker_user", "broker_password", "broker_port", "broker_vhost",
)  # fmt: skip


def _joined(urls: Any) -> str:
    """Return one text of Celery's URL, or of its list of alternatives."""
    if not urls:
        return DEFAULT_URL
    joined = urls if isinstance(urls, str) else ";".join(urls)
    return joined if "://" in joined else f"amqp://{joined}"


def _completed(urls: Any, conf: Any) -> str:
    """Return Celery's URL, completed from the settings beside it.

    Only the first alternative is completed: kombu uses the others as they are
    (kombu/connection.py, ``Connection.switch``).
    """
    parts = [conf.get(name) for name in _URL_PARTS]
    if not any(parts):
        return _joined(urls)
    transport, user, password, port, vhost = parts
    first, separator, others = (_joined(urls) if urls else "amqp://").partition(";")
    scheme, _, rest = first.partition("://")
    if "+" not in scheme:
        # `broker_transport` overrides the URL's scheme, unless that has a plus.
        named = urls and "://" in (urls if isinstance(urls, str) else urls[0])
        scheme = _alias(transport) if transport else scheme if named else "amqp"
        rest = _with_parts(rest, user=user, password=password, port=port, vhost=vhost)
    elif vhost and scheme == "redis+socket" and "virtual_host=" not in rest:
        # The path is a file's; kombu adds nothing but the database to it.
        rest += f"{'&' if '?' in rest else '?'}virtual_host={_quoted(vhost)}"
    return f"{scheme}://{rest}{separator}{others}"


def _alias(transport: Any) -> str:
    """Return a transport's name for a URL; kombu takes the path of its class as well."""
    name = str(transport)
    found = _PATH_OF_KOMBU.fullmatch(name)
    if found:
        return found[1]
    if "." in name or ":" in name:
        allowed = (
            "the name of one of kombu's transports, such as redis or amqp, if the events use "
            "Celery's own broker"
        )
        raise ConfigurationError("broker_transport", name, allowed)
    return name


_PATH_OF_KOMBU: Final = re.compile(r"kombu\.transport\.(\w+)(?:[:.]Transport)?")


def _with_parts(rest: str, *, user: Any, password: Any, port: Any, vhost: Any) -> str:
    """Return the part of a URL after the scheme, with the parts that it lacks."""
    found = urlsplit(f"//{rest}")
    credentials, _, host = found.netloc.rpartition("@")
    own_user, _, own_password = credentials.partition(":")
    user, password = own_user or _quoted(user), own_password or _quoted(password)
    if port and found.port is None:
        host = f"{host.rstrip(':')}:{port}"
    path = found.path
    if vhost and path in {"", "/"}:
        path = f"/{_quoted(vhost)}"
    login = f"{user}:{password}@" if password else f"{user}@" if user else ""
    query = f"?{found.query}" if found.query else ""
    return f"{login}{host}{path}{query}"


def _quoted(value: Any) -> str:
    # kombu takes a function for a password, which fits into no URL.
    return quote(str(value), safe="") if value and not callable(value) else ""
