"""The runs of an operation, and which of them is the current one.

A *run* is one receipt of one message by a worker. Retries, redeliveries and ``replace()`` make
further runs of the same operation, and runs may overlap. :class:`.Operation` calls this module for
every event.

``started`` makes its run the current one and supersedes the run before, whose end does not end the
operation any more. A run that was only ``received`` waits beside the current one. After the
operation has ended, only ``started`` opens it again. A retry or a replacement names the runs before
it (``after``), since the log may hold the later run first.

A reader may begin in the middle of the log, or may have evicted the operation. The first event of
a process that runs a task is ``started``. So of two runs the one whose ``started`` was read is the
later one (:meth:`RunSet._is_older`). If neither was read, the order is unknown: the run that
reported last is shown, and the first end ends the operation.

Events that a sidecar *inferred* hold as long as the log does not refute them: ``stalled`` counts
once, and an end counts only after a ``stalled`` that no heartbeat has followed. A run that was
presumed lost and sends a heartbeat is opened again (:func:`.resume`).

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from sys import getsizeof
from typing import Final

from msgspec import Struct, field

from celery_wsprogress.operations.states import (
    BEGINNING,
    ENDS,
    FOLLOWED,
    TRANSITIONS,
    WAITING,
    State,
    Trigger,
    Verdict,
)
from celery_wsprogress.protocol.events import BACKEND_RUN, LOST, MAX_RUNS_BEFORE, Error, Event, Log

MAX_PAST_RUNS: Final = 32
"""Maximum number of past runs that are remembered, to recognize their late events."""

RUN_BYTES: Final = 250
"""Bytes of memory of a past or waiting run, besides its ids."""

# Read for each event: on CPython 3.11 an attribute of an Enum costs ten times what a name costs.
_WORK: Final = Trigger.WORK
_RUNNING: Final = State.RUNNING
_DELIVER: Final = Verdict.DELIVER

_PUBLISHED: Final = {Trigger.QUEUE: State.QUEUED, Trigger.SCHEDULE: State.SCHEDULED}
"""What a caller says of its message, and the state that it has in its queue."""

_RECEIPTS: Final = {Trigger.RECEIVE: State.RECEIVED, Trigger.SCHEDULE: State.SCHEDULED}
"""What a worker says of a message that it received, and the state until it starts."""


class Run(Struct, gc=False):
    """One receipt of one message. ``id`` is empty while only its caller's word was read of it."""

    id: str
    publication: str
    state: State | None = None
    superseded: bool = False
    stalled: bool = False
    """Whether a sidecar's ``stalled`` was read, and nothing of its process since."""
    lost: bool = False
    """Whether a sidecar ended it because it presumed it lost."""
    heartbeat_interval: float = 0.0
    """Seconds between two heartbeats of its process; 0 if unknown."""
    last_seen_at: float = 0.0
    """Time of the last event or heartbeat, in epoch seconds by the clock of its process."""
    started: bool = False
    """Whether its ``started`` was read."""

    def mark_alive(self, timestamp: float) -> bool:
        """Record an event or a heartbeat of its process; ``timestamp`` is by its clock.

        Returns:
            Whether the run was stalled or lost, and is to be resumed.
        """
        self.last_seen_at = max(self.last_seen_at, timestamp)
        return self.lost or (self.stalled and self.silent)

    @property
    def silent(self) -> bool:
        """Whether it is stalled and has not ended."""
        return self.stalled and self.state is _RUNNING


_NO_RUNS: Final[Mapping[str, Run]] = {}  # shared by nearly all operations, to save memory


class RunSet(Struct, gc=False):
    """The runs of one operation, and its state."""

    state: State = State.QUEUED
    current: Run | None = None
    waiting: Mapping[str, Run] = field(default_factory=lambda: _NO_RUNS)
    """Runs by id that may be newer than the current one: they were only received or scheduled, or
    the ``started`` of neither was read. At most :data:`MAX_PAST_RUNS`."""
    past: Mapping[str, Run] = field(default_factory=lambda: _NO_RUNS)
    """Runs by id that are older than the current one; the newest :data:`MAX_PAST_RUNS`."""

    def fold(self, event: Event, trigger: Trigger) -> Verdict:
        """Process one event, in log order."""
        run = self.current
        work = trigger is _WORK and not event.inferred
        if work and run is not None and run.id == event.run:
            if run.state is self.state is _RUNNING:
                # Nearly all events come here, so nothing else is looked at.
                return _DELIVER
            return self._advance(run, event, trigger)
        if trigger is Trigger.QUEUE or (trigger is Trigger.SCHEDULE and not event.run):
            return self._fold_published(event, trigger)
        verdict = self._fold_in_run(event, trigger)
        # After the fold, which has taken the run of the event out of `waiting`.
        if trigger is Trigger.START:
            self._retire_unstarted()
        if event.after and (trigger is Trigger.START or trigger in ENDS):
            for run_id in event.after.split(maxsplit=MAX_RUNS_BEFORE)[:MAX_RUNS_BEFORE]:
                self._mark_past(run_id)
        return verdict

    @property
    def size(self) -> int:
        """Bytes of memory of the past and the waiting runs."""
        if not self.past and not self.waiting:
            return 0
        runs = (*self.past.values(), *self.waiting.values())
        return sum([RUN_BYTES + getsizeof(run.id) + getsizeof(run.publication) for run in runs])

    def reopen(self, run: Run) -> None:
        """Take the current run back to RUNNING: its process is alive."""
        run.stalled = run.lost = False
        run.state = self.state = State.RUNNING

    def _fold_published(self, event: Event, trigger: Trigger) -> Verdict:
        """Process the word of a caller: a message was published, and no worker has it yet."""
        run = self.current
        if run is None:
            run = self.current = Run("", event.publication)
            return self._move(run, _PUBLISHED[trigger])
        known = (run, *self.waiting.values(), *self.past.values())
        if any(one.publication == event.publication for one in known):
            return Verdict.STALE
        # Another publication of the same id. It changes no state before it starts, unless the first
        # one still waits in its queue: then the one that may start sooner is shown.
        if run.id or run.state not in _PUBLISHED.values():
            return Verdict.STALE
        if run.state is State.SCHEDULED:
            return self._move(run, _PUBLISHED[trigger])
        return Verdict.DELIVER if trigger is Trigger.QUEUE else Verdict.STALE

    def _fold_in_run(self, event: Event, trigger: Trigger) -> Verdict:
        current = self.current
        if current is not None and current.id == event.run:
            if event.inferred and _is_refuted(current, event, trigger):
                return Verdict.STALE
            if trigger in _RECEIPTS and current.state is State.SCHEDULED:
                # A run is one receipt of a message, and says so once.
                return Verdict.STALE
            return self._advance(current, event, trigger)
        past = self.past.get(event.run)
        if past is not None:
            return self._fold_in_past(past, event, trigger)
        return self._fold_in_other(event, trigger)

    def _fold_in_past(self, run: Run, event: Event, trigger: Trigger) -> Verdict:
        if trigger in BEGINNING:
            return Verdict.STALE
        return _verdict_on_superseded(event) if run.superseded else Verdict.ENDED

    def _fold_in_other(self, event: Event, trigger: Trigger) -> Verdict:
        # The run is neither the current one nor past: it waits, or takes the place of that one.
        current = self.current
        # The result backend may know the end of a message that is only queued here.
        unknown = current is None or (not current.id and event.run == BACKEND_RUN)
        if event.inferred and not unknown:
            return Verdict.STALE
        if current is None or not current.id:
            run = current or Run(event.run, event.publication)
            run.id = event.run
            run.publication = event.publication or run.publication
            self.current = run
            return self._advance(run, event, trigger)
        if trigger in _RECEIPTS:
            if event.run not in self.waiting:
                run = Run(event.run, event.publication, _RECEIPTS[trigger])
                self.waiting = _with(self.waiting, run)
            # Not delivered: a client that shows the last status would go back to `received`.
            return Verdict.STALE
        if self.state.ended and trigger is not Trigger.START:
            return Verdict.ENDED
        if self._is_older(event, trigger, current):
            waiting = self.waiting.get(event.run)
            # Clients were told that a lost run is over.
            is_lost = waiting is not None and waiting.lost
            return Verdict.ENDED if is_lost else _verdict_on_superseded(event)
        self._supersede(current, trigger)
        self.current = self._take_waiting(event.run) or Run(event.run, event.publication)
        if self.current.state is State.RUNNING:
            # It was the current one before, so that `started` would be stale in RUNNING.
            self.current.state = None
        return self._advance(self.current, event, trigger)

    def _is_older(self, event: Event, trigger: Trigger, current: Run) -> bool:
        """Return whether the run of an event began before the current one, by what was read.

        A run whose ``started`` was not read started before the part of the log that was read.
        """
        if trigger is Trigger.START:
            return False
        run = self.waiting.get(event.run)
        if run is None:
            # A replacement that fails before it starts has no `started`, but names those before.
            before = event.after.partition(" ")[0]
            return current.started and not (before and before not in self.past)
        # The `started` of neither was read. The end of either is that of the operation.
        return run.state is State.RUNNING and trigger not in ENDS

    def _supersede(self, run: Run, trigger: Trigger) -> None:
        """Move the current run aside; ``trigger`` is of the run that takes its place."""
        run.superseded = run.state is State.RUNNING
        if run.lost and not run.started:
            # What refutes that it was lost may stand before the part of the log that was read.
            run.state = State.RUNNING
        is_unstarted = run.state is State.RUNNING and not run.started
        may_be_newer = is_unstarted and trigger is not Trigger.START
        if may_be_newer or run.state in WAITING:
            self.waiting = _with(self.waiting, run)
        else:
            self.past = _with(self.past, run)

    def _retire_unstarted(self) -> None:
        # A `started` was read: now all runs that reported before it are known to be older.
        for run in self.waiting.values():
            if run.state is State.RUNNING:
                self._take_waiting(run.id)
                self.past = _with(self.past, run)

    def _mark_past(self, run_id: str) -> None:
        """Record that another run follows this one, of which nothing may have been read yet."""
        if run_id not in self.past and (self.current is None or self.current.id != run_id):
            run = self._take_waiting(run_id) or Run(run_id, "")
            run.superseded = True
            self.past = _with(self.past, run)

    def _take_waiting(self, run_id: str) -> Run | None:
        run = self.waiting.get(run_id)
        if run is not None:
            self.waiting = {key: one for key, one in self.waiting.items() if key != run_id}
        return run

    def _advance(self, run: Run, event: Event, trigger: Trigger) -> Verdict:
        # A run that another one follows has ended, but its successor may end without an event. So
        # a sidecar may end the operation, as that of a run that was received and never started.
        waits = event.inferred and run.state in FOLLOWED
        outcome = TRANSITIONS[State.RECEIVED if waits else run.state][trigger]
        run.started = run.started or trigger is Trigger.START
        if isinstance(outcome, Verdict):
            return outcome
        run.stalled = run.stalled or event.inferred
        # The run may send a heartbeat all the same.
        run.lost = event.inferred and (trigger is Trigger.RETRY or _is_loss(event))
        return self._move(run, outcome)

    def _move(self, run: Run, state: State) -> Verdict:
        run.state = self.state = state
        return Verdict.DELIVER


def _is_refuted(run: Run, event: Event, trigger: Trigger) -> bool:
    """Return whether the log contradicts what a sidecar inferred of a run."""
    if trigger is Trigger.STALL:
        return run.stalled
    if trigger is Trigger.RETRY:
        return not run.silent
    # A run that waits for its start or its successor sends no heartbeat, so it cannot be lost. But
    # the result backend may know its end.
    waits = run.state in WAITING or run.state in FOLLOWED
    return not (run.silent or (waits and not _is_loss(event)))


def _is_loss(event: Event) -> bool:
    return isinstance(event, Error) and event.data.error_type in LOST


def _verdict_on_superseded(event: Event) -> Verdict:
    # Log lines are never lost; the end of a superseded run is not that of the operation.
    return Verdict.DELIVER if isinstance(event, Log) else Verdict.ENDED


def _with(runs: Mapping[str, Run], run: Run) -> Mapping[str, Run]:
    """Return the newest runs with another one."""
    return dict([*runs.items(), (run.id, run)][-MAX_PAST_RUNS:])
