"""What has to be there on AMQP: the exchange, a durable fanout; and whether a queue is."""

from __future__ import annotations

import logging
import threading
from typing import Any

from amqp.exceptions import (  # type: ignore[import-untyped]
    AccessRefused,
    NotFound,
    PreconditionFailed,
)

logger = logging.getLogger(__name__)

_warned = threading.Event()


def open_channel(connection: Any, exchange: str) -> Any:
    """Open a channel on which the exchange is known to exist."""
    channel = connection.channel()
    try:
        channel.exchange_declare(exchange, "fanout", durable=True, auto_delete=False)
    except PreconditionFailed as exc:
        # The broker closes a channel on which something failed.
        channel = connection.channel()
        if not _warned.is_set():
            _warned.set()
            logger.warning(
                "The exchange %s exists with other arguments and is used as it is (%s)",
                exchange,
                exc.reply_text,
            )
    except AccessRefused as exc:
        # To ask whether there is one takes no right.
        channel = connection.channel()
        try:
            channel.exchange_declare(exchange, "fanout", passive=True)
        except NotFound:
            raise exc from None
    return channel


def exists(connection: Any, queue: str) -> bool:
    """Say whether there is a queue of this name, of whatever kind.

    Raises:
        NotFound: there is one, but the broker is still starting and does not have it yet.
    """
    channel = connection.channel()
    try:
        channel.queue_declare(queue, passive=True)
    except NotFound as exc:
        if "no queue" not in exc.reply_text:
            raise
        return False
    channel.close()
    return True
