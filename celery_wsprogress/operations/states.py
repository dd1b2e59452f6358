"""The state machine of a run: its states, its triggers, and the table of transitions.

An operation is a Celery task id. A run is one receipt of one of its messages by a worker. Every
event belongs to a run and is a trigger for its state machine; :data:`TRANSITIONS` says which state
follows, or that the event is not delivered. :mod:`.runs` calls this for every event, and the
documentation shows the table.

Pure.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from celery_wsprogress.protocol.events import (
    BACKEND_RUN,
    QUEUED,
    RECEIVED,
    REPLACED,
    RETRYING,
    SCHEDULED,
    STALLED,
    STARTED,
    Chunk,
    Completed,
    Error,
    Event,
    Log,
    Progress,
    Result,
    Status,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


# How to read this module
#
# Up to three processes report what happens to an operation: the caller (`queued`, or `scheduled` of
# a message with an ETA), the main process of the worker (`received` or `scheduled`, and the end of
# a run whose process was killed), and the process that runs the task (all others). They do not wait
# for each other. So the order of events in the log is not always the order in which things
# happened: for no-op tasks, one `received` in eight stands behind the `started` of its run.
#
# A reader cannot sort the events, since clients resume by their position in the log. It cannot
# drop them, since results and log lines must not be lost. Therefore the state of a run decides
# whether an event is delivered, never in which order. There are three verdicts:
#
# * The event takes its run forward, or is part of its work: it is delivered.
# * The event is a status that the run has already passed: it is stale. It completes the snapshot
#   (`queued_at`, `received_at`, ...) but is not delivered. A client that shows the latest status
#   would otherwise go back from `started` to `received`.
# * The event belongs to a run that has ended: it is dropped and counted. The first terminal event
#   wins, since clients take it for the end of the operation.
#
# Three rules are not in the table, because they depend on more than one run or on who wrote the
# event. They are in `runs.py`:
#
# * Which run is the current one. Only the current run changes the state of its operation. Another
#   run can wait beside it (a retry is received before the attempt before it says `retrying`), take
#   its place (`started` does that), or be past.
# * Events of a run that was superseded. Its log lines are delivered, everything else is dropped:
#   its end is not the end of the operation.
# * Events that a sidecar inferred. They count only as long as the log does not contradict them: a
#   heartbeat of the run after `stalled` makes the end that a sidecar wrote stale.
#
# One more transition has no trigger: `RunSet.reopen` takes a run that was presumed lost, and of
# which a heartbeat is read, from ERROR or RETRYING back to RUNNING.


class State(StrEnum):
    """A state of a run, and of its operation, which has the state of its current run."""

    QUEUED = "queued"
    SCHEDULED = "scheduled"
    RECEIVED = "received"
    RUNNING = "running"
    RETRYING = "retrying"
    REPLACED = "replaced"
    COMPLETED = "completed"
    ERROR = "error"
    CANCELLED = "cancelled"

    # `Enum.__hash__` is Python code (CPython 3.11, Lib/enum.py), and called for each look into a
    # table. That of `str` is C, and equal for equal members.
    __hash__ = str.__hash__

    @property
    def ended(self) -> bool:
        """Whether this is a terminal state: the operation has ended."""
        return self in _ENDED


_ENDED: Final = frozenset({State.COMPLETED, State.ERROR, State.CANCELLED})

FOLLOWED: Final = frozenset({State.RETRYING, State.REPLACED})
"""States of a run that is over while its operation is not: another run follows."""


class Trigger(StrEnum):
    """The meaning of an event for its run, as :func:`trigger_of` returns it."""

    QUEUE = "queue"
    SCHEDULE = "schedule"
    """The message waits for its time: its caller says so, or the worker that has it."""
    RECEIVE = "receive"
    START = "start"
    WORK = "work"
    """Progress, a log line, a result, or a status of the task's own."""
    STALL = "stall"
    """A sidecar has read no heartbeat of the run for half of ``lost_after``."""
    RETRY = "retry"
    REPLACE = "replace"
    COMPLETE = "complete"
    FAIL = "fail"
    CANCEL = "cancel"

    __hash__ = str.__hash__


class Verdict(StrEnum):
    """The decision on an event. The values are the names in the metrics and the documentation."""

    DELIVER = "deliver"
    STALE = "behind"
    """Not delivered: the run has passed this status. Its values complete the snapshot."""
    ENDED = "over"
    """Dropped: its run has ended."""


# The state that each trigger leads to, where the row of a state does not say otherwise. Any trigger
# may be the first that is read of a run: a reader begins in the middle of the log.
_FORWARD: Final[Mapping[Trigger, State]] = {
    Trigger.QUEUE: State.QUEUED,
    Trigger.SCHEDULE: State.SCHEDULED,
    Trigger.RECEIVE: State.RECEIVED,
    Trigger.START: State.RUNNING,
    # A run whose `started` comes late, or was not read, works all the same.
    Trigger.WORK: State.RUNNING,
    # A stalled run is still running, as far as anybody knows. `Run.stalled` tells the difference.
    Trigger.STALL: State.RUNNING,
    Trigger.RETRY: State.RETRYING,
    Trigger.REPLACE: State.REPLACED,
    Trigger.COMPLETE: State.COMPLETED,
    Trigger.FAIL: State.ERROR,
    Trigger.CANCEL: State.CANCELLED,
}


def _row(
    stale: tuple[Trigger, ...], ended: tuple[Trigger, ...] = ()
) -> dict[Trigger, State | Verdict]:
    row: dict[Trigger, State | Verdict] = dict(_FORWARD)
    # `stale` goes over `ended`: a late `queued` of a run that has ended still gives `queued_at`.
    row.update(dict.fromkeys(ended, Verdict.ENDED))
    row.update(dict.fromkeys(stale, Verdict.STALE))
    return row


# No process sends heartbeats for a message that waits, so that its silence says nothing.
_QUEUED: Final = (Trigger.QUEUE, Trigger.STALL)
_RECEIVED: Final = (Trigger.QUEUE, Trigger.SCHEDULE, Trigger.RECEIVE, Trigger.STALL)
BEGINNING: Final = (Trigger.QUEUE, Trigger.SCHEDULE, Trigger.RECEIVE, Trigger.START)
"""The triggers that begin a run. They are stale once it has started."""
_ALL: Final = tuple(Trigger)
WAITING: Final = frozenset({State.SCHEDULED, State.RECEIVED})
"""States of a run whose message a worker has, before its start; or, SCHEDULED, of one that is still
in its queue."""
ENDS: Final = (Trigger.COMPLETE, Trigger.FAIL, Trigger.CANCEL)

#: For the state of a run (None: nothing is known of it) and a trigger: the state it is in then,
#: or the verdict on an event that does not take it there.
TRANSITIONS: Final[Mapping[State | None, Mapping[Trigger, State | Verdict]]] = {
    # Nothing was read of the run: every event is news.
    None: _row(()),
    # Before the start. A run can also end here: revoked, expired, or unknown to the worker.
    State.QUEUED: _row(_QUEUED),
    # `scheduled` of its caller, and then that of the worker which has it. A worker that gets the
    # message when its time has come says `received`.
    State.SCHEDULED: _row(_QUEUED),
    State.RECEIVED: _row(_RECEIVED),
    # A second `started` of a run is stale: processes repeat it for sidecars that read it no more.
    State.RUNNING: _row(BEGINNING),
    # Over, but not the end of the operation. `retrying` is the last event of a run.
    State.RETRYING: _row(BEGINNING, _ALL),
    # `replaced` is not always the last: the run may still fail, for instance because its successor
    # cannot be published.
    State.REPLACED: _row(BEGINNING, (Trigger.WORK, Trigger.STALL, Trigger.RETRY, Trigger.REPLACE)),
    # The end. Only the `started` of another run opens the operation again, see `runs.py`.
    State.COMPLETED: _row(BEGINNING, _ALL),
    State.ERROR: _row(BEGINNING, _ALL),
    State.CANCELLED: _row(BEGINNING, _ALL),
}

_TRIGGER_OF_STATUS: Final[Mapping[str, Trigger]] = {
    QUEUED: Trigger.QUEUE,
    SCHEDULED: Trigger.SCHEDULE,
    RECEIVED: Trigger.RECEIVE,
    STARTED: Trigger.START,
    RETRYING: Trigger.RETRY,
    REPLACED: Trigger.REPLACE,
}


_TRIGGER_OF_TYPE: Final[Mapping[type[Event], Trigger]] = {
    Progress: Trigger.WORK,
    Log: Trigger.WORK,
    Chunk: Trigger.WORK,
    Result: Trigger.WORK,
    Completed: Trigger.COMPLETE,
}


def trigger_of(event: Event) -> Trigger:
    """Return what the event means for its run."""
    trigger = _TRIGGER_OF_TYPE.get(type(event))
    if trigger is not None:
        return trigger
    if isinstance(event, Status):
        status = event.data.status
        if event.inferred and status == STALLED:
            return Trigger.STALL
        return _TRIGGER_OF_STATUS.get(status, Trigger.WORK)
    cancelled = isinstance(event, Error) and event.data.status == "cancelled"
    return Trigger.CANCEL if cancelled else Trigger.FAIL


def reopens(event: Event) -> bool:
    """Return whether an event creates an operation again that was evicted after its end."""
    # Any other event is a late one of the run that ended. The result backend was asked for its own.
    return trigger_of(event) is Trigger.START or event.run == BACKEND_RUN
