"""The life of an operation, as a table, and the fold of its events over it.

An operation is a Celery task id. What happens to it is told by up to three writers that do
not wait for each other (the caller, the worker's main process, the pool child), so events
arrive in log order, and log order is not always life order: of no-op tasks, one in eight has
its ``received`` written after its ``started``. Sorting would contradict the log; dropping
would lose what was promised. So the *phase* of an event decides whether it is delivered, and
never in which order:

* An event that takes its run forward, or is part of its work, is **delivered**.
* A status that is **behind** what the log already showed of its run, or that is of a run which
  waits beside the current one, is not news to anyone: it completes the snapshot (``queued_at``, …)
  and is not delivered.
* An event of a run that is **over** is dropped and counted. The first terminal event wins.

A *run* is one receipt of one message by a worker. Retries, redeliveries and ``replace()`` make
new runs of the same operation, and runs may overlap. The ``started`` of a run makes it the
current one and supersedes its predecessor, whose end, should it still come, is nobody's end.
A run that was only ``received`` waits beside the current one: a retry is received before the
attempt that asked for it says ``retrying``. After the operation's end only ``started`` opens
it again. A retry or a replacement names the run that it comes *after*: where the processes of the
two could not write at the same time, the log may hold the later one first, and the earlier one is
past then before anything is heard of it.

A reader may have begun in the middle, or have let the operation go. A run says ``started`` before
all else, so of two runs the one that was read to start is the later one: a word of another one,
which as far as was read was neither received nor started, comes late and takes nobody's place
(:meth:`Runs._is_older`). Where neither was read to start, nobody can say which is the later one:
the one that spoke last is shown, and the first that ends ends the operation.

A run may also say that it is ``replaced``: its successor has the same id, and may wait for long,
for the other steps of a chain or for a worker. Nobody gives signs of life meanwhile.

A run whose process falls silent is spoken for by the sidecars. What they *inferred* stands in
the log like everything else, and holds as long as the log does not refute it: ``stalled`` is
news once, and an end counts only behind a ``stalled`` that no sign of the run has followed. A
run that was given up as lost and gives a sign after all is opened again (:meth:`Operation.hear`).

:data:`TRANSITIONS` is the whole table; the picture in the documentation is made from it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec import Struct, field

from celery_wsprogress.protocol.events import (
    BACKEND_RUN,
    LOST,
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
    Status,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")


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


class Step(StrEnum):
    """What an event means to its run."""

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
    BEHIND = "behind"
    OVER = "over"


_FORWARD: Final[Mapping[Step, State]] = {
    Step.QUEUE: State.QUEUED,
    Step.RECEIVE: State.RECEIVED,
    Step.START: State.RUNNING,
    Step.WORK: State.RUNNING,
    Step.STALL: State.RUNNING,
    Step.RETRY: State.RETRYING,
    Step.REPLACE: State.REPLACED,
    Step.COMPLETE: State.COMPLETED,
    Step.FAIL: State.ERROR,
    Step.CANCEL: State.CANCELLED,
}


def _row(behind: tuple[Step, ...], over: tuple[Step, ...] = ()) -> dict[Step, State | Verdict]:
    row: dict[Step, State | Verdict] = dict(_FORWARD)
    row.update(dict.fromkeys(over, Verdict.OVER))
    row.update(dict.fromkeys(behind, Verdict.BEHIND))
    return row


_QUEUED: Final = (Step.QUEUE, Step.STALL)
_RECEIVED: Final = (Step.QUEUE, Step.RECEIVE, Step.STALL)
_STARTED: Final = (Step.QUEUE, Step.RECEIVE, Step.START)
_ALL: Final = tuple(Step)
_ENDS: Final = (Step.COMPLETE, Step.FAIL, Step.CANCEL)

#: For the state of a run (None: nothing is known of it) and a step: the state it is in then,
#: or the verdict on an event that does not take it there.
TRANSITIONS: Final[Mapping[State | None, Mapping[Step, State | Verdict]]] = {
    None: _row(()),
    State.QUEUED: _row(_QUEUED),
    State.RECEIVED: _row(_RECEIVED),
    State.RUNNING: _row(_STARTED),
    State.RETRYING: _row(_STARTED, _ALL),
    # It may fail yet, for instance because its successor cannot be published.
    State.REPLACED: _row(_STARTED, (Step.WORK, Step.STALL, Step.RETRY, Step.REPLACE)),
    State.COMPLETED: _row(_STARTED, _ALL),
    State.ERROR: _row(_STARTED, _ALL),
    State.CANCELLED: _row(_STARTED, _ALL),
}

_STEP_OF_STATUS: Final[Mapping[str, Step]] = {
    QUEUED: Step.QUEUE,
    RECEIVED: Step.RECEIVE,
    STARTED: Step.START,
    RETRYING: Step.RETRY,
    REPLACED: Step.REPLACE,
}

MAX_PAST_RUNS: Final = 32
"""Runs of one operation that are remembered, so that their late events are known as such."""


def step_of(event: Event) -> Step:
    """What the event means to its run."""
    if isinstance(event, Status):
        word = event.data.status
        if event.inferred and word == STALLED:
            return Step.STALL
        return _STEP_OF_STATUS.get(word, Step.WORK)
    if isinstance(event, Completed):
        return Step.COMPLETE
    if isinstance(event, Error):
        return Step.CANCEL if event.data.status == "cancelled" else Step.FAIL
    return Step.WORK


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
    every: float = 0.0
    """Seconds between two signs of its process, as that states."""
    spoke_at: float = 0.0
    """When its process last said something or gave a sign, epoch seconds of its own clock."""
    begun: bool = False
    """Its ``started`` was read."""

    @property
    def silent(self) -> bool:
        """Whether it goes on, as far as is known, and nothing is heard of it."""
        return self.stalled and self.state is State.RUNNING


class Runs(Struct, gc=False):
    """The runs of one operation, and where it stands with them."""

    state: State = State.QUEUED
    current: Run | None = None
    waiting: dict[str, Run] = field(default_factory=dict)
    """Runs that are not known to be older than the current one, by id: they were received beside
    it, or spoke before it, and of neither was the ``started`` read."""
    past: dict[str, Run] = field(default_factory=dict)
    """Runs that were the current one before, by id; the newest :data:`MAX_PAST_RUNS`."""

    def fold(self, event: Event, step: Step) -> Verdict:
        """Take one event, in log order."""
        if step is Step.QUEUE:
            return self._fold_queued(event)
        verdict = self._fold_in_run(event, step)
        if step is Step.START:
            self._settle()
        if event.after and (step is Step.START or step in _ENDS):
            self._pass(event.after)
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
            return Verdict.BEHIND
        # Another publication of the same id. It changes nothing before it starts.
        return Verdict.DELIVER if run.state is State.QUEUED else Verdict.BEHIND

    def _fold_in_run(self, event: Event, step: Step) -> Verdict:
        past = self.past.get(event.run)
        if past is not None:
            return self._fold_in_past(past, event, step)
        if self.current is None or self.current.id != event.run:
            return self._fold_in_other(event, step)
        if event.inferred and _is_refuted(self.current, event, step):
            return Verdict.BEHIND
        return self._advance(self.current, event, step)

    def _fold_in_past(self, run: Run, event: Event, step: Step) -> Verdict:
        if step in _STARTED:
            return Verdict.BEHIND
        return _verdict_on_overtaken(event) if run.superseded else Verdict.OVER

    def _fold_in_other(self, event: Event, step: Step) -> Verdict:
        """The event's run is not the current one: it waits, or takes its place."""
        current = self.current
        # Of a message that is only queued the result backend may know the end.
        unheard = current is None or (not current.id and event.run == BACKEND_RUN)
        if event.inferred and not unheard:
            return Verdict.BEHIND
        if current is None or not current.id:
            run = current or Run(event.run, event.publication)
            run.id = event.run
            run.publication = event.publication or run.publication
            self.current = run
            return self._advance(run, event, step)
        if step is Step.RECEIVE:
            self._let_wait(event)
            # Where the operation stands is what its current run shows: a client that goes by the
            # last status it was told must not take a retry's receipt for it.
            return Verdict.BEHIND
        if self.state.ended and step is not Step.START:
            return Verdict.OVER
        if self._is_older(event, step, current):
            return _verdict_on_overtaken(event)
        self._supersede(current, step)
        self.current = self.waiting.pop(event.run, None) or Run(event.run, event.publication)
        if self.current.state is State.RUNNING:
            # It spoke before, but was not the current one meanwhile.
            self.current.state = None
        return self._advance(self.current, event, step)

    def _let_wait(self, event: Event) -> None:
        if event.run not in self.waiting:
            self.waiting[event.run] = Run(event.run, event.publication, State.RECEIVED)
            _keep_newest(self.waiting)

    def _is_older(self, event: Event, step: Step, current: Run) -> bool:
        """Whether a run that speaks began before the current one, as far as anybody knows.

        A run says ``started`` before all else. So one that was not read to start had started
        before anything that was read, and before the current run if that one was.
        """
        if step is Step.START:
            return False
        run = self.waiting.get(event.run)
        if run is None:
            # What a task is replaced by may fail before it starts, and names that task's run.
            fails_unstarted = event.after and event.after not in self.past
            return current.begun and not fails_unstarted
        # Of neither it is known when it started. The end of either is that of the operation.
        return run.state is State.RUNNING and step not in _ENDS

    def _supersede(self, run: Run, step: Step) -> None:
        """Another run takes the place of this one, by a step of its own.

        This one waits if it has not begun, or may have begun later than that one.
        """
        run.superseded = run.state is State.RUNNING
        unsure = run.superseded and not run.begun and step is not Step.START
        line = self.waiting if unsure or run.state is State.RECEIVED else self.past
        line[run.id] = run
        _keep_newest(line)

    def _settle(self) -> None:
        """A run has started: those that spoke before are older."""
        for run in [run for run in self.waiting.values() if run.state is State.RUNNING]:
            self.past[run.id] = self.waiting.pop(run.id)
        _keep_newest(self.past)

    def _pass(self, run_id: str) -> None:
        """Another run follows this one: it is past, whatever is heard of it yet."""
        if run_id not in self.past and (self.current is None or self.current.id != run_id):
            run = self.waiting.pop(run_id, None) or Run(run_id, "")
            run.superseded = True
            self.past[run_id] = run
            _keep_newest(self.past)

    def _advance(self, run: Run, event: Event, step: Step) -> Verdict:
        # To a sidecar a run that another one follows waits, as one does that was received: its
        # successor may have ended unheard.
        waits = event.inferred and run.state in FOLLOWED
        outcome = TRANSITIONS[State.RECEIVED if waits else run.state][step]
        run.begun = run.begun or step is Step.START
        if isinstance(outcome, Verdict):
            return outcome
        run.state = outcome
        run.stalled = run.stalled or event.inferred
        self.state = outcome
        return Verdict.DELIVER


def _is_refuted(run: Run, event: Event, step: Step) -> bool:
    """Whether what a sidecar inferred of a run is not, or no longer, what the log shows."""
    if step is Step.STALL:
        return run.stalled
    if step is Step.RETRY:
        return not run.silent
    # A run that waits, to begin or for its successor, is not lost; but it may have ended unheard.
    lost = isinstance(event, Error) and event.data.error_type in LOST
    waits = run.state is State.RECEIVED or run.state in FOLLOWED
    return not (run.silent or (waits and not lost))


def _verdict_on_overtaken(event: Event) -> Verdict:
    """What becomes of what a run says that another one has overtaken: lines are lossless."""
    return Verdict.DELIVER if isinstance(event, Log) else Verdict.OVER


def _keep_newest(runs: dict[str, Run]) -> None:
    while len(runs) > MAX_PAST_RUNS:
        del runs[next(iter(runs))]
