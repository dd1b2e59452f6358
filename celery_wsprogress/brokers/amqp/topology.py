"""What has to be there on AMQP: the exchange, a durable fanout; and whether a queue is."""

from __future__ import annotations

import logging
import re
import threading
from typing import Any, Final

from amqp.exceptions import (  # type: ignore[import-untyped]
    AccessRefused,
    NotFound,
    PreconditionFailed,
)

logger = logging.getLogger(__name__)

_DOWN: Final = re.compile(r"home node|is down|inaccessible|crashed|stopped|timeout")
_NAME: Final = re.compile(r"'[^']*'")

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
        NotFound: there is one, but it cannot be had yet: a RabbitMQ is still starting.
    """
    channel = connection.channel()
    try:
        channel.queue_declare(queue, passive=True)
    except NotFound as exc:
        # The code is the same for a queue that is down, and only what RabbitMQ says of it differs
        # (rabbit_amqqueue.erl, priv_absent); other brokers have other words for what is not there.
        # What things are called says nothing.
        if _DOWN.search(_NAME.sub("", exc.reply_text)):
            raise
        return False
    channel.close()
    return True
