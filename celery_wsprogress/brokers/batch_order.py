"""Restore the order in which each writer wrote its batches.

Used by :mod:`.exchange`, whose transports promise no order: kombu's etcd returns the newest message
first, Amazon SQS any. A batch is held back until its predecessor arrives or counts as lost.

Pure: times are passed in.
"""

from __future__ import annotations

from collections import OrderedDict
from math import inf
from typing import TYPE_CHECKING, Final

from celery_wsprogress.protocol.batches import head_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

GAP_TIMEOUT: Final = 1.0
"""Seconds to hold a batch back while no other arrives."""

MAX_GAP_TIMEOUT: Final = 10.0
"""Seconds to hold a batch back while others arrive: the missing one may be among them."""

MAX_HELD_BYTES: Final = 8_000_000
"""Bytes that are held back. Beyond them a writer's batches are released at once."""

MAX_WRITERS: Final = 10_000
"""Writers whose next number is remembered."""


class BatchOrder:
    """Orders batches, writer by writer. For one thread."""

    def __init__(self) -> None:
        self._next: OrderedDict[str, int] = OrderedDict()
        self._held: dict[str, dict[int, tuple[float, bytes]]] = {}
        """By writer and number: the time of arrival, and the batch."""
        self._size = 0

    def add(self, batch: bytes, now: float) -> Sequence[bytes]:
        """Add a batch, and return those that are due now, in order.

        A late or repeated batch is returned at once: the consumer recognises it by its number.
        """
        head = head_of(batch)
        if head is None:
            return [batch]
        writer, number = head
        expected = self._next.get(writer, 1)
        if number > expected:
            return self._hold_back(writer, number, batch, now)
        return [batch, *self._release_from(writer, number + 1)] if number == expected else [batch]

    def release_overdue(self, now: float, *, quiet: bool) -> Sequence[bytes]:
        """Return the batches that were held back for too long, in order.

        Args:
            now: Monotonic seconds.
            quiet: Whether the broker has nothing more to deliver.
        """
        return self._release_since(now - (GAP_TIMEOUT if quiet else MAX_GAP_TIMEOUT))

    def release_all(self) -> Sequence[bytes]:
        """Return all that is held back, in order."""
        return self._release_since(inf)

    def _hold_back(self, writer: str, number: int, batch: bytes, now: float) -> Sequence[bytes]:
        held = self._held.setdefault(writer, {})
        if number not in held:
            held[number] = now, batch
            self._size += len(batch)
        return list(self._release_writer(writer, inf)) if self._size > MAX_HELD_BYTES else ()

    def _release_since(self, since: float) -> Sequence[bytes]:
        return [
            batch for writer in list(self._held) for batch in self._release_writer(writer, since)
        ]

    def _release_writer(self, writer: str, since: float) -> Iterator[bytes]:
        """Release what was held back since then, and what comes before it."""
        while any(at <= since for at, _ in self._held.get(writer, {}).values()):
            yield from self._release_from(writer, min(self._held[writer]))

    def _release_from(self, writer: str, number: int) -> Iterator[bytes]:
        """Release what is held back from this number up to the next gap."""
        held = self._held.get(writer, {})
        while number in held:
            batch = held.pop(number)[1]
            self._size -= len(batch)
            number += 1
            yield batch
        if not held:
            self._held.pop(writer, None)
        self._next[writer] = number
        self._next.move_to_end(writer)
        if len(self._next) > MAX_WRITERS:
            self._next.popitem(last=False)
