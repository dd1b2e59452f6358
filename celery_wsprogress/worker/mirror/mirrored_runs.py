"""The runs whose progress is mirrored, and whose turn it is."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery_wsprogress.worker.publishing.progress_slot import Value
    from celery_wsprogress.worker.run_info import RunInfo
    from celery_wsprogress.worker.tracker import Tracker

INTERVAL: Final = 1.0
"""Minimum seconds between two events of one run: Flower indexes a task again with each of them
(flower 2.2, flower/events.py)."""


class MirroredRuns:
    """The active runs, with what was last sent of each. Any thread may add one.

    A run goes when it has ended, or when nothing else holds its tracker.
    """

    def __init__(self) -> None:
        self._sent: WeakKeyDictionary[Tracker, tuple[Value | None, float]] = WeakKeyDictionary()
        """The value that was last sent, and the time, monotonic seconds."""

    def __bool__(self) -> bool:
        return bool(self._sent)

    def add(self, tracker: Tracker) -> None:
        """Mirror this run until its end."""
        self._sent[tracker] = None, -inf

    def due(self, now: float) -> Iterator[tuple[RunInfo, Value]]:
        """Yield each run that has progress to be sent, and that progress.

        Whether a run has ended is looked at when it is its turn, so the caller sends at once. What
        it does not send, because it raises, has its turn again.

        Args:
            now: Monotonic seconds.
        """
        # A list made in one step: other threads add runs meanwhile.
        for reference in self._sent.keyrefs():
            tracker = reference()
            if tracker is None:
                continue
            if tracker.ended:
                self._sent.pop(tracker, None)
                continue
            latest, (sent, sent_at) = tracker.slot.latest, self._sent[tracker]
            if latest is not None and latest is not sent and now >= sent_at + INTERVAL:
                yield tracker.run, tracker.slot.measured(latest)
                self._sent[tracker] = latest, now
