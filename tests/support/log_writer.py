"""A writer of the event log for tests: what a worker would publish, said directly."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

from celery_wsprogress.brokers import BrokerAddress, open_writer
from celery_wsprogress.protocol import batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from celery_wsprogress.protocol.events import Event


@contextmanager
def log_writer(url: str) -> Iterator[Callable[..., None]]:
    """Gives a function that writes its arguments to the log, as one confirmed batch."""
    writer, numbers = open_writer(BrokerAddress(url)), count(1)

    def write(*events: Event) -> None:
        encoded = [batches.encode_event(event) for event in events]
        writer.publish(batches.join_batch("test", next(numbers), encoded), confirm=True)

    try:
        yield write
    finally:
        writer.close()
