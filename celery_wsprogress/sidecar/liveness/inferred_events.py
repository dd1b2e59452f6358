"""The events that a sidecar concludes and appends to the log.

Pure: times are passed in. Each event is marked as ``inferred``; when it is read back, the state
machine decides whether it still holds
(:mod:`celery_wsprogress.operations.runs`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import UNSET, UnsetType

from celery_wsprogress.protocol import jsonable
from celery_wsprogress.protocol.events import (
    BACKEND_RUN,
    EXPIRED,
    OWNER_LOST,
    RETRYING,
    REVOKED,
    STALLED,
    WORKER_LOST,
    Completed,
    CompletedData,
    Error,
    ErrorData,
    Result,
    ResultData,
    Status,
    StatusData,
)

if TYPE_CHECKING:
    from celery_wsprogress.brokers.result_backend import Outcome
    from celery_wsprogress.operations.operation import Operation
    from celery_wsprogress.operations.runs import Run
    from celery_wsprogress.protocol.events import Event


class SilentRun(NamedTuple):
    """An operation whose current run is silent."""

    operation: Operation
    run: Run
    seconds: float
    """Seconds without a sign of life."""
    timestamp: float
    """The present time, in epoch seconds."""


def stalled(silence: SilentRun) -> Event:
    """Return the status ``stalled``: the run may be busy, or its process dead."""
    details = {"silence": round(silence.seconds, 1)}
    data = StatusData(status=STALLED, message=_no_sign(silence), details=details)
    return Status(data=data, **_envelope(silence))


def given_up(silence: SilentRun) -> Event:
    """Return the event that gives the run up: its message is delivered again, or it is lost."""
    return _redelivered(silence) if silence.operation.acks_late else lost(silence)


def _redelivered(silence: SilentRun) -> Event:
    """Return the status ``retrying``: the worker had not acknowledged the message.

    The broker gives it to another worker: RabbitMQ at once, Redis after the visibility timeout.
    """
    message = f"{_no_sign(silence)}; the broker delivers the task again"
    data = StatusData(status=RETRYING, message=message, details={})
    return Status(data=data, **_envelope(silence))


def lost(silence: SilentRun) -> Event:
    """Return the error that ends the run as lost."""
    kind = WORKER_LOST if silence.operation.worker else OWNER_LOST
    data = ErrorData(
        error=_no_sign(silence), error_type=kind, status="error", duration=_duration(silence)
    )
    return Error(data=data, **_envelope(silence))


def expired(silence: SilentRun) -> Event:
    """Return the error that ends an operation whose message no worker received in time."""
    data = ErrorData(error=EXPIRED, error_type=REVOKED, status="cancelled")
    return Error(data=data, **_envelope(silence))


def ended(silence: SilentRun, outcome: Outcome) -> list[Event]:
    """Return the end of the run by the outcome that the result backend knows."""
    return _ends(
        outcome,
        _envelope(silence),
        streams_result=silence.operation.streams_result,
        streams_errors=silence.operation.streams_errors,
        took=_duration(silence),
    )


def ended_unknown(
    operation_id: str, timestamp: float, outcome: Outcome, *, streams_errors: bool = False
) -> list[Event]:
    """Return the end of an operation that has no events, by the outcome in the result backend.

    Args:
        operation_id: Its id.
        timestamp: Epoch seconds.
        outcome: The outcome that the backend knows.
        streams_errors: Whether the full text of its error is shown.
    """
    envelope: dict[str, Any] = {
        "operation_id": operation_id,
        "run": BACKEND_RUN,
        "timestamp": timestamp,
        "inferred": True,
    }
    return _ends(outcome, envelope, streams_result=True, streams_errors=streams_errors)


def _ends(
    outcome: Outcome,
    envelope: dict[str, Any],
    *,
    streams_result: bool,
    streams_errors: bool,
    took: float | UnsetType = UNSET,
) -> list[Event]:
    if outcome.end != "completed":
        error = ErrorData(
            error=outcome.visible_error(full=streams_errors),
            error_type=outcome.error_type,
            status=outcome.end,
            duration=took,
        )
        return [Error(data=error, **envelope)]
    completed = CompletedData(status="completed", duration=took)
    events: list[Event] = [Completed(data=completed, **envelope)]
    if streams_result:
        value, truncated = jsonable.to_result(outcome.result)
        data = ResultData(result=value, truncated=truncated or UNSET)
        events.insert(0, Result(data=data, **envelope))
    return events


def _duration(silence: SilentRun) -> float | UnsetType:
    """Return the seconds that the run took; UNSET if unknown.

    Up to its last sign of life by its own clock, from then on by ours: the two may differ by hours,
    so no time of the one is subtracted from one of the other.
    """
    started, spoke = silence.operation.started_at, silence.run.last_seen_at
    if started is None or spoke < started:
        return UNSET
    return round(spoke - started + silence.seconds, 3)


def _no_sign(silence: SilentRun) -> str:
    worker = silence.operation.worker
    who = f"its worker {worker}" if worker else "the process that owns it"
    return f"no sign of {who} for {silence.seconds:.0f} seconds"


def _envelope(silence: SilentRun) -> dict[str, Any]:
    return {
        "operation_id": silence.operation.operation_id,
        # Of a message in its queue there is no run yet.
        "run": silence.run.id or BACKEND_RUN,
        "timestamp": silence.timestamp,
        "inferred": True,
    }
