"""The position of the hub in the log, and whether a client can resume from an earlier one.

Epochs are numbered in the order in which they were read. A position begins with the number of its
epoch, so positions of different epochs compare.

Pure.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from celery_wsprogress.protocol.batch_numbers import Arrival, BatchNumbers
from celery_wsprogress.protocol.event_ids import BatchPosition, parse_event_id

if TYPE_CHECKING:
    from celery_wsprogress.protocol.batches import Batch
    from celery_wsprogress.protocol.event_ids import LogPosition


MAX_EPOCHS: Final = 1_000
"""Maximum number of epochs that are remembered; above it the oldest is forgotten."""


class LogCursor:
    """The position of the hub in the log."""

    def __init__(self) -> None:
        self.epoch = ""
        """The epoch that is being read."""
        self._epochs: dict[str, int] = {}
        """Numbers of the epochs, from 1."""
        self.epoch_number = 0
        """The number of the epoch that is being read."""
        self._numbers = BatchNumbers()
        self._first: LogPosition | None = None
        """The first position after the last gap; None if nothing was read since."""
        self._at: BatchPosition | None = None

    @property
    def position(self) -> LogPosition | None:
        """The position after everything that was read; None if nothing was."""
        return None if self._at is None else self._at.of_event(math.inf)

    def arrival_of(self, batch: Batch) -> Arrival:
        """Record a batch. The caller processes everything but a repeat."""
        arrival = self._numbers.take(batch.writer, batch.counter)
        if arrival is Arrival.AHEAD:
            # The missing batch may have held events of any operation.
            self._first = None
        return arrival

    def start_epoch(self, epoch: str) -> None:
        """Begin to read another epoch of the log."""
        self.epoch_number += 1
        self._epochs[epoch] = self.epoch_number
        if len(self._epochs) > MAX_EPOCHS:
            del self._epochs[next(iter(self._epochs))]
        self.epoch, self._first = epoch, None

    def advance(self, position: str) -> BatchPosition:
        """Move to a batch of the current epoch."""
        at = BatchPosition(self.epoch, self._epochs[self.epoch], position)
        self._first = self._first or at.of_event(0)
        self._at = at
        return at

    def position_of(self, event_id: str | None) -> LogPosition | None:
        """Return the position of an event; None if its epoch was not read."""
        parsed = parse_event_id(event_id or "")
        if parsed is None:
            return None
        epoch, position = parsed
        number = self._epochs.get(epoch)
        if number is None:
            return None
        return position._replace(batch=(number, *position.batch))

    def can_recover(self, position: LogPosition | None, evicted_up_to: LogPosition | None) -> bool:
        """Return whether all events after a position can be sent.

        Args:
            position: Position of the last event that the client saw; None if unknown.
            evicted_up_to: Position of the newest event that was dropped or evicted.
        """
        if position is None or self._first is None or position < self._first:
            return False
        return evicted_up_to is None or position >= evicted_up_to
