"""Where the events go: Celery's own broker, or another one that was named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.brokers import EXCHANGE, BrokerAddress

if TYPE_CHECKING:
    from celery import Celery

#: What kombu connects to when nothing is said.
DEFAULT_URL: Final = "amqp://guest:guest@localhost:5672//"


def address_of(
    app: Celery,
    url: str | None = None,
    exchange: str = EXCHANGE,
    *,
    write: bool = False,
    log_bytes: int | None = None,
) -> BrokerAddress:
    """Return the address of the events' broker. Connects to nothing.

    Celery's own broker comes with its transport options, TLS and login method. They belong to
    that broker, so another one gets none of them: it says what it needs in its URL.

    Args:
        app: Whose configuration counts.
        url: Another broker than Celery's (``wsprogress_url``). Several URLs, separated by
            ``;``, are alternatives.
        exchange: The exchange of the events (``wsprogress_exchange``).
        write: Whether to take ``broker_write_url``, where it differs from
            ``broker_read_url``.
        log_bytes: What the log may take (``wsprogress_log_bytes``).
    """
    conf = app.conf
    own = _joined(conf.broker_write_url if write else conf.broker_read_url)
    if url and url != own:
        return BrokerAddress(url, exchange=exchange, log_bytes=log_bytes)
    return BrokerAddress(
        own,
        dict(conf.broker_transport_options or {}),
        conf.broker_use_ssl or None,
        conf.broker_login_method,
        exchange,
        log_bytes,
    )


def _joined(urls: Any) -> str:
    """Celery takes a list of alternatives as well as one text with ``;`` between them."""
    if not urls:
        return DEFAULT_URL
    joined = urls if isinstance(urls, str) else ";".join(urls)
    return joined if "://" in joined else f"amqp://{joined}"
