"""What is known of one operation, and the fold of its events over it.

Which run an event belongs to, and whether it is news, is decided by :mod:`.lifecycle`; here
stands what the events say, as a snapshot shows it.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from msgspec import UNSET, Struct, UnsetType, field, structs

from celery_wsprogress.operations.runs import RunSet
from celery_wsprogress.operations.states import State, Trigger, Verdict, trigger_of
from celery_wsprogress.protocol.events import (
    LIFE_CYCLE,
    LOST,
    QUEUED,
    RECEIVED,
    REPLACED,
    STARTED,
    Completed,
    Error,
    Event,
    Progress,
    ProgressData,
    Status,
    StatusData,
)

if TYPE_CHECKING:
    from celery_wsprogress.operations.runs import Run

T = TypeVar("T")


_NOTHING: Final[Mapping[str, Any]] = {}

# Read for each event: on CPython 3.11 an attribute of an Enum costs ten times what a name costs.
_RUNNING: Final = State.RUNNING
_DELIVER: Final = Verdict.DELIVER


class Operation(Struct, gc=False):
    """What is known of one operation. Only :meth:`fold` and :meth:`resume` change it."""

    operation_id: str
    first_seen_at: float
    """When it was first heard of, in epoch seconds of the writer."""
    operation_type: str = ""
    status: str = QUEUED
    """The last status word, whoever said it."""
    own_status: str = QUEUED
    """The last status word that was not a sidecar's."""
    last_progress: ProgressData | None = None
    """The latest progress of the current run."""
    last_message: StatusData | None = None
    """The latest status of the current run with a message, if it is newer than the progress."""
    metadata: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    tags: Sequence[str] = ()
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
    streams_result: bool = False
    """Whether its result may be shown; not before its worker was heard of."""
    streams_errors: bool = False
    """Whether the text of an error may be shown that the result backend tells; as before."""
    acks_late: bool = False
    """Whether the message of the current run is delivered again where its worker dies."""
    error: str | None = None
    error_type: str | None = None
    ignored: bool = False
    """The task raised ``Ignore``, and so did not come to the end of its progress."""

    runs: RunSet = field(default_factory=RunSet)

    @property
    def run(self) -> Run | None:
        """The current run."""
        return self.runs.current

    @property
    def state(self) -> State:
        """Where it is in its life."""
        return self.runs.state

    def fold(self, event: Event) -> tuple[Verdict, Event]:
        """Take one event, in log order.

        Returns:
            The verdict, and the event as it is to be delivered (an end gets the duration
            that its writer could not know).
        """
        runs = self.runs
        run, state = runs.current, runs.state
        trigger = trigger_of(event)
        verdict = runs.fold(event, trigger)
        if runs.state is _RUNNING and not (state is _RUNNING and runs.current is run):
            self._start_run(replaced=state is State.REPLACED)
        if verdict is _DELIVER:
            if isinstance(event, (Completed, Error)):
                event = self._with_duration(event)
            self._apply(event, trigger)
        elif verdict is Verdict.STALE and isinstance(event, Status):
            self._fill_in(event, late=True)
        return verdict, event

    def is_current_run(self, run: str) -> bool:
        """Whether this is the current run."""
        current = self.runs.current
        return current is not None and current.id == run

    def resume(self, timestamp: float) -> Status:
        """Have the current run go on, which has given a sign of life; see :meth:`.Run.mark_alive`.

        Args:
            timestamp: When it did, epoch seconds of its own clock.

        Returns:
            The event that is to be delivered for it: ``started`` of a run that was presumed lost,
            the status before ``stalled`` of one that was silent.
        """
        current = self.runs.current
        lost = current is not None and current.lost
        data = self._restarted() if lost else self._continued()
        self.runs.reopen()
        run = "" if current is None else current.id
        event = Status(operation_id=self.operation_id, timestamp=timestamp, run=run, data=data)
        self.status = data.status
        self.error = self.error_type = self.finished_at = self.duration = None
        self.ignored = False
        return event

    def _restarted(self) -> StatusData:
        return StatusData(
            status=STARTED,
            message="",
            details={"resumed": True},
            operation_type=self.operation_type,
            metadata=dict(self.metadata),
            tags=list(self.tags) or UNSET,
            attempt=_set(self.attempt),
            worker=_set(self.worker),
            queue=_set(self.queue),
            parent_id=_set(self.parent_id),
            root_id=_set(self.root_id),
            group_id=_set(self.group_id),
        )

    def _continued(self) -> StatusData:
        status = "running" if self.own_status == STARTED else self.own_status
        message, details = self.latest_message()
        return StatusData(status=status, message=message, details=details)

    def latest_message(self) -> tuple[str, dict[str, Any]]:
        """What was said last of the current run: the message and its details."""
        latest = self.last_message or self.last_progress
        return ("", {}) if latest is None else (latest.message, latest.details)

    def _start_run(self, *, replaced: bool) -> None:
        """Forget what an earlier run has left behind.

        Args:
            replaced: That run handed its work on: how far it was is not forgotten.
        """
        if not replaced:
            self.last_progress = self.last_message = None
        self.started_at = self.finished_at = self.duration = None
        self.error = self.error_type = None
        self.ignored = False
        self.status = STARTED

    # What the event says.

    def _with_duration(self, event: Completed | Error) -> Event:
        if event.data.duration is not UNSET:
            return event
        since = self.first_seen_at if self.started_at is None else self.started_at
        data = structs.replace(event.data, duration=max(0.0, event.timestamp - since))
        return structs.replace(event, data=data)

    def _apply(self, event: Event, trigger: Trigger) -> None:
        current = self.runs.current
        other_run = current is not None and event.run != current.id
        if isinstance(event, Progress):
            if not other_run:
                self.last_progress, self.last_message = event.data, None
        elif isinstance(event, Status):
            # A message that is published once more says nothing of the run that is there.
            waits = trigger is Trigger.QUEUE and self.state is not State.QUEUED
            self._apply_status(event, trigger, other_run=other_run or waits)
        elif isinstance(event, Completed):
            self._apply_end(event)
            self.ignored = event.data.ignored is True
            if self.run is not None:
                self.run.lost = False
        elif isinstance(event, Error):
            self._apply_end(event)
            self.error, self.error_type = event.data.error, event.data.error_type
            if self.run is not None:
                self.run.lost = event.inferred and self.error_type in LOST

    def _apply_status(self, event: Status, trigger: Trigger, *, other_run: bool) -> None:
        """Take a status; ``other_run`` is one that is not of the current run."""
        data = event.data
        self._fill_in(event, late=data.status in {QUEUED, RECEIVED})
        if other_run:
            return
        self.status = data.status
        if trigger is Trigger.STALL:
            return
        self.own_status = data.status
        if data.attempt is not UNSET:
            self.attempt = data.attempt
        if trigger is Trigger.RETRY and event.inferred and self.run is not None:
            # It may speak again all the same.
            self.run.lost = True
        if data.status not in LIFE_CYCLE or trigger is Trigger.RETRY:
            self.last_message = data

    def _apply_end(self, event: Completed | Error) -> None:
        data = event.data
        self.status = "completed" if isinstance(event, Completed) else "error"
        self.finished_at = event.timestamp
        self.duration = _known(data.duration)
        if data.attempt is not UNSET:
            self.attempt = data.attempt

    def _fill_in(self, event: Status, *, late: bool) -> None:
        """Take from a status what holds in whatever order it comes.

        Args:
            event: The status.
            late: What it says was said before what is known already.
        """
        data = event.data
        status = data.status
        if status == QUEUED:
            self.queued_at = self.queued_at or event.timestamp
        elif status == RECEIVED:
            self.received_at = self.received_at or event.timestamp
        elif status == STARTED and self.started_at is None and self.is_current_run(event.run):
            self.started_at = event.timestamp
        self._fill_in_identity(data, late=late)

    def _fill_in_identity(self, data: StatusData, *, late: bool) -> None:
        self.operation_type = _known(data.operation_type) or self.operation_type
        if data.metadata is not UNSET and data.metadata:
            # A late word does not undo what the task has set since.
            old, new = self.metadata, data.metadata
            self.metadata = {**new, **old} if late else {**old, **new}
        self.tags = _known(data.tags) or self.tags
        # Nor does the receipt of a run that waits say where the one that is there runs.
        self.worker = _choose(self.worker, _known(data.worker), late=late)
        self.queue = _choose(self.queue, _known(data.queue), late=late)
        self.parent_id = _known(data.parent_id) or self.parent_id
        self.root_id = _known(data.root_id) or self.root_id
        self.group_id = _known(data.group_id) or self.group_id
        if data.status in {RECEIVED, STARTED}:
            self.streams_result = data.stream_result is not False
            self.streams_errors = data.stream_errors is UNSET
            self.acks_late = data.acks_late is True
        elif data.status == REPLACED and data.stream_errors is not UNSET:
            # What follows is another task, which has its own say.
            self.streams_errors = False


def _set(value: T | None) -> T | UnsetType:
    return UNSET if value is None else value


def _known(value: T | UnsetType) -> T | None:
    return None if value is UNSET else value


def _choose(old: str | None, new: str | None, *, late: bool) -> str | None:
    return (old or new) if late else (new or old)
