"""What is said about a run: the events, encoded where they are born.

Each function makes one :class:`Report`, ready for the buffer. Values are rendered here, in the
caller's thread; times are passed in. Where there is nothing to render, a :class:`Draft` leaves the
rest to the flusher.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from msgspec import UNSET, Struct, UnsetType

from celery_wsprogress import rendering, wire
from celery_wsprogress.events import (
    QUEUED,
    RECEIVED,
    REPLACED,
    RETRYING,
    STARTED,
    TYPE_ONLY,
    Completed,
    CompletedData,
    Error,
    ErrorData,
    Event,
    Level,
    Log,
    LogData,
    Progress,
    ProgressData,
    Result,
    ResultData,
    Status,
    StatusData,
)
from celery_wsprogress.worker.runs import Run

if TYPE_CHECKING:
    from typing import Literal, Unpack

T = TypeVar("T")


class Kind(IntEnum):
    """How soon a report is given up when the buffer is full: the lower, the sooner."""

    PROGRESS = 0
    """A progress value that had to leave before a status of its run. A later one follows."""
    LOG = 1
    WORD = 2
    """A status word of the task's own, or its metadata."""
    RESULT = 3
    """What came of it: the result, and how far it was before its end."""
    LIFE = 4
    """The life cycle and its ends."""


class How(TypedDict, total=False):
    """How a run is worked on, as far as those must know who conclude how it ended."""

    stream_result: bool
    """False when the task's result must not leave its worker."""
    stream_errors: bool
    """False when of the task's errors no more than the type may leave it."""
    acks_late: bool
    """Whether the message is acknowledged after the task has run."""


class Report(Struct, frozen=True, gc=False):
    """An encoded event on its way."""

    kind: Kind
    event: bytes
    run: Run


class Draft(Struct, frozen=True, gc=False):
    """A report of the life cycle that is still to be made, of values that change no more.

    Many at a time, in the flusher, cost a fraction of what each would cost its task in the middle
    of other work.
    """

    make: Callable[[], Report]


def queued(run: Run, now: float) -> Report:
    """The message is with the broker. Said by the caller; ``run.run`` is empty."""
    metadata = run.metadata or UNSET
    return _status(run, now, QUEUED, metadata=metadata, starts_at=run.starts_at)


def received(run: Run, now: float, **how: Unpack[How]) -> Report:
    """A worker has the message.

    Args:
        run: The run.
        now: Epoch seconds.
        **how: As :class:`How`.
    """
    metadata = run.metadata or UNSET
    return _status(run, now, RECEIVED, metadata=metadata, starts_at=run.starts_at, **how)


def started(run: Run, now: float, **how: Unpack[How]) -> Report:
    """The task's code begins.

    Args:
        run: The run.
        now: Epoch seconds. When it is said again it is still the time it began.
        **how: As :class:`How`.
    """
    return _status(run, now, STARTED, metadata=run.metadata, **how)


def replaced(run: Run, now: float, *, stream_errors: bool = True) -> Report:
    """This run is over, and a successor of the same id follows, maybe long after.

    Args:
        run: The run that is over.
        now: Epoch seconds.
        stream_errors: False when of the errors of all that follows no more than the type may leave.
    """
    data = StatusData(
        status=REPLACED,
        message="",
        details={},
        attempt=run.attempt,
        stream_errors=UNSET if stream_errors else TYPE_ONLY,
    )
    return _report(Kind.LIFE, run, Status(data=data, **_envelope(run, now)))


def retrying(run: Run, now: float, message: str, retry_in: float | None = None) -> Report:
    """This run is over, another will follow.

    Args:
        run: The run that is over.
        now: Epoch seconds.
        message: Why.
        retry_in: Seconds until the next one, where known.
    """
    data = StatusData(
        status=RETRYING,
        message=rendering.text(message),
        details={},
        attempt=run.attempt,
        retry_in=_set(retry_in),
    )
    return _report(Kind.LIFE, run, Status(data=data, **_envelope(run, now)))


def word(
    run: Run,
    now: float,
    status: str,
    message: str,
    details: dict[str, Any],
    *,
    metadata: dict[str, Any] | UnsetType = UNSET,
) -> Report:
    """The task's own word for what it does, with what it says about the operation."""
    data = StatusData(status=status, message=message, details=details, metadata=metadata)
    return _report(Kind.WORD, run, Status(data=data, **_envelope(run, now)))


def progress(run: Run, now: float, data: ProgressData, *, last: bool = False) -> Report:
    """How far the task is.

    Args:
        run: The run.
        now: Epoch seconds.
        data: What is said.
        last: No later one follows; it is kept as a result is.
    """
    return _report(
        Kind.RESULT if last else Kind.PROGRESS, run, Progress(data=data, **_envelope(run, now))
    )


def log(run: Run, now: float, level: Level, message: Any, details: dict[str, Any]) -> Report:
    """A line of the task."""
    data = LogData(
        level=level,
        message=rendering.text(message),
        details=rendering.mapping(details) if details else UNSET,
    )
    return _report(Kind.LOG, run, Log(data=data, **_envelope(run, now)))


def dropped(run: Run, now: float, count: int) -> Report:
    """How much of what the run said was given up because the buffer was full."""
    message = f"{count} of this task's log lines and status words were dropped: the buffer was full"
    data = LogData(level="warning", message=message, logger="celery_wsprogress")
    return _report(Kind.LOG, run, Log(data=data, **_envelope(run, now)))


def result(run: Run, now: float, value: Any) -> Report:
    """What the task returned."""
    rendered = rendering.result(value)
    data = ResultData(result=rendered.value, truncated=rendered.truncated or UNSET)
    event = Result(operation_id=run.operation_id, timestamp=now, run=run.run, data=data)
    return _report(Kind.RESULT, run, event)


def completed(
    run: Run, now: float, duration: float | None = None, *, ignored: bool = False
) -> Report:
    """The run ended well.

    Args:
        run: The run.
        now: Epoch seconds.
        duration: Seconds since its start, where known.
        ignored: The task raised ``Ignore``: it left before the end of its progress.
    """
    data = CompletedData(
        status="completed",
        duration=_set(duration),
        attempt=run.attempt,
        ignored=ignored or UNSET,
    )
    end = Completed(operation_id=run.operation_id, timestamp=now, run=run.run, data=data)
    return _report(Kind.LIFE, run, end)


def failed(
    run: Run,
    now: float,
    error: str,
    error_type: str,
    *,
    status: Literal["error", "cancelled"] = "error",
    duration: float | None = None,
    unstarted: bool = False,
) -> Report:
    """The run ended otherwise.

    Args:
        run: The run.
        now: Epoch seconds.
        error: With what.
        error_type: The name of that exception's class.
        status: ``cancelled`` where somebody stopped it.
        duration: Seconds since its start, where known.
        unstarted: Whether it never begins, since another task failed.
    """
    data = ErrorData(
        error=rendering.text(error) or error_type,
        error_type=error_type,
        status=status,
        duration=_set(duration),
        attempt=run.attempt,
    )
    after = run.after if unstarted else ""
    return _report(Kind.LIFE, run, Error(data=data, after=after, **_envelope(run, now)))


def _status(
    run: Run,
    now: float,
    status: str,
    metadata: dict[str, Any] | UnsetType,
    *,
    starts_at: float | None = None,
    **how: Unpack[How],
) -> Report:
    data = StatusData(
        status=status,
        message="",
        details={},
        starts_at=_set(starts_at),
        operation_type=run.operation_type,
        metadata=metadata,
        tags=list(run.tags) if run.tags else UNSET,
        attempt=run.attempt,
        worker=run.worker or UNSET,
        queue=run.queue or UNSET,
        parent_id=run.parent_id or UNSET,
        root_id=run.root_id or UNSET,
        group_id=run.group_id or UNSET,
        stream_result=UNSET if how.get("stream_result", True) else False,
        stream_errors=UNSET if how.get("stream_errors", True) else TYPE_ONLY,
        acks_late=True if how.get("acks_late") else UNSET,
    )
    event = Status(
        operation_id=run.operation_id,
        timestamp=now,
        run=run.run,
        publication=run.publication,
        after=run.after,
        data=data,
    )
    return _report(Kind.LIFE, run, event)


def _envelope(run: Run, now: float) -> dict[str, Any]:
    return {"operation_id": run.operation_id, "timestamp": now, "run": run.run}


def _report(kind: Kind, run: Run, event: Event) -> Report:
    return Report(kind, wire.encode_event(event), run)


def _set(value: T | None) -> T | UnsetType:
    return UNSET if value is None else value
