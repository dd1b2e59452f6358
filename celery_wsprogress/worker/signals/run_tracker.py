"""The tracker of a run in the context that runs it: how it is made, entered and left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery_wsprogress.worker import context
from celery_wsprogress.worker.capture.block import capture_run
from celery_wsprogress.worker.logs import runs as logs
from celery_wsprogress.worker.policies import policy_of
from celery_wsprogress.worker.signals import map_tasks

if TYPE_CHECKING:
    from celery_wsprogress.worker.policies import TaskPolicy
    from celery_wsprogress.worker.publishing.encoded_events import RunOptions
    from celery_wsprogress.worker.publishing.publisher import Publisher
    from celery_wsprogress.worker.run_info import RunInfo
    from celery_wsprogress.worker.tracker import Tracker


def make(
    task: Any,
    kwargs: Any,
    run: RunInfo,
    publisher: Publisher,
    options: RunOptions,
    *,
    outer: Tracker | None = None,
) -> Tracker:
    """Return the tracker of a run that is published.

    Args:
        task: The task, bound to its app.
        kwargs: Its arguments; the items of a map are counted as they are taken.
        run: The run.
        publisher: Receives its events.
        options: What its events may contain.
        outer: The tracker of the enclosing run (of an eager ``apply``).
    """
    cls, redactor = map_tasks.tracker_class(task, kwargs), _policy(task, kwargs).redactor
    full = options["stream_errors"]
    tracker = cls(run, publisher, outer, streams_errors=full, redactor=redactor)
    if isinstance(tracker, map_tasks.MapTracker):
        tracker.count(kwargs["it"], kwargs)
    if policy_of(task).publishing.settings.capture_tqdm:
        capture_run(tracker)
    return tracker


def enter(task: Any, kwargs: Any, tracker: Tracker) -> None:
    """Make it the current one of the context, and stream the lines of the task."""
    context.enter(tracker)
    policy = _policy(task, kwargs)
    logs.begin(tracker, policy.logs, streams_tracebacks=policy.streams_tracebacks)


def leave(tracker: Tracker) -> None:
    """Make the one of the enclosing run the current one again."""
    logs.leave(tracker)
    context.leave(tracker)


def _policy(task: Any, kwargs: Any) -> TaskPolicy:
    """Return the policy of a task, or of the one that it calls for each item of a map."""
    return policy_of(map_tasks.called_task(task, kwargs) or task)
