"""Declaration of the exchange on AMQP, a durable fanout, and look-up of queues.

Used by the other modules here.
"""

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
    """Open a channel, and declare the exchange unless it exists."""
    channel = connection.channel()
    try:
        channel.exchange_declare(exchange, "fanout", durable=True, auto_delete=False)
    except PreconditionFailed as exc:
        # The broker closes a channel on which a method failed.
        channel = connection.channel()
        if not _warned.is_set():
            _warned.set()
            logger.warning(
                "The exchange %s exists with other arguments and is used as it is (%s)",
                exchange,
                exc.reply_text,
            )
    except AccessRefused as exc:
        # A passive declaration needs no right (https://www.rabbitmq.com/docs/access-control).
        channel = connection.channel()
        try:
            channel.exchange_declare(exchange, "fanout", passive=True)
        except NotFound:
            raise exc from None
    return channel


def exists(connection: Any, queue: str) -> bool:
    """Return whether there is a queue of this name, of any type.

    Raises:
        NotFound: the queue exists and is not available yet, because RabbitMQ is starting.
    """
    channel = connection.channel()
    try:
        channel.queue_declare(queue, passive=True)
    except NotFound as exc:
        # RabbitMQ uses the same code for a queue that is down, with another text
        # (rabbit_amqqueue.erl, priv_absent). Names are cut out: they may hold these words.
        if _DOWN.search(_NAME.sub("", exc.reply_text)):
            raise
        return False
    channel.close()
    return True
