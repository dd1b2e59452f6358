"""The state of one operation, folded from its events.

:mod:`.runs` decides to which run an event belongs and whether it is delivered. This module keeps
the values of the events, as :mod:`.snapshot` shows them.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from sys import intern
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET, Struct, field, structs

from celery_wsprogress.operations.held_values import (
    SHORT_BYTES,
    SHORT_LENGTH,
    bounded_texts_size,
    merge_metadata,
    shared_text,
    size_of,
    to_held_data,
)
from celery_wsprogress.operations.runs import RunSet
from celery_wsprogress.operations.states import State, Trigger, Verdict, trigger_of
from celery_wsprogress.protocol.events import (
    BEFORE_START,
    LIFE_CYCLE,
    QUEUED,
    RECEIVED,
    REPLACED,
    RETRYING,
    SCHEDULED,
    STARTED,
    Completed,
    CompletedData,
    Error,
    Event,
    Progress,
    ProgressData,
    Status,
    StatusData,
    none_if_unset,
)

if TYPE_CHECKING:
    from msgspec import UnsetType

    from celery_wsprogress.operations.runs import Run

_NOTHING: Final[Mapping[str, Any]] = {}

# Read for each event: on CPython 3.11 an attribute of an Enum costs ten times what a name costs.
_RUNNING: Final = State.RUNNING
_DELIVER: Final = Verdict.DELIVER


class Operation(Struct, gc=False):
    """The state of one operation. Times are epoch seconds of the writers of the events."""

    operation_id: str
    first_seen_at: float
    """Time of the first event."""
    operation_type: str = ""
    status: str = QUEUED
    """The last status."""
    own_status: str = QUEUED
    """The last status but a sidecar's ``stalled``."""
    last_progress: ProgressData | None = None
    """The latest progress of the current run."""
    last_message: StatusData | None = None
    """The latest status with a message of the current run, if it is newer than the progress."""
    metadata: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    tags: Sequence[str] = ()
    queued_at: float | None = None
    received_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    duration: float | None = None
    starts_at: float | None = None
    """The earliest start, while it waits for its time or for its next attempt."""
    expires_at: float | None = None
    """The time from which it is not started any more, while it waits."""
    attempt: int | None = None
    max_attempts: int | None = None
    """Maximum number of attempts; None unless the last run asked for another one and said it."""
    worker: str | None = None
    queue: str | None = None
    parent_id: str | None = None
    root_id: str | None = None
    group_id: str | None = None
    sub: str | None = None
    """Whose it is, as its caller has said: a token may grant it by that."""
    is_step: bool = False
    """Whether its message is part of a workflow, whose plan may not be read yet."""
    workflow_ids: tuple[str, ...] = ()
    """The workflows that it is a step of; the hub knows them."""
    streams_result: bool = False
    """Whether a result from the result backend may be shown. The worker's first event says so."""
    streams_errors: bool = False
    """The same, for the text of an error."""
    acks_late: bool = False
    """Whether the broker delivers the message of the current run again if its worker dies."""
    error: str | None = None
    error_type: str | None = None
    ignored: bool = False
    """Whether the task raised ``Ignore``: then its progress is not complete."""

    rights_vary: bool = False
    """Whether a value that the patterns of tokens name has replaced another one, so that who could
    watch it before may not be allowed to now."""
    runs: RunSet = field(default_factory=RunSet)
    size: int = 0
    """Bytes of memory of its values, besides those that every operation has."""
    _progress_size: int = 0
    _message_size: int = 0
    _metadata_size: int = 0

    @property
    def run(self) -> Run | None:
        """The current run."""
        return self.runs.current

    @property
    def state(self) -> State:
        """The state of the current run."""
        return self.runs.state

    def fold(self, event: Event) -> tuple[Verdict, Event]:
        """Process one event, in log order.

        Returns:
            The verdict, and the event to deliver: a terminal event gets a duration if it has none.
        """
        runs = self.runs
        run, state = runs.current, runs.state
        trigger = trigger_of(event)
        verdict = runs.fold(event, trigger)
        if runs.state is _RUNNING and not (state is _RUNNING and runs.current is run):
            self._start_run(replaced=state is State.REPLACED)
        if verdict is _DELIVER:
            if isinstance(event, Progress):
                self._apply_progress(event.data)
            elif isinstance(event, (Completed, Error)):
                event = self._with_duration(event)
                self._apply_end(event)
            elif isinstance(event, Status):
                self._apply_status(event, trigger)
        elif verdict is Verdict.STALE and isinstance(event, Status):
            self._fill_in(event, late=True)
            self._measure()
        return verdict, event

    def is_current_run(self, run: str) -> bool:
        """Return whether the current run has this id."""
        current = self.runs.current
        return current is not None and current.id == run

    def latest_message(self) -> tuple[str, dict[str, Any]]:
        """Return the latest message of the current run, and its details."""
        latest = self.last_message or self.last_progress
        return ("", {}) if latest is None else (latest.message, latest.details)

    @property
    def tells_retry_reason(self) -> bool:
        """Whether the latest message is the reason for a retry.

        It may be so in any state: a task may end before it is tried again.
        """
        return self.last_message is not None and self.last_message.status == RETRYING

    def _start_run(self, *, replaced: bool) -> None:
        """Reset the values of the run before; those of a ``replaced`` one are carried on."""
        if not replaced:
            self.last_progress = self.last_message = None
            self._progress_size = self._message_size = 0
        self.started_at = self.finished_at = self.duration = None
        self.starts_at = self.expires_at = None
        self.error = self.error_type = None
        self.ignored = False
        self.status = STARTED

    def _with_duration(self, event: Completed | Error) -> Completed | Error:
        if event.data.duration is not UNSET:
            return event
        since = self.first_seen_at if self.started_at is None else self.started_at
        data = structs.replace(event.data, duration=max(0.0, event.timestamp - since))
        return structs.replace(event, data=data)

    def _apply_progress(self, data: ProgressData) -> None:
        # Nearly always the message is short, and there are no details.
        size = SHORT_BYTES
        if data.details or len(data.message) > SHORT_LENGTH:
            data, size = to_held_data(data)
        self.last_progress, self.last_message = data, None
        if size != self._progress_size or self._message_size:
            self._progress_size, self._message_size = size, 0
            self._measure()

    def _measure(self) -> None:
        """Work out the size anew, and cut texts that are too large."""
        values = self._metadata_size + self._progress_size + self._message_size
        self.size = bounded_texts_size(self) + values + self.runs.size

    def _apply_status(self, event: Status, trigger: Trigger) -> None:
        # Of another run than the current one only log lines are delivered.
        data = event.data
        self._fill_in(event, late=data.status in BEFORE_START)
        self.status = intern(data.status)
        if trigger is Trigger.STALL:
            self._measure()
            return
        self.own_status = self.status
        if data.attempt is not UNSET:
            self.attempt = data.attempt
        if trigger is Trigger.RETRY:
            self.max_attempts = none_if_unset(data.max_attempts)
        if data.status in BEFORE_START or trigger is Trigger.RETRY:
            self.starts_at = none_if_unset(data.starts_at)
            self.expires_at = none_if_unset(data.expires_at)
        if data.status not in LIFE_CYCLE or trigger is Trigger.RETRY:
            self.last_message, self._message_size = to_held_data(data)
        self._measure()

    def _apply_end(self, event: Completed | Error) -> None:
        data = event.data
        self.status = "completed" if isinstance(event, Completed) else "error"
        self.finished_at = event.timestamp
        self.starts_at = self.expires_at = None
        self.duration = none_if_unset(data.duration)
        if data.attempt is not UNSET:
            self.attempt = data.attempt
        if isinstance(data, CompletedData):
            self.ignored = data.ignored is True
        else:
            self.error, self.error_type = data.error, data.error_type
            self._measure()

    def _fill_in(self, event: Status, *, late: bool) -> None:
        """Take the values of a status that do not depend on the order of events.

        Args:
            event: The status.
            late: Whether the values that are known already are newer.
        """
        data = event.data
        status = data.status
        if status == QUEUED or (status == SCHEDULED and not event.run):
            self.queued_at = self.queued_at or event.timestamp
        elif status in {RECEIVED, SCHEDULED}:
            self.received_at = self.received_at or event.timestamp
        elif status == STARTED and self.started_at is None and self.is_current_run(event.run):
            self.started_at = event.timestamp
        self.rights_vary = self.rights_vary or _differs(self.sub, event.sub)
        self.sub = intern(event.sub) if event.sub else self.sub
        self.is_step = self.is_step or bool(event.workflow)
        self._fill_in_identity(data, late=late)
        if status == STARTED or (status in {RECEIVED, SCHEDULED} and event.run):
            self.streams_result = data.stream_result is not False
            self.streams_errors = data.stream_errors is UNSET
            self.acks_late = data.acks_late is True
        elif status == REPLACED and data.stream_errors is not UNSET:
            # Another task follows, with settings of its own.
            self.streams_errors = False

    def _is_replaced_by(self, data: StatusData) -> bool:
        """Return whether a value that the patterns of tokens name is lost to a status."""
        return (
            _differs(self.operation_type, data.operation_type)
            or _differs(self.root_id, data.root_id)
            or _differs(self.group_id, data.group_id)
            or bool(data.tags and self.tags and not {*self.tags} <= {*data.tags})
        )

    def _fill_in_identity(self, data: StatusData, *, late: bool) -> None:
        self.rights_vary = self.rights_vary or self._is_replaced_by(data)
        self.operation_type = shared_text(data.operation_type) or self.operation_type
        if data.metadata is not UNSET and data.metadata:
            # A late status does not undo what the task has set since.
            self.metadata = merge_metadata(self.metadata, data.metadata, prefer_older=late)
            self._metadata_size = size_of(self.metadata)
        self.tags = none_if_unset(data.tags) or self.tags
        # `received` of a waiting run does not say where the current one runs.
        self.worker = _choose(self.worker, shared_text(data.worker), late=late)
        self.queue = _choose(self.queue, shared_text(data.queue), late=late)
        self.parent_id = shared_text(data.parent_id) or self.parent_id
        self.root_id = shared_text(data.root_id) or self.root_id
        self.group_id = shared_text(data.group_id) or self.group_id


def _differs(old: str | None, new: str | UnsetType | None) -> bool:
    """Return whether a new value takes the place of another one."""
    return bool(old and new) and old != new


def _choose(old: str | None, new: str | None, *, late: bool) -> str | None:
    return (old or new) if late else (new or old)
