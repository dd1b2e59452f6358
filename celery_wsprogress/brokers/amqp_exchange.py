"""The exchange on AMQP: a durable fanout, whatever is bound to it."""

from __future__ import annotations

import logging
import threading
from typing import Any

from amqp.exceptions import PreconditionFailed  # type: ignore[import-untyped]

from celery_wsprogress.brokers import EXCHANGE

logger = logging.getLogger(__name__)

_warned = threading.Event()


def open_channel(connection: Any) -> Any:
    """Open a channel on which the exchange is known to exist."""
    channel = connection.channel()
    try:
        channel.exchange_declare(EXCHANGE, "fanout", durable=True, auto_delete=False)
    except PreconditionFailed as exc:
        # The broker closes a channel on which something failed.
        channel = connection.channel()
        if not _warned.is_set():
            _warned.set()
            logger.warning(
                "The exchange %s exists with other arguments and is used as it is (%s)",
                EXCHANGE,
                exc.reply_text,
            )
    return channel
