"""What a sidecar concludes of an operation, as the events it appends to the log.

Pure: times are passed in. Each is marked as ``inferred``; the fold decides what of it holds
(:mod:`celery_wsprogress.lifecycle`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from celery_wsprogress import rendering
from celery_wsprogress.events import (
    OWNER_LOST,
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
    from celery_wsprogress.events import Event
    from celery_wsprogress.folding import Operation
    from celery_wsprogress.results import Outcome

BACKEND_RUN: Final = "backend"
"""The run of an operation of which nothing is known but what the result backend says."""


def stalled(operation: Operation, now: float, silence: float) -> Event:
    """Nothing has been heard of the current run for so many seconds."""
    message = f"no sign of {_who(operation)} for {silence:.0f} seconds"
    data = StatusData(status=STALLED, message=message, details={"silence": round(silence, 1)})
    return Status(data=data, **_envelope(operation, now))


def lost(operation: Operation, now: float, silence: float) -> Event:
    """The current run is given up."""
    data = ErrorData(
        error=f"no sign of {_who(operation)} for {silence:.0f} seconds",
        error_type=WORKER_LOST if operation.worker else OWNER_LOST,
        status="error",
    )
    return Error(data=data, **_envelope(operation, now))


def told(operation: Operation, now: float, outcome: Outcome) -> list[Event]:
    """How the current run ended, as the result backend says."""
    return _ends(outcome, _envelope(operation, now), streams_result=operation.streams_result)


def answered(operation_id: str, now: float, outcome: Outcome) -> list[Event]:
    """How an operation ended that nobody has heard of, as the result backend says."""
    envelope: dict[str, Any] = {
        "operation_id": operation_id,
        "run": BACKEND_RUN,
        "timestamp": now,
        "inferred": True,
    }
    return _ends(outcome, envelope, streams_result=True)


def _ends(outcome: Outcome, envelope: dict[str, Any], *, streams_result: bool) -> list[Event]:
    if outcome.end != "completed":
        error = ErrorData(error=outcome.error, error_type=outcome.error_type, status=outcome.end)
        return [Error(data=error, **envelope)]
    events: list[Event] = [Completed(data=CompletedData(status="completed"), **envelope)]
    if streams_result:
        value, truncated = rendering.result(outcome.result)
        data = ResultData(result=value, truncated=truncated or UNSET)
        events.insert(0, Result(data=data, **envelope))
    return events


def _who(operation: Operation) -> str:
    return f"its worker {operation.worker}" if operation.worker else "the process that owns it"


def _envelope(operation: Operation, now: float) -> dict[str, Any]:
    return {
        "operation_id": operation.operation_id,
        "run": operation.run.id if operation.run else "",
        "timestamp": now,
        "inferred": True,
    }
