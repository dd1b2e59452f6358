"""Which queue a message is in: its name, as Celery's configuration knows it.

A message carries an exchange and a routing key, and neither need be the name of a queue: the key
may be that of a topic, or Celery's own for a delay (``0.0.…1.0.q2``: RabbitMQ's delayed delivery
of quorum queues, kombu/transport/native_delayed_delivery.py).
"""

from __future__ import annotations

import re
import weakref
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_DELAY: Final = re.compile(r"^(?:[01]\.){28}")
_DELAYED: Final = re.compile(r"(?:^|_)celery_delayed_(?:\d+|delivery)$")
"""Exchanges of the delayed delivery, with a prefix or without."""
_MAX_KNOWN: Final = 1_000

_known: weakref.WeakKeyDictionary[Any, dict[Any, str]] = weakref.WeakKeyDictionary()


def queue_of(app: Any, exchange: Any, routing_key: Any, *, consumed: bool = False) -> str:
    """The name of the queue that a message went to; empty where the configuration knows none.

    Args:
        app: The Celery app.
        exchange: Where the message was published, or its name.
        routing_key: With which key.
        consumed: Whether this process got it from its queue: then it is one that it consumes.
    """
    queues = app.amqp.queues
    candidates = queues.consume_from if consumed else queues
    key = getattr(exchange, "name", exchange) or "", routing_key or "", consumed, len(candidates)
    known = _known.setdefault(app, {})
    found = known.get(key)
    if found is None:
        if len(known) >= _MAX_KNOWN:
            known.clear()
        found = known[key] = _find(candidates, str(key[0]), str(key[1]))
    return found


def name_of(queue: Any) -> str:
    """Return the configured name of a queue: a broadcast's own name is new in each worker."""
    return str(getattr(queue, "alias", None) or getattr(queue, "name", None) or "")


def _find(queues: Mapping[str, Any], exchange: str, routing_key: str) -> str:
    key = _DELAY.sub("", routing_key, count=1)
    anywhere = bool(_DELAYED.search(exchange))
    if not exchange:
        # The default exchange: the key is the queue's name.
        known = dict.get(queues, key) if isinstance(queues, dict) else None
        return name_of(known) if known is not None else key
    bound = [
        (queue, kind, pattern)
        for queue in queues.values()
        for name, kind, pattern in _bindings(queue)
        if anywhere or name == exchange
    ]
    for matches in (_is_same, _is_topic, _is_fanout):
        for queue, kind, pattern in bound:
            if matches(kind, pattern, key):
                return name_of(queue)
    return ""


def _bindings(queue: Any) -> Iterator[tuple[str, str, str]]:
    """The exchange of each binding, its type, and the key."""
    if queue.exchange is not None:
        yield queue.exchange.name, queue.exchange.type, queue.routing_key or ""
    others: Iterable[Any] = queue.bindings or ()
    for one in others:
        yield one.exchange.name, one.exchange.type, one.routing_key or ""


def _is_same(_kind: str, pattern: str, key: str) -> bool:
    return pattern == key


def _is_fanout(kind: str, _pattern: str, _key: str) -> bool:
    return kind == "fanout"


def _is_topic(kind: str, pattern: str, key: str) -> bool:
    return kind == "topic" and _matches_topic(pattern.split("."), key.split("."))


def _matches_topic(pattern: list[str], words: list[str]) -> bool:
    """AMQP 0-9-1, 3.1.3.3: ``*`` is one word, ``#`` any number of them."""
    if not pattern:
        return not words
    if pattern[0] == "#":
        return any(_matches_topic(pattern[1:], words[left:]) for left in range(len(words) + 1))
    return bool(words) and pattern[0] in {"*", words[0]} and _matches_topic(pattern[1:], words[1:])
