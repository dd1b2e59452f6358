"""Heartbeats: a process with active runs says every few seconds that they are alive.

A run that has said nothing for a minute may be busy, or its process may be gone and nobody left to
say how it ended. So a process gives heartbeats for its runs: the main process of a worker for those
of its pool (:mod:`.active_runs`), and a process with operations of its own for
those. The main process can do so also while a child computes without ever releasing Python's lock.

A run that is older than a minute is announced again about once a minute: its ``started`` may be
gone from the log, or the broker may have come back without its data.

Used by the flusher thread; :meth:`HeartbeatSchedule.schedule` is called under the publisher's lock
by any thread.
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
"""Seconds after which a run is announced again."""

MIN_REPEAT_INTERVAL: Final = 0.1
"""Seconds between two such announcements of a process, on average: of very many runs each one is
announced less often than once a minute."""

_FIELDS_BYTES: Final = 50
"""Bytes of ``alive`` and ``at`` in a batch, besides the names."""

_encode: Final = msgspec.json.Encoder().encode


class ActiveRun(NamedTuple):
    """A run that is active in this process or in its pool."""

    operation_id: str
    run_id: str
    since: float
    """When it started, epoch seconds."""
    started_event: Callable[[], EncodedEvent]
    """Encodes its ``started`` again."""


ActiveRunSource: TypeAlias = Callable[[], Sequence[ActiveRun] | None]
"""Returns the active runs. None: there are none, and none starts before an event is emitted.
Called by the flusher thread, without the publisher's lock."""


class Heartbeat(NamedTuple):
    """What one batch says of active runs."""

    events: Sequence[bytes]
    alive: Sequence[RunKey]
    at: float
    """When the runs were found to be active, epoch seconds."""


class HeartbeatSchedule:
    """When the next heartbeat is due, and what it says.

    Args:
        interval: Seconds between two heartbeats.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._sent_at: float | None = None
        self.source: ActiveRunSource | None = None
        self.due: float | None = None
        """By the clock of the publisher; None while no run is active."""

    @property
    def idle(self) -> bool:
        """Whether there is a source, and nothing to ask it for."""
        return self.due is None and self.source is not None

    def is_due(self, now: float) -> bool:
        """Whether to give a heartbeat now."""
        return self.due is not None and self.due <= now

    def schedule(self, now: float) -> None:
        """An event was emitted: there may be active runs."""
        self.due = now + self._interval

    def next(self, now: float, timestamp: float, room: int) -> Sequence[Heartbeat]:
        """Ask the source, and schedule the next heartbeat.

        Args:
            now: The time, by the clock of :attr:`due`.
            timestamp: The same in epoch seconds.
            room: Bytes that a batch may have besides the frame of its events.
        """
        # Before it is asked: what is emitted meanwhile may be of a run that it did not see.
        self.due = None
        active = self.source() if self.source is not None else None
        if active is None:
            return ()
        self.schedule(now)
        repeated = self._repeated(active, timestamp)
        return list(split_into_batches(active, repeated, timestamp, room - _FIELDS_BYTES))

    def mark_sent(self, timestamp: float) -> None:
        """Record that it was written. Until then its announcements are made again."""
        self._sent_at = timestamp

    def _repeated(self, active: Sequence[ActiveRun], timestamp: float) -> Iterable[EncodedEvent]:
        """The ``started`` of the runs that have passed another minute since the last heartbeat."""
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
    """Fill batches with events and with the names of runs.

    Args:
        active: The runs to name. One whose name no reader accepts is left out.
        events: What is sent with them.
        timestamp: When the runs were found to be active.
        room: Bytes that names and events may have in one batch.
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
    """Each event or name, with its bytes and one for a comma."""
    for event in events:
        yield event.event, None, len(event.event) + 1
    for run in active:
        name = (run.operation_id, run.run_id)
        size = _size(name)
        if size and 0 < len(run.operation_id) <= MAX_ID_LENGTH:
            yield b"", name, size + 1


def _size(name: RunKey) -> int:
    """Bytes of the name in a batch; 0 of one that cannot be written as UTF-8."""
    try:
        return len(_encode(name))
    except UnicodeError:
        return 0
