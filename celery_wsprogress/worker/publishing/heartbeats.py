"""Heartbeats: the ids of a process's active runs, sent every few seconds.

A silent run may be busy, or its process may have died. So the main process of a worker sends
heartbeats for the runs of its pool (:mod:`.active_runs`), even while a child holds the GIL, and a
process with standalone operations sends them for these (:mod:`celery_wsprogress.standalone`).
``started`` of a run older than a minute is repeated about once a minute, since the log may have
dropped it.

The flusher thread calls everything here; :meth:`HeartbeatSchedule.schedule` is called by any
thread, under the publisher's lock.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import msgspec

from celery_wsprogress.protocol.events import MAX_ID_LENGTH
from celery_wsprogress.worker.error_log import log_internal_error

if TYPE_CHECKING:
    from celery_wsprogress.protocol.batches import RunKey
    from celery_wsprogress.worker.publishing.queue_entries import EncodedEvent

logger = logging.getLogger(__name__)

REPEAT_STARTED_INTERVAL: Final = 60.0
"""Seconds after which the ``started`` of a run is repeated."""

MIN_REPEAT_INTERVAL: Final = 0.1
"""Mean seconds between two repeated ``started`` of a process: beyond 600 runs each is repeated less
often."""

_FIELDS_BYTES: Final = 50
"""Bytes of ``alive`` and ``at`` in a batch, besides the names."""

_encode: Final = msgspec.json.Encoder().encode


class ActiveRun(NamedTuple):
    """A run that is active in this process or in its pool."""

    operation_id: str
    run_id: str
    since: float
    """The time of its start, epoch seconds."""
    started_event: Callable[[], EncodedEvent]
    """Encodes its ``started``."""


ActiveRunSource: TypeAlias = Callable[[], Sequence[ActiveRun] | None]
"""Returns the active runs, or None: there are none before the next event is emitted. Called by the
flusher thread, without the publisher's lock."""


class Heartbeat(NamedTuple):
    """The heartbeat of one batch."""

    events: Sequence[bytes]
    alive: Sequence[RunKey]
    at: float
    """The time at which the runs were active, epoch seconds."""


class HeartbeatSchedule:
    """Knows the time of the next heartbeat, and makes it.

    Args:
        interval: Seconds between two heartbeats.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._sent_at: float | None = None
        self.source: ActiveRunSource | None = None
        self.due: float | None = None
        """The time of the next heartbeat, monotonic seconds; None while no run is active."""

    @property
    def idle(self) -> bool:
        """Whether there is a source, but no heartbeat is scheduled."""
        return self.due is None and self.source is not None

    def is_due(self, now: float) -> bool:
        """Return whether to send a heartbeat now."""
        return self.due is not None and self.due <= now

    def schedule(self, now: float) -> None:
        """Schedule a heartbeat after an event was emitted: there may be active runs."""
        self.due = now + self._interval

    def next(self, now: float, timestamp: float, room: int) -> Sequence[Heartbeat]:
        """Ask the source for the active runs, and schedule the next heartbeat.

        Args:
            now: Monotonic seconds.
            timestamp: The same time in epoch seconds.
            room: Bytes that the content of one batch may have.
        """
        # First: an event that is emitted meanwhile may be of a run that the source did not see.
        self.due = None
        active = self.source() if self.source is not None else None
        if active is None:
            return ()
        self.schedule(now)
        repeated = self._repeated(active, timestamp)
        return list(split_into_batches(active, repeated, timestamp, room - _FIELDS_BYTES))

    def mark_sent(self, timestamp: float) -> None:
        """Record that a heartbeat was written; its ``started`` are not repeated in the next one."""
        self._sent_at = timestamp

    def _repeated(self, active: Sequence[ActiveRun], timestamp: float) -> Iterable[EncodedEvent]:
        """Encode ``started`` of runs whose age passed a full minute since the last heartbeat."""
        every = max(REPEAT_STARTED_INTERVAL, MIN_REPEAT_INTERVAL * len(active))
        before = timestamp - self._interval if self._sent_at is None else self._sent_at
        for run in active:
            if (timestamp - run.since) // every > max(0.0, (before - run.since) // every):
                yield from _started_again(run)


def _started_again(run: ActiveRun) -> Iterable[EncodedEvent]:
    try:
        return (run.started_event(),)
    except Exception as exc:  # noqa: BLE001 - the other runs must not go without a heartbeat
        sentence = f"Task events: run {run.run_id} cannot be announced again"
        log_internal_error(logger, logging.ERROR, sentence, exc)
        return ()


def split_into_batches(
    active: Sequence[ActiveRun], events: Iterable[EncodedEvent], timestamp: float, room: int
) -> Iterator[Heartbeat]:
    """Distribute events and the keys of runs over batches.

    Args:
        active: The runs. One whose id no reader accepts is left out.
        events: The events to send with them.
        timestamp: The time at which the runs were active, epoch seconds.
        room: Bytes that events and keys may have in one batch.
    """
    taken: list[bytes] = []
    alive: list[RunKey] = []
    left = room
    for event, name, size in _pieces(active, events):
        if size > left and (taken or alive):
            yield Heartbeat(taken, alive, timestamp)
            taken, alive, left = [], [], room
        left -= size
        if name is None:
            taken.append(event)
        else:
            alive.append(name)
    if taken or alive:
        yield Heartbeat(taken, alive, timestamp)


def _pieces(
    active: Sequence[ActiveRun], events: Iterable[EncodedEvent]
) -> Iterator[tuple[bytes, RunKey | None, int]]:
    """Yield each event or key, and its size with one byte for a comma."""
    for event in events:
        yield event.event, None, len(event.event) + 1
    for run in active:
        name = (run.operation_id, run.run_id)
        size = _size(name)
        if size and 0 < len(run.operation_id) <= MAX_ID_LENGTH:
            yield b"", name, size + 1


def _size(name: RunKey) -> int:
    """Return the bytes of a key in a batch; 0 if it cannot be encoded as UTF-8."""
    try:
        return len(_encode(name))
    except UnicodeError:
        return 0
