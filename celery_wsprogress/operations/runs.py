"""The runs of an operation, and which of them is the current one.

A *run* is one receipt of one message by a worker. Retries, redeliveries and ``replace()`` make
further runs of the same operation, and runs may overlap.

The ``started`` of a run makes it the current one, and supersedes its predecessor: whatever that run
reports of its end afterwards does not end the operation. A run that was only ``received`` waits
beside the current one: a retry is received before the attempt that asked for it says ``retrying``.
After the operation has ended, only ``started`` opens it again. A retry or a replacement names the
run that it comes *after*: where the two processes could not write at the same time, the log may
hold the later run first, and then the earlier one is past before anything of it is read.

A reader may have begun in the middle of the log, or have evicted the operation. A run says
``started`` before all else. So of two runs, the one whose ``started`` was read is the later one: an
event of another run, of which neither ``received`` nor ``started`` was read, comes late, and does
not make that run the current one (:meth:`RunSet._is_older`). Where the ``started`` of neither was
read, nobody can say which is the later one: the one that reported last is shown, and the first
that ends ends the operation.

A run may also be ``replaced``: its successor has the same id, and may wait for long, for the other
steps of a chain or for a worker. Nobody gives heartbeats meanwhile.

Sidecars report for a run whose process falls silent. What they *inferred* is in the log like
everything else, and holds as long as the log does not refute it: ``stalled`` is news once, and an
end counts only behind a ``stalled`` that no heartbeat of the run has followed. A run that was
presumed lost and gives a heartbeat after all is opened again
(:meth:`.Operation.resume`).

Pure.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field

from celery_wsprogress.operations.states import (
    BEGINNING,
    ENDS,
    FOLLOWED,
    TRANSITIONS,
    State,
    Trigger,
    Verdict,
)
from celery_wsprogress.protocol.events import BACKEND_RUN, LOST, Error, Event, Log

MAX_PAST_RUNS: Final = 32
"""Runs of one operation that are remembered, so that their late events are known as such."""

# Read for each event: on CPython 3.11 an attribute of an Enum costs ten times what a name costs.
_WORK: Final = Trigger.WORK
_RUNNING: Final = State.RUNNING
_DELIVER: Final = Verdict.DELIVER


class Run(Struct, gc=False):
    """One receipt of one message. ``id`` is empty while only ``queued`` is known of it."""

    id: str
    publication: str
    state: State | None = None
    superseded: bool = False
    stalled: bool = False
    """Nothing was heard of its process since a sidecar said so."""
    lost: bool = False
    """It was given up by a sidecar that knew no better."""
    heartbeat_interval: float = 0.0
    """Seconds between two signs of its process, as that states."""
    last_seen_at: float = 0.0
    """When its process last said something or gave a sign, epoch seconds of its own clock."""
    started: bool = False
    """Its ``started`` was read."""

    def mark_alive(self, timestamp: float) -> bool:
        """Record that its process is alive; whether a sidecar had given it up, or nearly.

        Args:
            timestamp: When it said so, epoch seconds of its own clock.
        """
        self.last_seen_at = max(self.last_seen_at, timestamp)
        return self.lost or self.silent

    @property
    def silent(self) -> bool:
        """Whether it goes on, as far as is known, and nothing is heard of it."""
        return self.stalled and self.state is _RUNNING


class RunSet(Struct, gc=False):
    """The runs of one operation, and where it stands with them."""

    state: State = State.QUEUED
    current: Run | None = None
    waiting: dict[str, Run] = field(default_factory=dict)
    """Runs that are not known to be older than the current one, by id: they were received beside
    it, or spoke before it, and of neither was the ``started`` read."""
    past: dict[str, Run] = field(default_factory=dict)
    """Runs that were the current one before, by id; the newest :data:`MAX_PAST_RUNS`."""

    def fold(self, event: Event, trigger: Trigger) -> Verdict:
        """Take one event, in log order."""
        run = self.current
        work = trigger is _WORK and not event.inferred
        if work and run is not None and run.id == event.run:
            if run.state is self.state is _RUNNING:
                # Nearly all events are such, and change nothing here.
                return _DELIVER
            return self._advance(run, event, trigger)
        if trigger is Trigger.QUEUE:
            return self._fold_queued(event)
        verdict = self._fold_in_run(event, trigger)
        if trigger is Trigger.START:
            self._retire_unstarted()
        if event.after and (trigger is Trigger.START or trigger in ENDS):
            self._mark_past(event.after)
        return verdict

    def reopen(self) -> None:
        """The current run goes on after all."""
        if self.current is not None:
            self.current.stalled = self.current.lost = False
            self.current.state = self.state = State.RUNNING

    def _fold_queued(self, event: Event) -> Verdict:
        run = self.current
        if run is None:
            self.current = Run("", event.publication, State.QUEUED)
            return Verdict.DELIVER
        known = (run, *self.waiting.values(), *self.past.values())
        if any(one.publication == event.publication for one in known):
            return Verdict.STALE
        # Another publication of the same id. It changes nothing before it starts.
        return Verdict.DELIVER if run.state is State.QUEUED else Verdict.STALE

    def _fold_in_run(self, event: Event, trigger: Trigger) -> Verdict:
        current = self.current
        if current is not None and current.id == event.run:
            if event.inferred and _is_refuted(current, event, trigger):
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
        """The event's run is not the current one: it waits, or takes its place."""
        current = self.current
        # Of a message that is only queued the result backend may know the end.
        unknown = current is None or (not current.id and event.run == BACKEND_RUN)
        if event.inferred and not unknown:
            return Verdict.STALE
        if current is None or not current.id:
            run = current or Run(event.run, event.publication)
            run.id = event.run
            run.publication = event.publication or run.publication
            self.current = run
            return self._advance(run, event, trigger)
        if trigger is Trigger.RECEIVE:
            self._add_waiting(event)
            # Where the operation stands is what its current run shows: a client that goes by the
            # last status it was told must not take a retry's receipt for it.
            return Verdict.STALE
        if self.state.ended and trigger is not Trigger.START:
            return Verdict.ENDED
        if self._is_older(event, trigger, current):
            return _verdict_on_superseded(event)
        self._supersede(current, trigger)
        self.current = self.waiting.pop(event.run, None) or Run(event.run, event.publication)
        if self.current.state is State.RUNNING:
            # It spoke before, but was not the current one meanwhile.
            self.current.state = None
        return self._advance(self.current, event, trigger)

    def _add_waiting(self, event: Event) -> None:
        if event.run not in self.waiting:
            self.waiting[event.run] = Run(event.run, event.publication, State.RECEIVED)
            _keep_newest(self.waiting)

    def _is_older(self, event: Event, trigger: Trigger, current: Run) -> bool:
        """Whether a run that speaks began before the current one, as far as anybody knows.

        A run says ``started`` before all else. So one that was not read to start had started
        before anything that was read, and before the current run if that one was.
        """
        if trigger is Trigger.START:
            return False
        run = self.waiting.get(event.run)
        if run is None:
            # What a task is replaced by may fail before it starts, and names that task's run.
            fails_unstarted = event.after and event.after not in self.past
            return current.started and not fails_unstarted
        # Of neither it is known when it started. The end of either is that of the operation.
        return run.state is State.RUNNING and trigger not in ENDS

    def _supersede(self, run: Run, trigger: Trigger) -> None:
        """Another run takes the place of this one, by a trigger of its own.

        This one waits if it has not begun, or may have begun later than that one.
        """
        run.superseded = run.state is State.RUNNING
        may_be_newer = run.superseded and not run.started and trigger is not Trigger.START
        line = self.waiting if may_be_newer or run.state is State.RECEIVED else self.past
        line[run.id] = run
        _keep_newest(line)

    def _retire_unstarted(self) -> None:
        """A run has started: those that spoke before are older."""
        for run in [run for run in self.waiting.values() if run.state is State.RUNNING]:
            self.past[run.id] = self.waiting.pop(run.id)
        _keep_newest(self.past)

    def _mark_past(self, run_id: str) -> None:
        """Another run follows this one: it is past, whatever is heard of it yet."""
        if run_id not in self.past and (self.current is None or self.current.id != run_id):
            run = self.waiting.pop(run_id, None) or Run(run_id, "")
            run.superseded = True
            self.past[run_id] = run
            _keep_newest(self.past)

    def _advance(self, run: Run, event: Event, trigger: Trigger) -> Verdict:
        # To a sidecar a run that another one follows waits, as one does that was received: its
        # successor may have ended unheard.
        waits = event.inferred and run.state in FOLLOWED
        outcome = TRANSITIONS[State.RECEIVED if waits else run.state][trigger]
        run.started = run.started or trigger is Trigger.START
        if isinstance(outcome, Verdict):
            return outcome
        run.state = outcome
        run.stalled = run.stalled or event.inferred
        self.state = outcome
        return Verdict.DELIVER


def _is_refuted(run: Run, event: Event, trigger: Trigger) -> bool:
    """Whether what a sidecar inferred of a run is not, or no longer, what the log shows."""
    if trigger is Trigger.STALL:
        return run.stalled
    if trigger is Trigger.RETRY:
        return not run.silent
    # A run that waits, to begin or for its successor, is not lost; but it may have ended unheard.
    lost = isinstance(event, Error) and event.data.error_type in LOST
    waits = run.state is State.RECEIVED or run.state in FOLLOWED
    return not (run.silent or (waits and not lost))


def _verdict_on_superseded(event: Event) -> Verdict:
    """What becomes of what a run says that another one has overtaken: lines are lossless."""
    return Verdict.DELIVER if isinstance(event, Log) else Verdict.ENDED


def _keep_newest(runs: dict[str, Run]) -> None:
    while len(runs) > MAX_PAST_RUNS:
        del runs[next(iter(runs))]
