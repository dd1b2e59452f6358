"""The events of an operation: one frozen class for each ``event_type`` of the wire protocol.

Fields without a default are the base fields of the protocol and are always sent; the others are
left out of the JSON while they are unset. The same classes are used on the broker and, with an
``event_id``, on the socket.

Three fields name the run of an event:

``run``
    The id of the run. Empty only on ``queued`` and ``scheduled`` of the caller, since no worker has
    the message yet.
``after``
    On ``scheduled``, ``received`` and ``started`` of a retry or a replacement: the run before it,
    which is over. The log may contain the later run first, since each process writes when it can.
    Also on ``error`` of a replacement that fails before it starts. It does not leave the sidecar.
``publication``
    The id of one publication of a message, set by the caller, on ``queued``, ``scheduled``,
    ``received`` and ``started``: it distinguishes a late ``queued`` of a run from another
    publication of the same operation. It does not leave the sidecar.

Pure. The values are trees of JSON (:mod:`.jsonable`), so the collector of cycles need not look at
them (``gc=False``).
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

from celery_wsprogress.protocol.plans import PlanData

T = TypeVar("T")

MAX_RUNS_BEFORE: Final = 8
"""Maximum number of earlier runs that a run names. What processes write at the same time may be
read in any order; more than a few runs of one operation are not written at the same time."""

MAX_ID_LENGTH: Final = 1_000
"""Maximum number of characters of an operation's id."""

Fraction: TypeAlias = Annotated[float, Meta(ge=0.0, le=1.0)]
Index: TypeAlias = Annotated[int, Meta(ge=0, le=2**53)]
Text: TypeAlias = Annotated[str, Meta(min_length=1)]
OperationId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=MAX_ID_LENGTH)]
ShortText: TypeAlias = Annotated[str, Meta(max_length=MAX_ID_LENGTH)]
LATEST: Final = 1e11
"""Maximum of a time, in epoch seconds: a larger number does not count seconds."""
Timestamp: TypeAlias = Annotated[float, Meta(ge=0.0, le=LATEST)]
Level: TypeAlias = Literal["debug", "info", "warning", "error", "critical"]

QUEUED: Final = "queued"
SCHEDULED: Final = "scheduled"
"""The message waits for its time: in its queue, where the caller says so, or in a worker."""
RECEIVED: Final = "received"
STARTED: Final = "started"
RETRYING: Final = "retrying"
REPLACED: Final = "replaced"
"""The run is over, and a successor with the same id follows (:meth:`celery.Task.replace`)."""
STALLED: Final = "stalled"
"""A sidecar has read no heartbeat of the run for a while. The run may report again."""

TYPE_ONLY: Final = "type"
"""``stream_errors`` of a run of whose errors only the type leaves the worker."""

BACKEND_RUN: Final = "backend"
"""``run`` of an operation that is only known from the result backend."""

WORKER_LOST: Final = "WorkerLost"
"""``error_type`` of a run whose worker sends no heartbeats and whose end is unknown."""
OWNER_LOST: Final = "OwnerLost"
"""The same for an operation without a worker, which runs in the process of its owner."""

REVOKED: Final = "TaskRevokedError"
"""``error_type`` of a task that was revoked or has expired: that of Celery's exception."""
EXPIRED: Final = "the task expired before it could start"
"""``error`` of the latter."""

LOST: Final = frozenset({WORKER_LOST, OWNER_LOST})

#: The statuses of a message that waits for its start.
BEFORE_START: Final = frozenset({QUEUED, SCHEDULED, RECEIVED})

#: The statuses of the life cycle. Any other status is a label that the task has set.
LIFE_CYCLE: Final = BEFORE_START | {STARTED, RETRYING, REPLACED}


class StatusData(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """``data`` of a ``status`` event."""

    status: Text
    message: str
    details: dict[str, Any]

    operation_type: str | UnsetType = UNSET
    """The task's name. Always set on ``queued``, ``scheduled``, ``received`` and ``started``."""
    metadata: dict[str, Any] | UnsetType = UNSET
    """Data of the caller and the task. Always set on ``started``."""
    tags: list[str] | UnsetType = UNSET
    attempt: int | UnsetType = UNSET
    """Number of the attempt, from 1."""
    worker: str | UnsetType = UNSET
    queue: str | UnsetType = UNSET
    retry_in: float | UnsetType = UNSET
    """Seconds until the next attempt, on ``retrying``."""
    starts_at: Timestamp | UnsetType = UNSET
    """The earliest start, in epoch seconds: on ``scheduled`` that of its message, on ``retrying``
    that of the next attempt."""
    expires_at: Timestamp | UnsetType = UNSET
    """The time, in epoch seconds, from which the message is not run any more, on the statuses of
    one that waits: ``queued``, ``scheduled``, ``received`` and ``retrying``."""
    max_attempts: int | UnsetType = UNSET
    """Maximum number of attempts, on ``retrying``; unset if unknown or unlimited."""
    parent_id: str | UnsetType = UNSET
    root_id: str | UnsetType = UNSET
    group_id: str | UnsetType = UNSET
    stream_result: bool | UnsetType = UNSET
    """False on ``received``, ``started`` and a worker's ``scheduled`` if the task's result does not
    leave its worker."""
    stream_errors: str | UnsetType = UNSET
    """``"type"`` on the same statuses if only the type of the task's errors leaves its worker; on
    ``replaced`` if that holds for a task that follows."""
    acks_late: bool | UnsetType = UNSET
    """True on the same statuses if the message is acknowledged after the task has run: the broker
    delivers it again if the worker dies."""


class ProgressData(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """``data`` of a ``progress`` event."""

    progress: Fraction
    """A fraction from 0.0 to 1.0. While the total is unknown it repeats the last known one."""
    message: str
    details: dict[str, Any]

    current: float | int | UnsetType = UNSET
    total: float | int | UnsetType = UNSET
    unit: str | UnsetType = UNSET
    rate: float | UnsetType = UNSET
    """Units per second, smoothed; without units the fraction per second."""
    eta: float | UnsetType = UNSET
    """Seconds until the end at this rate."""
    indeterminate: bool | UnsetType = UNSET


class LogData(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """``data`` of a ``log`` event."""

    level: Level
    message: str

    logger: str | UnsetType = UNSET
    details: dict[str, Any] | UnsetType = UNSET


class ChunkData(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """``data`` of a ``chunk`` event."""

    stream: Text
    """Name of the stream: a run may have several."""
    index: Index
    """Number of the chunk in its stream and run, from 0. Above the number that is due, those
    between are lost."""
    chunk: Any
    """A piece of text, which follows the one before; or any other value. None if it is closed."""

    closed: bool | UnsetType = UNSET
    """True on the last one: no more follow."""
    truncated: bool | UnsetType = UNSET
    """True if a value was too large, and ``chunk`` is the beginning of its JSON."""


class ResultData(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """``data`` of a ``result`` event."""

    result: Any

    truncated: bool | UnsetType = UNSET
    """True if the result was too large, and ``result`` is the beginning of its JSON."""


class CompletedData(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """``data`` of a ``completed`` event."""

    status: Literal["completed"]

    duration: float | UnsetType = UNSET
    """Seconds from start to end, as the worker measured them. If it could not, the sidecar takes
    the difference of its events; a client always gets it."""
    attempt: int | UnsetType = UNSET
    ignored: bool | UnsetType = UNSET
    """True if the task raised ``Ignore``. Its progress stays as it was."""


class ErrorData(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """``data`` of an ``error`` event."""

    error: Text
    error_type: Text

    status: Literal["error", "cancelled"] | UnsetType = UNSET
    duration: float | UnsetType = UNSET
    """As for ``completed``."""
    attempt: int | UnsetType = UNSET
    details: dict[str, Any] | UnsetType = UNSET
    """Of a workflow, and of a task that never ran because one before it failed: ``failed_step``,
    the id of that task; of a workflow also ``failed``, the ids of up to 100 tasks."""


class _Envelope(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag_field="event_type"
):
    operation_id: OperationId
    timestamp: Timestamp
    """Epoch seconds, by the clock of the process that reports it."""
    event_id: str = ""
    """Id of the event (:mod:`.event_ids`), set by the sidecar."""
    run: ShortText = ""
    after: ShortText = ""
    """The runs that a retry or a replacement follows, newest first, separated by spaces. Those of
    several processes may be read in any order."""
    publication: ShortText = ""
    sub: ShortText = ""
    """Whose operation it is, as the caller has said. It does not leave the sidecar."""
    workflow: ShortText = ""
    """The workflow that its message is part of. It does not leave the sidecar."""
    inferred: bool = False
    """Whether a sidecar wrote it, since the run's process sent no heartbeats. It does not leave the
    sidecar."""


class Status(_Envelope, frozen=True, kw_only=True, gc=False, tag="status"):
    """The operation entered a state, or the task has set a status of its own."""

    data: StatusData


class Progress(_Envelope, frozen=True, kw_only=True, gc=False, tag="progress"):
    """The progress of the task. The only event that a later one replaces."""

    data: ProgressData


class Log(_Envelope, frozen=True, kw_only=True, gc=False, tag="log"):
    """A log line of the task."""

    data: LogData


class Chunk(_Envelope, frozen=True, kw_only=True, gc=False, tag="chunk"):
    """A part of what the task streams."""

    data: ChunkData


class Result(_Envelope, frozen=True, kw_only=True, gc=False, tag="result"):
    """The return value of the task; ``completed`` follows."""

    data: ResultData


class Completed(_Envelope, frozen=True, kw_only=True, gc=False, tag="completed"):
    """The successful end."""

    data: CompletedData


class Error(_Envelope, frozen=True, kw_only=True, gc=False, tag="error"):
    """The unsuccessful end: failed, lost or, with ``status: "cancelled"``, cancelled."""

    data: ErrorData


class Plan(_Envelope, frozen=True, kw_only=True, gc=False, tag="plan"):
    """A part of the plan of a workflow (:mod:`.plans`). Clients do not get it."""

    data: PlanData


Event: TypeAlias = Status | Progress | Log | Chunk | Result | Completed | Error
"""Any event of an operation, protocol version 1."""

LogEvent: TypeAlias = Event | Plan
"""Any event that a writer can send."""


def event_type(kind: type[LogEvent]) -> str:
    """Return the ``event_type`` of a class of events."""
    return str(kind.__struct_config__.tag)


def none_if_unset(value: T | UnsetType) -> T | None:
    """Return the value of an optional field; None if it is unset."""
    return None if value is UNSET else value
