"""The event values: what can happen to an operation, as frozen values.

One class per ``event_type`` of the wire protocol. The fields without a default are the
protocol's base fields and are always sent; the others are left out of the JSON while they
are unset. The same values travel from the worker to the broker, from the broker to the
sidecar and, with an ``event_id``, to the clients: there is no second representation.

Three fields say *whose* event it is:

``run``
    One receipt of one message by a worker. Empty only on ``queued``, which happens before
    any worker has the message.
``after``
    On the ``received`` and ``started`` of a retry or a replacement: the run that asked for it, and
    is over. Each process writes when it can, so the log may show a retry, its end included, before
    anything of the attempt it follows. An ``error`` has it only where the replacement fails before
    it starts, as the rest of a chain does. It does not leave the sidecar.
``publication``
    One publishing of one message, stamped by the caller. ``queued`` and the ``received``
    and ``started`` of the run of that message carry it, so that a ``queued`` which arrives
    late is told from a new publication of the same id. It does not leave the sidecar.

Everything here is pure: times are passed in, values are already rendered
(:mod:`.jsonable`). They are trees, as JSON is, so the collector of cycles has
nothing to look for in them (``gc=False``).
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

T = TypeVar("T")

MAX_ID_LENGTH: Final = 1_000
"""Maximum number of characters of an operation's id."""

Fraction: TypeAlias = Annotated[float, Meta(ge=0.0, le=1.0)]
Text: TypeAlias = Annotated[str, Meta(min_length=1)]
OperationId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=MAX_ID_LENGTH)]
ShortText: TypeAlias = Annotated[str, Meta(max_length=MAX_ID_LENGTH)]
# Beyond this it counts something else than seconds, and differences of it may not be finite.
LATEST: Final = 1e11
"""Epoch seconds: no time of an event may be above."""
Timestamp: TypeAlias = Annotated[float, Meta(ge=0.0, le=LATEST)]
Level: TypeAlias = Literal["debug", "info", "warning", "error", "critical"]

QUEUED: Final = "queued"
RECEIVED: Final = "received"
STARTED: Final = "started"
RETRYING: Final = "retrying"
REPLACED: Final = "replaced"
"""The run is over, and a successor of the same id follows (:meth:`celery.Task.replace`)."""
STALLED: Final = "stalled"
"""No sign of the run's process for a while. A sidecar says it; the run may speak again."""

TYPE_ONLY: Final = "type"
"""``stream_errors`` of a run of whose errors no more than the type leaves its worker."""

BACKEND_RUN: Final = "backend"
"""The run of an operation of which nothing is known but what the result backend says."""

WORKER_LOST: Final = "WorkerLost"
"""``error_type`` of a run whose worker fell silent and of whose end nobody knows."""
OWNER_LOST: Final = "OwnerLost"
"""The same, of an operation that no worker runs: its process is its owner."""

LOST: Final = frozenset({WORKER_LOST, OWNER_LOST})

#: The status words of the life cycle. Any other word is the task's own and is only a label.
LIFE_CYCLE: Final = frozenset({QUEUED, RECEIVED, STARTED, RETRYING, REPLACED})


class StatusData(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """``data`` of a ``status`` event."""

    status: Text
    message: str
    details: dict[str, Any]

    operation_type: str | UnsetType = UNSET
    """The task's name. Always there on ``queued``, ``received`` and ``started``."""
    metadata: dict[str, Any] | UnsetType = UNSET
    """What the caller or the task says about the operation. Always there on ``started``."""
    tags: list[str] | UnsetType = UNSET
    attempt: int | UnsetType = UNSET
    """Which try this is, counted from 1."""
    worker: str | UnsetType = UNSET
    queue: str | UnsetType = UNSET
    retry_in: float | UnsetType = UNSET
    """Seconds until the next attempt, on ``retrying``."""
    starts_at: Timestamp | UnsetType = UNSET
    """When it may start at the earliest, on ``queued`` and ``received`` of a message with an ETA
    or a countdown."""
    parent_id: str | UnsetType = UNSET
    root_id: str | UnsetType = UNSET
    group_id: str | UnsetType = UNSET
    stream_result: bool | UnsetType = UNSET
    """False on ``received`` and ``started`` when the task's result does not leave its worker."""
    stream_errors: str | UnsetType = UNSET
    """``"type"`` on ``received`` and ``started`` when of the task's errors no more than the type
    leaves its worker; on ``replaced`` when that holds of something that follows."""
    acks_late: bool | UnsetType = UNSET
    """True on ``received`` and ``started`` when the message is acknowledged after the task has run:
    the broker delivers it again where the worker dies."""


class ProgressData(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """``data`` of a ``progress`` event."""

    progress: Fraction
    """0.0 to 1.0. While the total is unknown it repeats the last known fraction."""
    message: str
    details: dict[str, Any]

    current: float | int | UnsetType = UNSET
    total: float | int | UnsetType = UNSET
    unit: str | UnsetType = UNSET
    rate: float | UnsetType = UNSET
    """Units a second, smoothed; fractions a second where there are no units."""
    eta: float | UnsetType = UNSET
    """Seconds until the end at that rate."""
    indeterminate: bool | UnsetType = UNSET


class LogData(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """``data`` of a ``log`` event."""

    level: Level
    message: str

    logger: str | UnsetType = UNSET
    details: dict[str, Any] | UnsetType = UNSET


class ResultData(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """``data`` of a ``result`` event."""

    result: Any

    truncated: bool | UnsetType = UNSET
    """True when the result was too large and ``result`` is a marked preview of it."""


class CompletedData(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """``data`` of a ``completed`` event."""

    status: Literal["completed"]

    duration: float | UnsetType = UNSET
    """Seconds from start to end, measured where the task ran. The sidecar fills it in
    from what it heard when the writer could not know; a client always gets it."""
    attempt: int | UnsetType = UNSET
    ignored: bool | UnsetType = UNSET
    """True where the task raised ``Ignore``: it is over, and what it said of its progress stays as
    it was."""


class ErrorData(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """``data`` of an ``error`` event."""

    error: Text
    error_type: Text

    status: Literal["error", "cancelled"] | UnsetType = UNSET
    duration: float | UnsetType = UNSET
    """As for ``completed``."""
    attempt: int | UnsetType = UNSET


class _Envelope(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag_field="event_type"
):
    operation_id: OperationId
    timestamp: Timestamp
    """Epoch seconds, taken where it happened."""
    event_id: str = ""
    """Set by the sidecar: the log's epoch and the event's position in it."""
    run: ShortText = ""
    after: ShortText = ""
    publication: ShortText = ""
    inferred: bool = False
    """A sidecar concluded it from the silence of the run's own process. It does not leave the
    sidecar either: to a client it is an event like any other."""


class Status(_Envelope, frozen=True, kw_only=True, gc=False, tag="status"):
    """The operation entered a state, or the task put a word of its own on it."""

    data: StatusData


class Progress(_Envelope, frozen=True, kw_only=True, gc=False, tag="progress"):
    """How far it is. The only event that a later one of its kind replaces."""

    data: ProgressData


class Log(_Envelope, frozen=True, kw_only=True, gc=False, tag="log"):
    """A line the task wrote."""

    data: LogData


class Result(_Envelope, frozen=True, kw_only=True, gc=False, tag="result"):
    """What the task returned; ``completed`` follows."""

    data: ResultData


class Completed(_Envelope, frozen=True, kw_only=True, gc=False, tag="completed"):
    """The good end."""

    data: CompletedData


class Error(_Envelope, frozen=True, kw_only=True, gc=False, tag="error"):
    """The other end: failed, lost or, with ``status: "cancelled"``, called off."""

    data: ErrorData


Event: TypeAlias = Status | Progress | Log | Result | Completed | Error
"""Any event of the protocol, version 1, that a writer can send."""


def event_type(kind: type[Event]) -> str:
    """Return the ``event_type`` of a class of events."""
    return str(kind.__struct_config__.tag)


def none_if_unset(value: T | UnsetType) -> T | None:
    """Return the value of an optional field; None if it is unset."""
    return None if value is UNSET else value
