"""Batches in the order in which their writer wrote them, from a broker that may mix them up.

Where the broker is a log, its order is what counts, and a writer's batches stand in it in theirs.
Other brokers promise no order: kombu's etcd gives the newest first, Amazon SQS whatever it finds
first. So a batch whose predecessor has not come is held back for a while. It is handed on when
that has come, or when that may be taken for lost.

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
"""Seconds that a batch is held back while nothing else comes."""

MAX_GAP_TIMEOUT: Final = 10.0
"""Seconds that it is held back while others come: the missing one may wait among them."""

MAX_HELD_BYTES: Final = 8_000_000
"""Bytes that are held back; what does not fit is handed on without waiting."""

MAX_WRITERS: Final = 10_000
"""Writers of which it is remembered which batch comes next."""


class BatchOrder:
    """Puts what arrives into order, writer by writer."""

    def __init__(self) -> None:
        self._next: OrderedDict[str, int] = OrderedDict()
        self._held: dict[str, dict[int, tuple[float, bytes]]] = {}
        """By writer and number: since when, and what."""
        self._size = 0

    def add(self, batch: bytes, now: float) -> Sequence[bytes]:
        """Take what has arrived.

        Returns:
            What can be handed on now, in order. What comes too late, or again, is handed on as
            it comes: whoever counts the batches knows which it is.
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
        """Wait no longer for what has been missing for long.

        Args:
            now: The time.
            quiet: Nothing else waits to be taken, as far as the broker says.

        Returns:
            What was held back for it, in order.
        """
        return self._release_since(now - (GAP_TIMEOUT if quiet else MAX_GAP_TIMEOUT))

    def release_all(self) -> Sequence[bytes]:
        """Hand on all that is held back: nothing more comes."""
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
        """Hand on what was held back since then, and what comes before it."""
        while any(at <= since for at, _ in self._held.get(writer, {}).values()):
            yield from self._release_from(writer, min(self._held[writer]))

    def _release_from(self, writer: str, number: int) -> Iterator[bytes]:
        """Hand on what is held back from this number on, up to the next one that is missing."""
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
