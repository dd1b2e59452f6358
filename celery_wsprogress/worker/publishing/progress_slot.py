"""The progress slot of a run: its newest value, and the time at which to send it.

The thread of the task stores values; the flusher encodes the newest one when it is due.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from msgspec import UNSET

from celery_wsprogress.protocol import jsonable
from celery_wsprogress.protocol.events import ProgressData
from celery_wsprogress.worker.publishing import encoded_events
from celery_wsprogress.worker.rate import RateEstimator

if TYPE_CHECKING:
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

    __slots__ = ("_estimator", "_run", "_sent", "due", "ended", "last_sent_at", "latest")

    def __init__(self, run: RunInfo) -> None:
        self._run = run
        self.latest: Value | None = None
        """The newest value, set by the task."""
        self.ended = False
        """Whether the run has ended: a value that is sent later is its last one."""
        self.due: float | None = None
        """The time at which to send progress; None where it is not scheduled."""
        self.last_sent_at = -inf
        """The time at which progress was last sent."""
        self._sent: Value | None = None
        self._estimator: RateEstimator | None = None

    def take(self) -> EncodedEvent | None:
        """Encode the newest value; None when it was sent before."""
        latest = self.latest
        if latest is None or latest is self._sent:
            return None
        self._sent = latest
        return self.encode(latest, *self._estimate(latest))

    def encode(self, value: Value, rate: float | None, eta: float | None) -> EncodedEvent:
        """Encode a value.

        Args:
            value: The value.
            rate: Units per second, None if not known.
            eta: Seconds until the end, None if not known.
        """
        at, fraction, indeterminate, message, details, current, total, unit, _ = value
        data = ProgressData(
            progress=fraction,
            message=jsonable.to_text(message),
            details=details or NO_DETAILS,
            current=UNSET if current is None else current,
            total=UNSET if total is None else total,
            unit=UNSET if unit is None else jsonable.to_text(unit, jsonable.MAX_NAME_BYTES),
            rate=UNSET if rate is None else rate,
            eta=UNSET if eta is None else eta,
            indeterminate=indeterminate or UNSET,
        )
        return encoded_events.progress(self._run, at, data, last=self.ended)

    def _estimate(self, value: Value) -> tuple[float | None, float | None]:
        """Add the value to the estimate; return rate and time left."""
        _, fraction, indeterminate, _, _, current, total, _, at = value
        if self._estimator is None:
            self._estimator = RateEstimator()
        if current is not None:
            return self._estimator.add(at, current, total)
        return (None, None) if indeterminate else self._estimator.add(at, fraction, 1.0)
