"""The kombu connection to Redis, whose channels know the exchange type of the log.

Used by :mod:`.stream`. kombu handles TLS, credentials, sentinels and unix sockets. Writer and
reader add the key prefix (``global_keyprefix``), because kombu does not for the commands of streams
(kombu 5.7, ``transport/redis.py``, ``GlobalKeyPrefixMixin``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import redis
from kombu.connection import Connection
from kombu.transport import redis as kombu_redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from celery_wsprogress.brokers import connection as any_connection
from celery_wsprogress.brokers.redis.exchange import StreamExchange

if TYPE_CHECKING:
    from celery_wsprogress.brokers import BrokerAddress


class _StreamChannel:
    """Registers the exchange type with kombu's channels."""

    exchange_types: Final = {
        **kombu_redis.Channel.exchange_types,
        StreamExchange.type: StreamExchange,
    }
    #: Bytes stay bytes: base64 is for exchanges that make JSON of the whole message.
    body_encoding = None

    def _get_client(self) -> type[redis.Redis]:
        # kombu's client would prefix some commands and not others.
        return redis.Redis


class _Channel(_StreamChannel, kombu_redis.Channel):  # type: ignore[misc]
    pass


class _SentinelChannel(_StreamChannel, kombu_redis.SentinelChannel):  # type: ignore[misc]
    pass


class _RedisConnection(Connection):
    """Sets the channels above on kombu's transports, also after a switch to another URL."""

    def create_transport(self) -> Any:
        transport: Any = super().create_transport()  # type: ignore[no-untyped-call]
        sentinel = isinstance(transport, kombu_redis.SentinelTransport)
        transport.Channel = _SentinelChannel if sentinel else _Channel
        return transport


def connect(address: BrokerAddress) -> Any:
    """Return a connection with a timeout for every wait; see :func:`..connection.connect`."""
    options = dict(address.transport_options)
    for name in ("socket_timeout", "socket_connect_timeout"):
        options[name] = any_connection.bounded(options, name)
    # A repeated command may be executed twice, so the caller decides about it.
    options["retry_on_timeout"] = False
    options.pop("body_encoding", None)
    # redis-py would try a sentinel that is down ten times before it asks the next one.
    options["sentinel_kwargs"] = {
        "socket_timeout": options["socket_timeout"],
        "socket_connect_timeout": options["socket_connect_timeout"],
        "retry": Retry(NoBackoff(), 0),
        **(options.get("sentinel_kwargs") or {}),
    }
    return any_connection.connect(address, options, connection_class=_RedisConnection)
