"""Encode the events of a run.

Each function returns one :class:`EncodedEvent` for the queue, and converts its values in the
calling thread. Every ``timestamp`` is epoch seconds, every ``duration`` seconds since the start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from msgspec import UNSET, UnsetType

from celery_wsprogress.protocol import batches, jsonable
from celery_wsprogress.protocol.events import (
    QUEUED,
    RECEIVED,
    REPLACED,
    RETRYING,
    SCHEDULED,
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
from celery_wsprogress.worker.publishing.queue_entries import EncodedEvent, Priority
from celery_wsprogress.worker.run_info import UNKNOWN_ATTEMPT

if TYPE_CHECKING:
    from typing import Literal, Unpack

    from celery_wsprogress.worker.run_info import NextAttempt, RunInfo

T = TypeVar("T")


class RunOptions(TypedDict, total=False):
    """The options of a run which a sidecar needs when it concludes how the run ended."""

    stream_result: bool
    """Whether events may contain the task's result."""
    stream_errors: bool
    """Whether events may contain more of the task's errors than their types."""
    acks_late: bool
    """Whether the message is acknowledged after the task has run."""


def queued(run: RunInfo, timestamp: float) -> EncodedEvent:
    """Encode ``queued``, or ``scheduled`` before its time: the broker has the message.

    ``run.run_id`` is empty.
    """
    return _waiting(run, timestamp, QUEUED)


def received(run: RunInfo, timestamp: float, **options: Unpack[RunOptions]) -> EncodedEvent:
    """Encode ``received``, or ``scheduled`` before its time: a worker has the message."""
    return _waiting(run, timestamp, RECEIVED, **options)


def _waiting(
    run: RunInfo, timestamp: float, word: str, **options: Unpack[RunOptions]
) -> EncodedEvent:
    # By the clock of this process: that of the worker decides when it starts.
    starts_at = _future(run.starts_at, timestamp)
    return _status(
        run,
        timestamp,
        word if starts_at is None else SCHEDULED,
        metadata=run.metadata or UNSET,
        starts_at=starts_at,
        expires_at=run.expires_at,
        **options,
    )


def _future(at: float | None, timestamp: float) -> float | None:
    return None if at is None or at <= timestamp else at


def started(run: RunInfo, timestamp: float, **options: Unpack[RunOptions]) -> EncodedEvent:
    """Encode ``started``. A repeated one has the time of the first."""
    return _status(run, timestamp, STARTED, metadata=run.metadata, **options)


def replaced(run: RunInfo, timestamp: float, *, stream_errors: bool = True) -> EncodedEvent:
    """Encode ``replaced``: a successor of the same id follows, maybe much later.

    Args:
        run: The run that is replaced.
        timestamp: Epoch seconds.
        stream_errors: Whether events of all successors may contain the texts of errors.
    """
    data = StatusData(
        status=REPLACED,
        message="",
        details={},
        attempt=run.attempt,
        stream_errors=UNSET if stream_errors else TYPE_ONLY,
    )
    return _encode(Priority.LIFECYCLE, run, Status(data=data, **_envelope(run, timestamp)))


def retrying(
    run: RunInfo, timestamp: float, message: str, following: NextAttempt = UNKNOWN_ATTEMPT
) -> EncodedEvent:
    """Encode ``retrying``: the run has ended, and another one follows.

    Args:
        run: The run that has ended.
        timestamp: Epoch seconds.
        message: The reason.
        following: The next attempt.
    """
    data = StatusData(
        status=RETRYING,
        message=jsonable.to_text(message),
        details={},
        attempt=run.attempt,
        retry_in=_set(following.retry_in),
        starts_at=_set(_future(following.starts_at, timestamp)),
        expires_at=_set(run.expires_at),
        max_attempts=_set(following.max_attempts),
    )
    return _encode(Priority.LIFECYCLE, run, Status(data=data, **_envelope(run, timestamp)))


def status(
    run: RunInfo,
    timestamp: float,
    name: str,
    message: str,
    details: dict[str, Any],
    *,
    metadata: dict[str, Any] | UnsetType = UNSET,
) -> EncodedEvent:
    """Encode a status that the task has set."""
    data = StatusData(status=name, message=message, details=details, metadata=metadata)
    return _encode(Priority.STATUS, run, Status(data=data, **_envelope(run, timestamp)))


def progress(
    run: RunInfo, timestamp: float, data: ProgressData, *, last: bool = False
) -> EncodedEvent:
    """Encode progress; the last one has the priority of a result."""
    return _encode(
        Priority.RESULT if last else Priority.PROGRESS,
        run,
        Progress(data=data, **_envelope(run, timestamp)),
    )


def log(
    run: RunInfo,
    timestamp: float,
    level: Level,
    message: Any,
    details: dict[str, Any],
    *,
    logger: str = "",
) -> EncodedEvent:
    """Encode a log line of the task; ``logger`` is the name of the logger that made it."""
    data = LogData(
        level=level,
        message=jsonable.to_text(message),
        logger=jsonable.to_text(logger, jsonable.MAX_NAME_BYTES) if logger else UNSET,
        details=jsonable.to_object(details) if details else UNSET,
    )
    return _encode(Priority.LOG, run, Log(data=data, **_envelope(run, timestamp)))


def drop_notice(run: RunInfo, timestamp: float, count: int) -> EncodedEvent:
    """Encode a log line with the number of events that were dropped from a full queue."""
    what = "log lines, chunks and status words"
    message = f"{count} of this task's {what} were dropped: the buffer was full"
    data = LogData(level="warning", message=message, logger="celery_wsprogress")
    return _encode(Priority.LOG, run, Log(data=data, **_envelope(run, timestamp)))


def result(run: RunInfo, timestamp: float, value: Any) -> EncodedEvent:
    """Encode the task's result, cut to 24,000 bytes."""
    rendered = jsonable.to_result(value)
    data = ResultData(result=rendered.value, truncated=rendered.truncated or UNSET)
    event = Result(operation_id=run.operation_id, timestamp=timestamp, run=run.run_id, data=data)
    return _encode(Priority.RESULT, run, event)


def completed(
    run: RunInfo, timestamp: float, duration: float | None = None, *, ignored: bool = False
) -> EncodedEvent:
    """Encode ``completed``; ``ignored`` if the task raised ``Ignore``, maybe before 100 %."""
    data = CompletedData(
        status="completed",
        duration=_set(duration),
        attempt=run.attempt,
        ignored=ignored or UNSET,
    )
    end = Completed(operation_id=run.operation_id, timestamp=timestamp, run=run.run_id, data=data)
    return _encode(Priority.LIFECYCLE, run, end)


def failed(
    run: RunInfo,
    timestamp: float,
    error: str,
    error_type: str,
    *,
    status: Literal["error", "cancelled"] = "error",
    duration: float | None = None,
    unstarted: bool = False,
) -> EncodedEvent:
    """Encode ``error``.

    Args:
        run: The run.
        timestamp: Epoch seconds.
        error: The text, cut to 2,000 bytes.
        error_type: The name of the exception's class.
        status: ``cancelled`` where the run was stopped from outside.
        duration: Seconds since its start, where known.
        unstarted: Whether it never starts, because another task failed.
    """
    data = ErrorData(
        error=jsonable.to_text(error) or error_type,
        error_type=error_type,
        status=status,
        duration=_set(duration),
        attempt=run.attempt,
    )
    after = run.after if unstarted else ""
    return _encode(
        Priority.LIFECYCLE, run, Error(data=data, after=after, **_envelope(run, timestamp))
    )


def _status(
    run: RunInfo,
    timestamp: float,
    status: str,
    metadata: dict[str, Any] | UnsetType,
    *,
    starts_at: float | None = None,
    expires_at: float | None = None,
    **options: Unpack[RunOptions],
) -> EncodedEvent:
    data = StatusData(
        status=status,
        message="",
        details={},
        starts_at=_set(starts_at),
        expires_at=_set(expires_at),
        operation_type=run.operation_type,
        metadata=metadata,
        tags=list(run.tags) if run.tags else UNSET,
        attempt=run.attempt,
        worker=run.worker or UNSET,
        queue=run.queue or UNSET,
        parent_id=run.parent_id or UNSET,
        root_id=run.root_id or UNSET,
        group_id=run.group_id or UNSET,
        stream_result=UNSET if options.get("stream_result", True) else False,
        stream_errors=UNSET if options.get("stream_errors", True) else TYPE_ONLY,
        acks_late=True if options.get("acks_late") else UNSET,
    )
    event = Status(
        operation_id=run.operation_id,
        timestamp=timestamp,
        run=run.run_id,
        publication=run.publication,
        after=run.after,
        sub=run.sub,
        workflow=run.workflow,
        data=data,
    )
    return _encode(Priority.LIFECYCLE, run, event)


def _envelope(run: RunInfo, timestamp: float) -> dict[str, Any]:
    return {"operation_id": run.operation_id, "timestamp": timestamp, "run": run.run_id}


def _encode(priority: Priority, run: RunInfo, event: Event) -> EncodedEvent:
    return EncodedEvent(priority, batches.encode_event(event), run)


def _set(value: T | None) -> T | UnsetType:
    return UNSET if value is None else value
