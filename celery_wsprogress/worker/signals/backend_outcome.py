"""The events of a run's end, read from the result backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery_wsprogress.brokers import result_backend
from celery_wsprogress.worker.policies import policy_of
from celery_wsprogress.worker.publishing import encoded_events

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from celery_wsprogress.worker.publishing.queue_entries import EncodedEvent
    from celery_wsprogress.worker.run_info import RunInfo


def events_from_backend(
    task: Any,
    run: RunInfo,
    timestamp: float,
    otherwise: Callable[[], Sequence[EncodedEvent]],
    *,
    streams_result: bool,
    streams_errors: bool,
    duration: float | None = None,
    revoked: str = "",
) -> Sequence[EncodedEvent]:
    """Ask the task's result backend how the run ended. Blocks as long as that does.

    Args:
        task: The task, bound to its app.
        run: The run.
        timestamp: The time of the end, epoch seconds.
        otherwise: Returns the events if the backend knows no end, or cannot be asked.
        streams_result: Whether events may contain the task's result.
        streams_errors: Whether events may contain the text of its error.
        duration: Seconds since the start, where known.
        revoked: The error of a revoked run, if it is better known than in the backend.
    """
    try:
        outcome = result_backend.fetch_outcome(task.backend, run.operation_id)
    except Exception:  # noqa: BLE001 - whatever the backend raises; there may be none at all
        outcome = None
    if outcome is None:
        return otherwise()
    if outcome.end != "completed":
        error, error_type = outcome.visible_error(full=streams_errors), outcome.error_type
        if outcome.end == "cancelled":
            error = revoked or error
        end = encoded_events.failed(
            run, timestamp, error, error_type, status=outcome.end, duration=duration
        )
        return (end,)
    completed = encoded_events.completed(run, timestamp, duration)
    if not streams_result:
        return (completed,)
    result, redactor = outcome.result, policy_of(task).redactor
    shown = result if redactor is None else redactor.result(result)
    return encoded_events.result(run, timestamp, shown), completed
