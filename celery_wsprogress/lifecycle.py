"""The life of an operation, as a table, and the fold of its events over it.

An operation is a Celery task id. What happens to it is told by up to three writers that do
not wait for each other (the caller, the worker's main process, the pool child), so events
arrive in log order, and log order is not always life order: of no-op tasks, one in eight has
its ``received`` written after its ``started``. Sorting would contradict the log; dropping
would lose what was promised. So the *phase* of an event decides whether it is delivered, and
never in which order:

* An event that takes its run forward, or is part of its work, is **delivered**.
* A status that is **behind** what the log already showed of its run is not news to anyone: it
  completes the snapshot (``queued_at``, …) and is not delivered.
* An event of a run that is **over** is dropped and counted. The first terminal event wins.

A *run* is one receipt of one message by a worker. Retries, redeliveries and ``replace()`` make
new runs of the same operation, and runs may overlap. The ``started`` of a run makes it the
current one and supersedes its predecessor, whose end, should it still come, is nobody's end.
A run that was only ``received`` waits beside the current one: a retry is received before the
attempt that asked for it says ``retrying``. After the operation's end only ``started`` opens
it again.

A run whose process falls silent is spoken for by the sidecars. What they *inferred* stands in
the log like everything else, and holds as long as the log does not refute it: ``stalled`` is
news once, and an end counts only behind a ``stalled`` that no sign of the run has followed. A
run that was given up as lost and gives a sign after all is opened again (:meth:`Operation.hear`).

:data:`TRANSITIONS` is the whole table; the picture in the documentation is made from it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeVar

from msgspec import UNSET, UnsetType, structs

from celery_wsprogress.events import (
    LIFE_CYCLE,
    OWNER_LOST,
    QUEUED,
    RECEIVED,
    RETRYING,
    STALLED,
    STARTED,
    WORKER_LOST,
    Completed,
    Error,
    Event,
    Log,
    Progress,
    Status,
    StatusData,
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
    COMPLETED = "completed"
    ERROR = "error"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether the operation has reached its end in this state."""
        return self in _ENDED


_ENDED: Final = frozenset({State.COMPLETED, State.ERROR, State.CANCELLED})


class Step(StrEnum):
    """What an event means to its run."""

    QUEUE = "queue"
    RECEIVE = "receive"
    START = "start"
    WORK = "work"
    STALL = "stall"
    RETRY = "retry"
    COMPLETE = "complete"
    FAIL = "fail"
    CANCEL = "cancel"


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
    Step.COMPLETE: State.COMPLETED,
    Step.FAIL: State.ERROR,
    Step.CANCEL: State.CANCELLED,
}


def _row(behind: tuple[Step, ...], *, over: bool = False) -> dict[Step, State | Verdict]:
    row: dict[Step, State | Verdict] = {}
    for step, state in _FORWARD.items():
        if step in behind:
            row[step] = Verdict.BEHIND
        else:
            row[step] = Verdict.OVER if over else state
    return row


_QUEUED: Final = (Step.QUEUE, Step.STALL)
_RECEIVED: Final = (Step.QUEUE, Step.RECEIVE, Step.STALL)
_STARTED: Final = (Step.QUEUE, Step.RECEIVE, Step.START)

#: For the state of a run (None: nothing is known of it) and a step: the state it is in then,
#: or the verdict on an event that does not take it there.
TRANSITIONS: Final[Mapping[State | None, Mapping[Step, State | Verdict]]] = {
    None: _row(()),
    State.QUEUED: _row(_QUEUED),
    State.RECEIVED: _row(_RECEIVED),
    State.RUNNING: _row(_STARTED),
    State.RETRYING: _row(_STARTED, over=True),
    State.COMPLETED: _row(_STARTED, over=True),
    State.ERROR: _row(_STARTED, over=True),
    State.CANCELLED: _row(_STARTED, over=True),
}

_STEP_OF_STATUS: Final[Mapping[str, Step]] = {
    QUEUED: Step.QUEUE,
    RECEIVED: Step.RECEIVE,
    STARTED: Step.START,
    RETRYING: Step.RETRY,
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


@dataclass(slots=True)
class Run:
    """One receipt of one message. ``id`` is empty while only ``queued`` is known of it."""

    id: str
    publication: str
    state: State | None = None
    superseded: bool = False
    stalled: bool = False
    """Nothing was heard of its process since a sidecar said so."""
    lost: bool = False
    """It was given up, and ended by a sidecar that knew no better."""

    @property
    def silent(self) -> bool:
        """Whether it goes on, as far as is known, and nothing is heard of it."""
        return self.stalled and self.state is State.RUNNING


@dataclass(slots=True)
class Operation:
    """What is known of one operation. :meth:`fold` is the only thing that changes it."""

    operation_id: str
    heard_at: float
    """When it was first heard of, in epoch seconds of the writer."""
    operation_type: str = ""
    state: State = State.QUEUED
    status: str = QUEUED
    """The last status word, whoever's it was."""
    word: str = QUEUED
    """The last one that was not a sidecar's."""
    progress: float = 0.0
    message: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    current: float | int | None = None
    total: float | int | None = None
    unit: str | None = None
    rate: float | None = None
    eta: float | None = None
    indeterminate: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    queued_at: float | None = None
    received_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    duration: float | None = None
    attempt: int | None = None
    worker: str | None = None
    queue: str | None = None
    parent_id: str | None = None
    root_id: str | None = None
    group_id: str | None = None
    streams_result: bool = True
    """Whether its result may be shown."""
    error: str | None = None
    error_type: str | None = None
    event_count: int = 0
    last_event_id: str = ""

    run: Run | None = None
    """The current run."""
    waiting: OrderedDict[str, Run] = field(default_factory=OrderedDict)
    """Runs that were received while another was the current one, by id."""
    past: OrderedDict[str, Run] = field(default_factory=OrderedDict)
    """Runs that were the current one before, by id; the newest :data:`MAX_PAST_RUNS`."""

    def fold(self, event: Event) -> tuple[Verdict, Event]:
        """Take one event, in log order.

        Returns:
            The verdict, and the event as it is to be delivered (an end gets the duration
            that its writer could not know).
        """
        step = step_of(event)
        fold = self._fold_queued if step is Step.QUEUE else self._fold_in_run
        verdict = fold(event, step)
        if verdict is Verdict.DELIVER:
            event = self._with_duration(event)
            self._learn(event, step)
        elif verdict is Verdict.BEHIND and isinstance(event, Status):
            self._complete(event, late=True)
        return verdict, event

    def runs_as(self, run: str) -> bool:
        """Whether this is the current run."""
        return self.run is not None and self.run.id == run

    def hear(self, run: str, at: float) -> Status | None:
        """Take a sign of life of a run's own process, before what it says is folded.

        Args:
            run: Which run.
            at: When it was given, epoch seconds.

        Returns:
            What is to be delivered for it: ``started`` of a run that was given up as lost, the
            word before ``stalled`` of one that was silent; None of all others.
        """
        current = self.run
        if current is None or current.id != run or not (current.silent or current.lost):
            return None
        data = self._resumed() if current.lost else self._going_on()
        current.stalled = current.lost = False
        current.state = self.state = State.RUNNING
        event = Status(operation_id=self.operation_id, timestamp=at, run=run, data=data)
        self.status = data.status
        self.error = self.error_type = self.finished_at = self.duration = None
        return event

    def _resumed(self) -> StatusData:
        return StatusData(
            status=STARTED,
            message="",
            details={"resumed": True},
            operation_type=self.operation_type,
            metadata=self.metadata,
            tags=self.tags or UNSET,
            attempt=_set(self.attempt),
            worker=_set(self.worker),
            queue=_set(self.queue),
            parent_id=_set(self.parent_id),
            root_id=_set(self.root_id),
            group_id=_set(self.group_id),
        )

    def _going_on(self) -> StatusData:
        word = "running" if self.word == STARTED else self.word
        return StatusData(status=word, message=self.message, details=self.details)

    # Which run it is about, and whether that run is still going.

    def _fold_queued(self, event: Event, _step: Step) -> Verdict:
        run = self.run
        if run is None:
            self.run = Run("", event.publication, State.QUEUED)
            return Verdict.DELIVER
        known = (run, *self.waiting.values(), *self.past.values())
        if any(one.publication == event.publication for one in known):
            return Verdict.BEHIND
        # Another publication of the same id. It changes nothing before it starts.
        return Verdict.DELIVER

    def _fold_in_run(self, event: Event, step: Step) -> Verdict:
        past = self.past.get(event.run)
        if past is not None:
            return self._fold_in_past(past, event, step)
        if self.run is None or self.run.id != event.run:
            return self._fold_in_other(event, step)
        if event.inferred and _is_refuted(self.run, step):
            return Verdict.BEHIND
        return self._advance(self.run, step)

    def _fold_in_past(self, run: Run, event: Event, step: Step) -> Verdict:
        if step in _STARTED:
            return Verdict.BEHIND
        # Logs are lossless, also those of a run that another one overtook.
        return Verdict.DELIVER if run.superseded and isinstance(event, Log) else Verdict.OVER

    def _fold_in_other(self, event: Event, step: Step) -> Verdict:
        """The event's run is not the current one: it waits, or takes its place."""
        current = self.run
        if event.inferred and current is not None:
            return Verdict.BEHIND
        if current is None or not current.id:
            run = current or Run(event.run, event.publication)
            run.id = event.run
            run.publication = event.publication or run.publication
            self.run = run
            return self._advance(run, step)
        if step is Step.RECEIVE:
            if event.run in self.waiting:
                return Verdict.BEHIND
            self.waiting[event.run] = Run(event.run, event.publication, State.RECEIVED)
            _keep_newest(self.waiting)
            return Verdict.DELIVER
        if self.state.ended and step is not Step.START:
            return Verdict.OVER
        self._supersede(current)
        self.run = self.waiting.pop(event.run, None) or Run(event.run, event.publication)
        return self._advance(self.run, step)

    def _supersede(self, run: Run) -> None:
        """Another run takes the place of this one, which waits if it has not begun."""
        run.superseded = run.state is State.RUNNING
        line = self.waiting if run.state is State.RECEIVED else self.past
        line[run.id] = run
        _keep_newest(line)

    def _advance(self, run: Run, step: Step) -> Verdict:
        outcome = TRANSITIONS[run.state][step]
        if isinstance(outcome, Verdict):
            return outcome
        if run.state is not State.RUNNING and outcome is State.RUNNING:
            self._begin()
        run.state = outcome
        run.stalled = run.stalled or step is Step.STALL
        self.state = outcome
        return Verdict.DELIVER

    def _begin(self) -> None:
        """Forget what an earlier run has left behind."""
        self.progress = 0.0
        self.message = ""
        self.details = {}
        self.current = self.total = self.unit = self.rate = self.eta = None
        self.indeterminate = False
        self.started_at = self.finished_at = self.duration = None
        self.error = self.error_type = None
        self.status = STARTED

    # What the event says.

    def _with_duration(self, event: Event) -> Event:
        if not isinstance(event, (Completed, Error)) or event.data.duration is not UNSET:
            return event
        since = self.heard_at if self.started_at is None else self.started_at
        data = structs.replace(event.data, duration=max(0.0, event.timestamp - since))
        return structs.replace(event, data=data)

    def _learn(self, event: Event, step: Step) -> None:
        overtaken = self.run is not None and event.run != self.run.id
        if isinstance(event, Progress) and not overtaken:
            self._learn_progress(event)
        elif isinstance(event, Status):
            self._learn_status(event, step, overtaken=overtaken)
        elif isinstance(event, Completed):
            self._learn_end(event)
            self.progress = 1.0
        elif isinstance(event, Error):
            self._learn_end(event)
            self.error, self.error_type = event.data.error, event.data.error_type
            if self.run is not None:
                self.run.lost = event.inferred and self.error_type in _LOST

    def _learn_progress(self, event: Progress) -> None:
        data = event.data
        self.progress = data.progress
        self.message, self.details = data.message, data.details
        self.current, self.total = _known(data.current), _known(data.total)
        self.unit, self.rate, self.eta = _known(data.unit), _known(data.rate), _known(data.eta)
        self.indeterminate = data.indeterminate is True

    def _learn_status(self, event: Status, step: Step, *, overtaken: bool) -> None:
        data = event.data
        self._complete(event, late=data.status in {QUEUED, RECEIVED})
        if overtaken:
            return
        self.status = data.status
        if step is Step.STALL:
            return
        self.word = data.status
        if data.attempt is not UNSET:
            self.attempt = data.attempt
        if data.status not in LIFE_CYCLE or step is Step.RETRY:
            self.message, self.details = data.message, data.details

    def _learn_end(self, event: Completed | Error) -> None:
        data = event.data
        self.status = "completed" if isinstance(event, Completed) else "error"
        self.finished_at = event.timestamp
        self.duration = _known(data.duration)
        self.rate = self.eta = None
        self.indeterminate = False
        if data.attempt is not UNSET:
            self.attempt = data.attempt

    def _complete(self, event: Status, *, late: bool) -> None:
        """Take from a status what holds in whatever order it comes.

        Args:
            event: The status.
            late: What it says was said before what is known already.
        """
        data = event.data
        word = data.status
        if word == QUEUED:
            self.queued_at = self.queued_at or event.timestamp
        elif word == RECEIVED:
            self.received_at = self.received_at or event.timestamp
        elif word == STARTED and (self.run is None or self.run.id == event.run):
            self.started_at = event.timestamp
        self._complete_identity(data, late=late)

    def _complete_identity(self, data: StatusData, *, late: bool) -> None:
        self.operation_type = _known(data.operation_type) or self.operation_type
        if data.metadata is not UNSET and data.metadata:
            # A late word does not undo what the task has set since.
            old, new = self.metadata, data.metadata
            self.metadata = {**new, **old} if late else {**old, **new}
        self.tags = _known(data.tags) or self.tags
        self.worker = _known(data.worker) or self.worker
        self.queue = _known(data.queue) or self.queue
        self.parent_id = _known(data.parent_id) or self.parent_id
        self.root_id = _known(data.root_id) or self.root_id
        self.group_id = _known(data.group_id) or self.group_id
        self.streams_result = self.streams_result and data.stream_result is not False

    def snapshot(self) -> dict[str, Any]:
        """The operation as the protocol shows it: base fields are never null."""
        started = self.heard_at if self.started_at is None else self.started_at
        return {
            "operation_id": self.operation_id,
            "operation_type": self.operation_type,
            "started_at": started,
            "status": "running" if self.status == STARTED else self.status,
            "progress": self.progress,
            "metadata": self.metadata,
            "event_count": self.event_count,
            "state": self.state.value,
            "message": self.message,
            "details": self.details,
            "current": self.current,
            "total": self.total,
            "unit": self.unit,
            "rate": self.rate,
            "eta": self.eta,
            "indeterminate": self.indeterminate,
            "queued_at": self.queued_at,
            "received_at": self.received_at,
            "finished_at": self.finished_at,
            "duration": self.duration,
            "attempt": self.attempt,
            "worker": self.worker,
            "queue": self.queue,
            "parent_id": self.parent_id,
            "root_id": self.root_id,
            "group_id": self.group_id,
            "tags": self.tags,
            "error": self.error,
            "error_type": self.error_type,
            "last_event_id": self.last_event_id,
            "run": self.run.id if self.run else "",
        }


_LOST: Final = frozenset({WORKER_LOST, OWNER_LOST})


def _is_refuted(run: Run, step: Step) -> bool:
    """Whether what a sidecar inferred of a run is not, or no longer, what the log shows."""
    return run.stalled if step is Step.STALL else not run.silent


def _set(value: T | None) -> T | UnsetType:
    return UNSET if value is None else value


def _known(value: T | UnsetType) -> T | None:
    return None if value is UNSET else value


def _keep_newest(runs: OrderedDict[str, Run]) -> None:
    while len(runs) > MAX_PAST_RUNS:
        runs.popitem(last=False)
