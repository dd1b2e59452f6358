"""The ends of tasks that end together with the worker's main process.

In pools of threads or greenlets, and in the solo pool, a task may end its process, too.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from celery.exceptions import WorkerShutdown, WorkerTerminate

from celery_wsprogress.brokers import result_backend
from celery_wsprogress.worker.policies import policy_of, publishing_for
from celery_wsprogress.worker.publishing import encoded_events
from celery_wsprogress.worker.run_info import RunInfo, read_header
from celery_wsprogress.worker.signals import messages, received_requests, run_ends
from celery_wsprogress.worker.signals.active_runs import ActiveRuns, copy_of_changing_set

if TYPE_CHECKING:
    from celery_wsprogress.worker.apps import AppPublishing
    from celery_wsprogress.worker.tracker import Tracker

#: Requests whose code was left, and whose end is not published yet, by run id.
_abandoned: dict[str, Any] = {}


def shutting_down(how: Any = None, **_: Any) -> None:
    """Publish ``retrying`` of the tasks that a cold shutdown cancels and the broker redelivers.

    Celery sends no signal for messages that are acknowledged late
    (celery/worker/consumer/consumer.py, ``cancel_active_requests``).
    """
    if how != "Cold":
        return
    for request in received_requests.known:
        if request._already_cancelled and not request.acknowledged:  # noqa: SLF001 - nobody else knows
            _publish_requeued(request)


def _publish_requeued(request: Any) -> None:
    run = RunInfo.from_request(request.request_dict, request.task.name)
    end = encoded_events.retrying(run, time.time(), messages.retry(None, full=False)[0])
    run_ends.publish(request.task, request.request_dict, run, end)


def record_abandoned(task: Any, tracker: Tracker) -> None:
    """A task's code was left by what is no error: a program's exit, or its greenlet was killed.

    In the pools whose tasks run in this process Celery says nothing of the first
    (celery/concurrency/base.py, ``apply_target``). The second is told by whoever killed it, if he
    gets that far: a greenlet cannot be waited for in a handler of a signal. Of a pool process the
    main process hears.
    """
    if not _is_main(policy_of(task).publishing):
        return
    run, exception = tracker.run, sys.exc_info()[1]
    stops = isinstance(exception, (WorkerShutdown, WorkerTerminate))
    if isinstance(exception, (SystemExit, KeyboardInterrupt)) and not stops:
        error, error_type = result_backend.describe_failure(exception, full=tracker.streams_errors)
        run_ends.published.append(run.run_id)
        end = encoded_events.failed(run, time.time(), error, error_type, duration=tracker.duration)
        tracker.end(end)
        return
    for known in [known for known in _abandoned if known in run_ends.published]:
        del _abandoned[known]
    request = received_requests.known.get(run.operation_id)
    if request is not None:
        _abandoned[run.run_id] = request


def worker_ended() -> None:
    """Publish the ends of tasks that are still active when the worker's main process ends."""
    state = sys.modules.get("celery.worker.state")
    if state is None:
        return
    for request in {*_abandoned.values(), *copy_of_changing_set(state.active_requests)}:
        header = read_header(request.request_dict)
        publishing = publishing_for(request.task, header)
        if publishing is None or not _is_main(publishing) or not header.get("run"):
            continue
        if request.acknowledged:
            _publish_lost(request)
        else:
            _publish_requeued(request)


def _publish_lost(request: Any) -> None:
    run = RunInfo.from_request(request.request_dict, request.task.name)
    end = encoded_events.failed(run, time.time(), *messages.shutdown(), status="cancelled")
    run_ends.publish_from_backend(request.task, request.request_dict, run, end)


def _is_main(publishing: AppPublishing) -> bool:
    """Whether this is the main process of a worker; a pool process is none, nor a task's child."""
    return isinstance(publishing.publisher.heartbeat_source, ActiveRuns)
