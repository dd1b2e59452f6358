"""The progress slot of a run: its newest value, and the time at which to send it.

The thread of the task stores values; the flusher encodes the newest one when it is due.
"""

from __future__ import annotations

from math import inf
from time import monotonic, time
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
from msgspec import UNSET

from celery_wsprogress.protocol import jsonable
from celery_wsprogress.protocol.events import ProgressData
from celery_wsprogress.worker.publishing import encoded_events
from celery_wsprogress.worker.rate import RateEstimator

if TYPE_CHECKING:
    from celery_wsprogress.worker.bar import DividedBar
    from celery_wsprogress.worker.publishing.queue_entries import EncodedEvent
    from celery_wsprogress.worker.run_info import RunInfo

Value: TypeAlias = tuple[
    float,
    float,
    bool,
    str,
    "dict[str, Any] | None",
    "float | None",
    "float | None",
    "str | None",
    float,
]
"""Epoch seconds, fraction, whether it is indeterminate, message, details, current, total, unit, and
monotonic seconds. A plain tuple costs a task a third of a named one."""

NO_DETAILS: Final[dict[str, Any]] = {}


class ProgressSlot:
    """The newest progress of one run.

    A task schedules its slot only if it is not scheduled yet, so a value soon after another one
    costs neither a lock nor a system call. Only the queue changes the times, monotonic seconds.
    """

    __slots__ = (
        "_estimator", "_run", "_sent", "_whole_estimator", "bar", "due", "ended", "last_sent_at",
        "latest",
    )  # fmt: skip

    def __init__(self, run: RunInfo) -> None:
        self._run = run
        self.latest: Value | None = None
        """The newest value, set by the task."""
        self.bar: DividedBar | None = None
        """The bar that phases and loops divide, which then says how far the run is."""
        self.ended = False
        """Whether the run has ended: a value that is sent later is its last one."""
        self.due: float | None = None
        """The time at which to send progress; None where it is not scheduled."""
        self.last_sent_at = -inf
        """The time at which progress was last sent."""
        self._sent: Value | None = None
        self._estimator: RateEstimator | None = None
        self._whole_estimator: RateEstimator | None = None
        """Of the fraction, where units are counted of a part of the bar only."""

    def take(self) -> EncodedEvent | None:
        """Encode the newest value; None when it was sent before."""
        latest = self.latest
        if latest is None or latest is self._sent:
            return None
        self._sent = latest
        latest = self.measured(latest)
        return self._encode(latest, *self._estimate(latest))

    def encode(self, value: Value, rate: float | None, eta: float | None) -> EncodedEvent:
        """Encode a value.

        Args:
            value: The value.
            rate: Units per second, None if not known.
            eta: Seconds until the end, None if not known.
        """
        return self._encode(self.measured(value), rate, eta)

    def _encode(self, value: Value, rate: float | None, eta: float | None) -> EncodedEvent:
        at, fraction, indeterminate, message, details, current, total, unit, _ = value
        data = ProgressData(
            progress=fraction,
            message=jsonable.to_text(message),
            details=self.with_phases(details or NO_DETAILS),
            current=UNSET if current is None else current,
            total=UNSET if total is None else total,
            unit=UNSET if unit is None else jsonable.to_text(unit, jsonable.MAX_NAME_BYTES),
            rate=UNSET if rate is None else rate,
            eta=UNSET if eta is None else eta,
            indeterminate=indeterminate or UNSET,
        )
        return encoded_events.progress(self._run, at, data, last=self.ended)

    def measured(self, value: Value) -> Value:
        """Return a value as the bar has it now: loops count on without a report."""
        if self.bar is None:
            return value
        _, _, indeterminate, message, details, current, total, unit, _ = value
        found = self.bar.counts(indeterminate=indeterminate)
        if found.counted is not None:
            current, total, unit = found.counted
        return (
            time(), found.fraction, found.indeterminate, message, details, current, total, unit,
            monotonic(),
        )  # fmt: skip

    def with_phases(self, details: dict[str, Any]) -> dict[str, Any]:
        """Return details with the phases of the bar, if it has any."""
        phases = None if self.bar is None else self.bar.shown_phases()
        if not phases:
            return details
        found = {**details, "phases": phases}
        if details and len(msgspec.json.encode(found)) > jsonable.MAX_DETAILS_BYTES:
            return {"truncated": True, "phases": phases}
        return found

    def _estimate(self, value: Value) -> tuple[float | None, float | None]:
        """Add the value to the estimate; return rate and time left."""
        _, fraction, indeterminate, _, _, current, total, _, at = value
        if self._estimator is None:
            self._estimator = RateEstimator()
        rate, left = None, None
        if current is not None:
            rate, left = self._estimator.add(at, current, total)
        elif not indeterminate:
            rate, left = self._estimator.add(at, fraction, 1.0)
        if self.bar is not None:
            left = self._whole_left(at, fraction, indeterminate=indeterminate)
        return rate, left

    def _whole_left(self, at: float, fraction: float, *, indeterminate: bool) -> float | None:
        if self._whole_estimator is None:
            self._whole_estimator = RateEstimator()
        return None if indeterminate else self._whole_estimator.add(at, fraction, 1.0)[1]
