"""``capture_tqdm()``: a block whose bars are progress of the task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery_wsprogress.worker.capture import bars, libraries
from celery_wsprogress.worker.context import tracker_in_context

if TYPE_CHECKING:
    from celery_wsprogress.worker.tracker import Tracker


def capture_tqdm() -> bars.BarCapture:
    """Make bars of tqdm and rich in a ``with`` block progress of the current task or operation.

    Outside of one nothing is captured. See
    :meth:`celery_wsprogress.StreamingTask.capture_tqdm`.
    """
    return capture_of(tracker_in_context("capture_tqdm"))


def capture_of(tracker: Tracker | None) -> bars.BarCapture:
    """Return a block that captures bars of this run; of none if it is None."""
    if tracker is None or tracker.sink is None:
        return bars.BarCapture(None)
    libraries.install()
    return bars.BarCapture(tracker)


def capture_run(tracker: Tracker) -> None:
    """Capture all bars of a run, until its end."""
    libraries.install()
    bars.add_run(tracker)
