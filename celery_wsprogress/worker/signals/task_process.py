"""Handlers in the process, thread or greenlet that runs a task: its start and its end."""

from __future__ import annotations

import sys
import time
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

from celery import states

from celery_wsprogress.brokers import result_backend
from celery_wsprogress.protocol.events import REVOKED
from celery_wsprogress.worker import context
from celery_wsprogress.worker.cancel.task_cancelled import TaskCancelled
from celery_wsprogress.worker.logs import runs as logs
from celery_wsprogress.worker.plans import continuation
from celery_wsprogress.worker.policies import (
    policy_of,
    publishing_for,
    run_of,
    run_options_of,
    streams_errors,
    streams_result,
    with_exposed_arguments,
)
from celery_wsprogress.worker.publishing import encoded_events
from celery_wsprogress.worker.publishing.lookups import Lookup
from celery_wsprogress.worker.publishing.queue_entries import LazyEvent
from celery_wsprogress.worker.run_info import HEADER, MIRROR, NextAttempt, RunInfo, read_header
from celery_wsprogress.worker.signals import (
    cancelled_runs,
    eager_runs,
    map_tasks,
    messages,
    run_tracker,
)
from celery_wsprogress.worker.signals.backend_outcome import events_from_backend
from celery_wsprogress.worker.trace_context import with_trace
from celery_wsprogress.worker.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    from celery_wsprogress.worker.publishing.queue_entries import EncodedEvent

#: The run that ended last here: an internal error of Celery is signalled after its end.
_last_tracker: ContextVar[Tracker | None] = ContextVar("celery_wsprogress.last", default=None)


def started(
    task_id: Any = None, task: Any = None, args: Any = (), kwargs: Any = None, **_: Any
) -> None:
    """Make the run's tracker the current one, and publish ``started``.

    An eager run that is not published has a tracker, too, so that its reports are not taken for
    those of the enclosing task.
    """
    request = task.request
    if request.is_eager:
        _start_eagerly(task_id, task, args, kwargs)
        return
    continuation.begin(request)
    header = read_header(request)
    publishing = publishing_for(task, header)
    if publishing is None:
        return
    run, publisher = with_trace(run_of(task, request), request), publishing.publisher
    options = run_options_of(task, header)
    tracker = run_tracker.make(task, kwargs, run, publisher, options)
    run_tracker.enter(task, kwargs, tracker)
    make = partial(encoded_events.started, run, time.time(), **options)
    publisher.emit((LazyEvent(make),))
    if publishing.settings.flower and header.get(MIRROR):
        publishing.flower_mirror.add(tracker)


def _start_eagerly(task_id: Any, task: Any, args: Any, kwargs: Any) -> None:
    outer, headers = context.current_tracker.get(), eager_runs.headers_of(task.request)
    header = map_tasks.header_for(task, kwargs, read_header(headers))
    publishing = publishing_for(task, header)
    if publishing is None or not publishing.publishes_eager:
        if publishing is not None or outer is not None:
            unpublished = RunInfo(operation_id=str(task_id), operation_type=task.name)
            full = streams_errors(task, header)
            run_tracker.enter(task, kwargs, Tracker(unpublished, None, outer, streams_errors=full))
        return
    shown = with_exposed_arguments(task, read_header(headers), args, kwargs or {})
    run, timestamp = with_trace(run_of(task, {**headers, HEADER: shown}), headers), time.time()
    publisher = publishing.publisher
    options = run_options_of(task, header)
    # There is no message to be acknowledged.
    options["acks_late"] = False
    run_tracker.enter(
        task, kwargs, run_tracker.make(task, kwargs, run, publisher, options, outer=outer)
    )
    make = partial(encoded_events.started, run, timestamp, **options)
    publishing.eager_runs.give_heartbeats_to(publishing.publisher)
    publishing.eager_runs.begin(run, timestamp, make)
    publisher.emit((LazyEvent(make),))


def succeeded(sender: Any = None, result: Any = None, **_: Any) -> None:
    """Publish ``result``, where the policy allows it, and ``completed``."""
    # Of a plain task that is all, and costs it next to nothing.
    tracker = context.current_tracker.get() and _tracker_of(sender.request.id)
    if tracker is None or tracker.sink is None:
        return
    logs.finish(tracker)
    run, timestamp = tracker.run, time.time()
    end = LazyEvent(partial(encoded_events.completed, run, timestamp, tracker.duration))
    if not _streams_result(sender):
        tracker.end(end)
    elif result is None:
        # There is nothing to render, or to change.
        tracker.end(LazyEvent(partial(encoded_events.result, run, timestamp, None)), end)
    else:
        shown = result if tracker.redactor is None else tracker.redactor.result(result)
        tracker.end(encoded_events.result(run, timestamp, shown), end)


def failed(
    sender: Any = None,
    task_id: Any = None,
    exception: Any = None,
    traceback: Any = None,
    **_: Any,
) -> bool:
    """Publish ``error``. False when this process does not run the task."""
    tracker = _tracker_of(task_id)
    if tracker is not None:
        if tracker.streams_errors and policy_of(sender).streams_tracebacks:
            tracker.log("error", messages.TRACEBACK, traceback=messages.traceback(traceback))
        _fail(tracker, *result_backend.describe_failure(exception, full=tracker.streams_errors))
    return tracker is not None


def retried(sender: Any = None, request: Any = None, reason: Any = None, **_: Any) -> bool:
    """Publish ``retrying``. False when this process does not run the task."""
    tracker = _tracker_of(request.id)
    if tracker is not None:
        logs.finish(tracker)
        message, retry_in = messages.retry(reason, full=tracker.streams_errors)
        following = NextAttempt(retry_in, tracker.retry_starts_at, _max_attempts(sender, tracker))
        tracker.end(encoded_events.retrying(tracker.run, time.time(), message, following))
    return tracker is not None


def _max_attempts(task: Any, tracker: Tracker) -> int | None:
    """Return the maximum number of attempts; None if unlimited or unknown."""
    limit = tracker.max_retries
    # Set by a `retry(max_retries=…)` of this or an earlier run (celery/app/task.py, 5.7).
    if limit is None and not hasattr(task, "override_max_retries"):
        limit = task.max_retries
    return limit + 1 if isinstance(limit, int) and limit >= 0 else None


def postrun(
    task_id: Any = None,
    task: Any = None,
    kwargs: Any = None,
    retval: Any = None,
    state: Any = None,
    **_: Any,
) -> Tracker | None:
    """Leave the run, and publish the ends that have no signal of their own.

    Returns:
        The tracker, if this process cannot know the end.
    """
    tracker = _tracker_of(task_id)
    if isinstance(retval, TaskCancelled) and state == states.IGNORED:
        _cancel(tracker, task, retval)
    if tracker is None:
        return None
    if isinstance(tracker, map_tasks.MapTracker):
        tracker.give_back(kwargs)
    if task.request.is_eager and tracker.sink is not None:
        _finish_eagerly(tracker, task, state)
    run_tracker.leave(tracker)
    _last_tracker.set(tracker)
    if tracker.ended or tracker.sink is None:
        return None
    if state == states.IGNORED:
        _ignore(tracker, task, retval)
    elif state == states.REJECTED:
        _reject(tracker, task, retval)
    return tracker if state is None else None


def _finish_eagerly(tracker: Tracker, task: Any, state: Any) -> None:
    """An exception that goes on to the caller has no signal, and leaves no state."""
    policy_of(task).publishing.eager_runs.end(tracker.run)
    exception = sys.exc_info()[1]
    if state is None and exception is not None:
        error, error_type = result_backend.describe_failure(exception, full=tracker.streams_errors)
        cancelled = isinstance(exception, eager_runs.CANCELLED)
        _fail(tracker, error, error_type, "cancelled" if cancelled else "error")


def _streams_result(task: Any) -> bool:
    """Return :func:`.policies.streams_result` of the run that ends."""
    request = task.request
    if not request.is_eager:
        return streams_result(task, read_header(request))
    return streams_result(task, map_tasks.header_for(task, request.kwargs, {}))


def internal_error(
    sender: Any = None, task_id: Any = None, request: Any = None, exception: Any = None, **_: Any
) -> None:
    """Publish ``error``: Celery itself failed, for instance because it could not store a result."""
    request = request or {"id": task_id}
    publishing = publishing_for(sender, read_header(request))
    if publishing is None or request.get("is_eager"):
        return
    full = streams_errors(sender, read_header(request))
    error, error_type = result_backend.describe_failure(exception, full=full)
    tracker = _last_tracker.get()
    if tracker is not None and tracker.run.run_id == read_header(request).get("run"):
        _fail(tracker, error, error_type)
    else:
        run = RunInfo.from_request(request, sender.name)
        publishing.publisher.emit((encoded_events.failed(run, time.time(), error, error_type),))


def _tracker_of(task_id: Any) -> Tracker | None:
    # Not only the innermost: the task may have left an operation of its own open.
    return context.find_tracker(str(task_id))


def _fail(
    tracker: Tracker,
    error: str,
    error_type: str,
    status: Literal["error", "cancelled"] = "error",
) -> None:
    logs.finish(tracker)
    run, timestamp, duration = tracker.run, time.time(), tracker.duration
    tracker.end(
        encoded_events.failed(run, timestamp, error, error_type, status=status, duration=duration)
    )


def _ignore(tracker: Tracker, task: Any, ignore: Any) -> None:
    """Publish the end of a task that raised ``Ignore``, as the backend has it."""
    if tracker.replaced or ignore.args[:1] == ("Replaced by new task",):
        # Its successor has the same id and goes on.
        tracker.replace()
        tracker.mark_ended()
        return
    run, timestamp, duration = tracker.run, time.time(), tracker.duration
    tracker.mark_ended()

    def ignored() -> Sequence[EncodedEvent]:
        return (encoded_events.completed(run, timestamp, duration, ignored=True),)

    ask = partial(
        events_from_backend,
        task,
        run,
        timestamp,
        ignored,
        streams_result=_streams_result(task),
        streams_errors=tracker.streams_errors,
        duration=duration,
    )
    policy_of(task).publishing.publisher.look_up(Lookup(ask, ignored), after=tracker.slot)


def _cancel(tracker: Tracker | None, task: Any, exception: TaskCancelled) -> None:
    """Publish the end of a task that was cancelled, once the result backend has it."""
    error = cancelled_runs.store_revoked(task, exception)
    if tracker is not None:
        _fail(tracker, error, REVOKED, "cancelled")


def _reject(tracker: Tracker, task: Any, reject: Any) -> None:
    """Publish the end of a task that rejected its message, discarded or requeued."""
    error, error_type = messages.rejection(reject, full=tracker.streams_errors)
    # What was acknowledged early cannot go back.
    if reject.requeue and task.acks_late:
        message = f"back in its queue; {error}"
        tracker.end(encoded_events.retrying(tracker.run, time.time(), message))
    else:
        _fail(tracker, error, error_type)
