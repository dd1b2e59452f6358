"""Where the events go: Celery's own broker, or another one that was named."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from celery_wsprogress.brokers import EXCHANGE, BrokerAddress
from celery_wsprogress.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery import Celery

#: What kombu connects to when nothing is said.
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

    Celery's own broker comes with all that ``app.connection_for_write()`` has: its transport
    options, TLS, login method, and what ``broker_user``, ``broker_password``, ``broker_vhost``,
    ``broker_port`` and ``broker_transport`` say beside its URL. They belong to that broker, so
    another one gets none of them.

    Args:
        app: Whose configuration counts.
        url: Another broker than Celery's (``wsprogress_url``). Several URLs, separated by
            ``;``, are alternatives.
        exchange: The exchange of the events (``wsprogress_exchange``).
        write: Whether to take ``broker_write_url``, where it differs from
            ``broker_read_url``.
        log_bytes: What the log may take (``wsprogress_log_bytes``).
        options: Transport options of the events' connection (``wsprogress_transport_options``);
            with Celery's own broker they go before that one's.

    Raises:
        ConfigurationError: ``broker_transport`` names no transport of kombu's.
    """
    conf, more = app.conf, dict(options or {})
    said = conf.broker_write_url if write else conf.broker_read_url
    if url and url != _joined(said):
        return BrokerAddress(url, more, exchange=exchange, log_bytes=log_bytes)
    return BrokerAddress(
        _completed(said, conf),
        {**(conf.broker_transport_options or {}), **more},
        conf.broker_use_ssl or None,
        conf.broker_login_method,
        exchange,
        log_bytes,
    )


def broker_settings(app: Celery) -> tuple[Any, ...]:
    """What the application's configuration says of where its broker is."""
    conf = app.conf
    return conf.broker_read_url, conf.broker_write_url, *map(conf.get, _BESIDE)


#: What Celery takes beside the URL (celery/app/base.py, ``Celery._connection``).
_BESIDE: Final = (
    "broker_transport", "broker_user", "broker_password", "broker_port", "broker_vhost",
)  # fmt: skip


def _joined(urls: Any) -> str:
    """Celery takes a list of alternatives as well as one text with ``;`` between them."""
    if not urls:
        return DEFAULT_URL
    joined = urls if isinstance(urls, str) else ";".join(urls)
    return joined if "://" in joined else f"amqp://{joined}"


def _completed(urls: Any, conf: Any) -> str:
    """Celery's URL with what is said beside it, as kombu completes it.

    That is the first of several alternatives; to the others kombu goes as they are
    (kombu/connection.py, ``Connection.switch``).
    """
    beside = [conf.get(name) for name in _BESIDE]
    if not any(beside):
        return _joined(urls)
    transport, user, password, port, vhost = beside
    first, separator, others = (_joined(urls) if urls else "amqp://").partition(";")
    scheme, _, rest = first.partition("://")
    if "+" not in scheme:
        # Celery's word on the transport goes before the URL's, those with a plus apart.
        named = urls and "://" in (urls if isinstance(urls, str) else urls[0])
        scheme = _alias(transport) if transport else scheme if named else "amqp"
        rest = _with_parts(rest, user=user, password=password, port=port, vhost=vhost)
    elif vhost and scheme == "redis+socket" and "virtual_host=" not in rest:
        # The path is that of a file; of all that is said beside it kombu takes the database only.
        rest += f"{'&' if '?' in rest else '?'}virtual_host={_quoted(vhost)}"
    return f"{scheme}://{rest}{separator}{others}"


def _alias(transport: Any) -> str:
    """A transport's name as a URL has it; kombu takes the path of its class as well."""
    name = str(transport)
    found = _PATH_OF_KOMBU.fullmatch(name)
    if found:
        return found[1]
    if "." in name or ":" in name:
        allowed = (
            "the name of one of kombu's transports, such as redis or amqp, where the events go"
        )
        raise ConfigurationError("broker_transport", name, f"{allowed} by Celery's own broker")
    return name


_PATH_OF_KOMBU: Final = re.compile(r"kombu\.transport\.(\w+)(?:[:.]Transport)?")


def _with_parts(rest: str, *, user: Any, password: Any, port: Any, vhost: Any) -> str:
    """What stands behind the scheme, with the parts that it lacks."""
    found = urlsplit(f"//{rest}")
    before, _, place = found.netloc.rpartition("@")
    own_user, _, own_password = before.partition(":")
    words = (own_user or _quoted(user), own_password or _quoted(password))
    if port and found.port is None:
        place = f"{place.rstrip(':')}:{port}"
    path = found.path
    if vhost and path in {"", "/"}:
        path = f"/{_quoted(vhost)}"
    login = f"{words[0]}:{words[1]}@" if words[1] else f"{words[0]}@" if words[0] else ""
    query = f"?{found.query}" if found.query else ""
    return f"{login}{place}{path}{query}"


def _quoted(word: Any) -> str:
    # kombu takes a function for a password; nothing of that fits into a URL.
    return quote(str(word), safe="") if word and not callable(word) else ""
