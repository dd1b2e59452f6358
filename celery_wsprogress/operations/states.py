"""The states of a run, and what each kind of event does to it: the transition table.

An operation is a Celery task id. Up to three processes report what happens to it, and do not wait
for each other: the caller, the main process of the worker, and the process that runs the task. So
the order of the log is not always the order of life: of no-op tasks, one in eight has its
``received`` behind its ``started`` in the log. To sort the events would contradict the log, and to
drop some would lose what was promised. So the state of a run decides *whether* an event is
delivered, and never in which order:

* An event that takes its run forward, or is part of its work, is **delivered**.
* A status that the run has passed already is **stale**: it completes the snapshot (``queued_at``,
  …), and is not delivered.
* An event of a run that has **ended** is dropped and counted. The first terminal event wins.

:data:`TRANSITIONS` is the whole table, and the documentation shows it. Which run an event belongs
to, and which run is the current one of its operation, is decided in :mod:`.runs`.

Pure.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from celery_wsprogress.protocol.events import (
    QUEUED,
    RECEIVED,
    REPLACED,
    RETRYING,
    STALLED,
    STARTED,
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


class State(StrEnum):
    """Where a run, and so its operation, is in its life."""

    QUEUED = "queued"
    RECEIVED = "received"
    RUNNING = "running"
    RETRYING = "retrying"
    REPLACED = "replaced"
    COMPLETED = "completed"
    ERROR = "error"
    CANCELLED = "cancelled"

    # An enumeration's own hash is a call of Python code for each look into a table.
    __hash__ = str.__hash__

    @property
    def ended(self) -> bool:
        """Whether the operation has reached its end in this state."""
        return self in _ENDED


_ENDED: Final = frozenset({State.COMPLETED, State.ERROR, State.CANCELLED})

FOLLOWED: Final = frozenset({State.RETRYING, State.REPLACED})
"""The states of a run that is over and that another run of the operation follows."""


class Trigger(StrEnum):
    """What an event does to its run."""

    QUEUE = "queue"
    RECEIVE = "receive"
    START = "start"
    WORK = "work"
    STALL = "stall"
    RETRY = "retry"
    REPLACE = "replace"
    COMPLETE = "complete"
    FAIL = "fail"
    CANCEL = "cancel"

    __hash__ = str.__hash__


class Verdict(StrEnum):
    """What becomes of an event."""

    DELIVER = "deliver"
    STALE = "behind"
    """The log has shown already what it says. It completes the snapshot and is not delivered."""
    ENDED = "over"
    """Its run is over. It is dropped."""


_FORWARD: Final[Mapping[Trigger, State]] = {
    Trigger.QUEUE: State.QUEUED,
    Trigger.RECEIVE: State.RECEIVED,
    Trigger.START: State.RUNNING,
    Trigger.WORK: State.RUNNING,
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
    row.update(dict.fromkeys(ended, Verdict.ENDED))
    row.update(dict.fromkeys(stale, Verdict.STALE))
    return row


_QUEUED: Final = (Trigger.QUEUE, Trigger.STALL)
_RECEIVED: Final = (Trigger.QUEUE, Trigger.RECEIVE, Trigger.STALL)
BEGINNING: Final = (Trigger.QUEUE, Trigger.RECEIVE, Trigger.START)
"""What begins a run, and says nothing new of one that has started."""
_ALL: Final = tuple(Trigger)
ENDS: Final = (Trigger.COMPLETE, Trigger.FAIL, Trigger.CANCEL)

#: For the state of a run (None: nothing is known of it) and a trigger: the state it is in then,
#: or the verdict on an event that does not take it there.
TRANSITIONS: Final[Mapping[State | None, Mapping[Trigger, State | Verdict]]] = {
    None: _row(()),
    State.QUEUED: _row(_QUEUED),
    State.RECEIVED: _row(_RECEIVED),
    State.RUNNING: _row(BEGINNING),
    State.RETRYING: _row(BEGINNING, _ALL),
    # It may fail yet, for instance because its successor cannot be published.
    State.REPLACED: _row(BEGINNING, (Trigger.WORK, Trigger.STALL, Trigger.RETRY, Trigger.REPLACE)),
    State.COMPLETED: _row(BEGINNING, _ALL),
    State.ERROR: _row(BEGINNING, _ALL),
    State.CANCELLED: _row(BEGINNING, _ALL),
}

_TRIGGER_OF_STATUS: Final[Mapping[str, Trigger]] = {
    QUEUED: Trigger.QUEUE,
    RECEIVED: Trigger.RECEIVE,
    STARTED: Trigger.START,
    RETRYING: Trigger.RETRY,
    REPLACED: Trigger.REPLACE,
}


_TRIGGER_OF_TYPE: Final[Mapping[type[Event], Trigger]] = {
    Progress: Trigger.WORK,
    Log: Trigger.WORK,
    Result: Trigger.WORK,
    Completed: Trigger.COMPLETE,
}


def trigger_of(event: Event) -> Trigger:
    """Return what the event does to its run."""
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
