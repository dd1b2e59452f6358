"""The log, written as worker processes write it: a few events a batch."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from itertools import count, islice
from typing import TYPE_CHECKING, Final

from celery_wsprogress.brokers import BrokerAddress, open_writer
from celery_wsprogress.protocol.batches import join_batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from celery_wsprogress.brokers import Writer

EVENTS_A_BATCH: Final = 20
"""Events in one batch of a busy process."""


class Log:
    """Writes events. Made by :func:`log`."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._name = secrets.token_hex(4)
        self._counter = count(1)

    def batch(self, events: Sequence[bytes]) -> bytes:
        """Make the next batch; it must be the next that is published, too."""
        return join_batch(self._name, next(self._counter), events)

    def batches(self, events: Iterable[bytes], size: int = EVENTS_A_BATCH) -> list[bytes]:
        """Make as many batches as the events need, to be published in this order."""
        left = iter(events)
        return [self.batch(some) for some in iter(lambda: list(islice(left, size)), [])]

    def publish(self, batch: bytes, *, confirm: bool = False) -> None:
        """Append a batch."""
        self._writer.publish(batch, confirm=confirm)

    def write(self, *events: bytes) -> None:
        """Append events as one batch, and wait until the broker has it."""
        self.publish(self.batch(events), confirm=True)

    def fill(self, events: Iterable[bytes]) -> None:
        """Append as many batches as the events need, and wait until the broker has them."""
        batches = self.batches(events)
        for number, batch in enumerate(batches, 1):
            self.publish(batch, confirm=number == len(batches))


@contextmanager
def log(broker: str) -> Iterator[Log]:
    """Open the log of a broker for writing."""
    writer = open_writer(BrokerAddress(broker))
    try:
        yield Log(writer)
    finally:
        writer.close()
