"""A broker's log in a test: batches of any bytes, written and read."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, TypeVar

from celery_wsprogress.brokers import open_writer
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery_wsprogress.brokers import BrokerAddress, Entry, Reader

T = TypeVar("T")


def publish(address: BrokerAddress, *batches: bytes) -> None:
    """Write these, each confirmed, with a writer of their own."""
    writer = open_writer(address)
    for batch in batches:
        writer.publish(batch, confirm=True)
    writer.close()


def read_until(reader: Reader, count: int, position: str = "") -> list[Entry]:
    """Read on from a position until so many entries have come."""
    entries: list[Entry] = []

    def enough() -> bool:
        entries.extend(reader.read(entries[-1].position if entries else position, wait=0.5))
        return len(entries) >= count

    eventually(enough, what=f"{count} entries")
    return entries


def batches(entries: list[Entry]) -> list[bytes]:
    """What the entries hold."""
    return [entry.batch for entry in entries]


def opened(opener: Callable[..., T], *arguments: object) -> T:
    """What the opener returns, once the broker that has just started has its queues again."""

    def once_it_can() -> T | None:
        with contextlib.suppress(Exception):
            return opener(*arguments)
        return None

    return eventually(once_it_can, 60, interval=0.2)
