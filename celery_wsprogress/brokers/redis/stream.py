"""The log on Redis: one stream, named after the exchange.

Opened by :mod:`celery_wsprogress.brokers`. A writer (:mod:`.writer`) publishes through kombu to the
exchange type of :mod:`.exchange`, which sends one ``XADD``. A reader (:mod:`.reader`) sends
``XREAD``. Writers bound the stream by memory, readers by age, and an unused stream expires. The key
of the epoch is beside it (:mod:`.epoch_key`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery_wsprogress.brokers.redis.connection import connect
from celery_wsprogress.brokers.redis.reader import RedisReader
from celery_wsprogress.brokers.redis.writer import RedisWriter

if TYPE_CHECKING:
    from celery_wsprogress.brokers import BrokerAddress


def open_writer(address: BrokerAddress) -> RedisWriter:
    """Connect a writer; see :func:`celery_wsprogress.brokers.open_writer`."""
    return RedisWriter(connect(address), address.exchange, address.log_bytes)


def open_reader(address: BrokerAddress, position: str, epoch: str) -> RedisReader:
    """Connect a reader; see :func:`celery_wsprogress.brokers.open_reader`."""
    return RedisReader(connect(address), address.exchange, position, epoch, address.log_bytes)
