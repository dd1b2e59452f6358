"""How far the hub has read the log, and whether a client can go on from where it was.

Positions of different epochs compare, too: the epochs that were read are counted, and each position
begins with the number of its epoch.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery_wsprogress.protocol.batch_numbers import Arrival, BatchNumbers
from celery_wsprogress.protocol.event_ids import BatchPosition, parse_event_id

if TYPE_CHECKING:
    from celery_wsprogress.protocol.batches import Batch
    from celery_wsprogress.protocol.event_ids import LogPosition


class LogCursor:
    """The epochs, the numbers of the batches, and the part of the log that has no gap."""

    def __init__(self) -> None:
        self.epoch = ""
        """The epoch that is being read."""
        self._epochs: dict[str, int] = {}
        """The number of each epoch that was read, from 1."""
        self._numbers = BatchNumbers()
        self._first: LogPosition | None = None
        """Where the part of the log begins that was read without a gap."""

    def arrival_of(self, batch: Batch) -> Arrival:
        """What a batch is to those of its writer before it. Everything but a repeat is read."""
        arrival = self._numbers.take(batch.writer, batch.counter)
        if arrival is Arrival.AHEAD:
            # Nobody knows of which operation something is missing.
            self._first = None
        return arrival

    def start_epoch(self, epoch: str) -> None:
        """Begin to read another epoch of the log."""
        self._epochs[epoch] = len(self._epochs) + 1
        self.epoch, self._first = epoch, None

    def advance(self, position: str) -> BatchPosition:
        """Move to a batch of this epoch."""
        at = BatchPosition(self.epoch, self._epochs[self.epoch], position)
        self._first = self._first or at.of_event(0)
        return at

    def position_of(self, event_id: str | None) -> LogPosition | None:
        """The position of an event; None where it is of an epoch that was not read."""
        epoch, position = parse_event_id(event_id or "")
        number = self._epochs.get(epoch)
        if position is None or number is None:
            return None
        return position._replace(batch=(number, *position.batch))

    def can_recover(self, position: LogPosition | None, evicted_up_to: LogPosition | None) -> bool:
        """Whether everything behind a position can be sent.

        Args:
            position: Of the last event that the client saw; None where that is not known.
            evicted_up_to: The position up to which events were let go.
        """
        if position is None or self._first is None or position < self._first:
            return False
        return evicted_up_to is None or position >= evicted_up_to
