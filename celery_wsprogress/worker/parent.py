"""In the worker's main process: what arrives, and the ends that no child can tell any more.

In pools of threads or greenlets, and in the solo pool, the tasks run in this process, too.
"""

from __future__ import annotations

import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from celery.exceptions import Reject

from celery_wsprogress import results
from celery_wsprogress.worker import maps, reports, successors, wording
from celery_wsprogress.worker.active import ActiveRuns
from celery_wsprogress.worker.apps import reporting_for, streams_result
from celery_wsprogress.worker.reports import Draft
from celery_wsprogress.worker.requests import Requests
from celery_wsprogress.worker.runs import STAMP, Run, mint, stamp_of

if TYPE_CHECKING:
    from celery_wsprogress.worker.reports import Report

_requests = Requests()

#: Runs whose end was said here: a hard time limit is signalled twice.
_ended: deque[str] = deque(maxlen=1_000)


def received(request: Any = None, **_: Any) -> None:
    """Give the run its id, and say that a worker has it."""
    headers = request.request_dict
    stamp = maps.stamp_for(request.task, request.kwargs, stamp_of(headers))
    reporting = reporting_for(request.task, stamp)
    if reporting is None:
        if successors.has_some(request):
            _requests.add(request)
        return
    # A new value: the old one belongs to the message, which may be delivered again.
    headers[STAMP] = {**stamp, "run": mint()}
    _requests.add(request)
    publisher = reporting.publisher
    if not isinstance(publisher.witness, ActiveRuns):
        publisher.vouch(ActiveRuns(reporting, _requests))
    make = partial(_receipt, request.task, headers, time.time())
    publisher.emit((Draft(make),))


def _receipt(task: Any, headers: Any, now: float) -> Report:
    run = Run.of(headers, task.name)
    streams, late = streams_result(task, stamp_of(headers)), bool(task.acks_late)
    return reports.received(run, now, stream_result=streams, acks_late=late)


def failed(sender: Any = None, task_id: Any = None, exception: Any = None, **_: Any) -> None:
    """A lost worker, or a time limit.

    A rejection is said by the process of the task, behind all that the task had to say.
    """
    if isinstance(exception, Reject):
        return
    request = request_of(sender, task_id) or {"id": task_id}
    run = Run.of(request, sender.name)
    error, error_type = results.failure(exception)
    _end(sender, request, run, reports.failed(run, time.time(), error, error_type))


def request_of(task: Any, task_id: Any) -> Any:
    """Celery's request of a task that failed; None where it is gone."""
    request = task.request
    if request.id == task_id:
        return request
    found = _requests.get(task_id)
    # With what its message holds besides: the chain that waits for it.
    return None if found is None else found._context  # noqa: SLF001 - as Celery's own handlers


def shutting_down(how: Any = None, **_: Any) -> None:
    """A cold shutdown has just cancelled what runs.

    Of a message that is acknowledged late Celery says nothing then, since the broker delivers it
    again (celery/worker/consumer/consumer.py, ``cancel_active_requests``).
    """
    if how != "Cold":
        return
    for request in _requests:
        if request._already_cancelled and not request.acknowledged:  # noqa: SLF001 - nobody else knows
            _give_back(request)


def _give_back(request: Any) -> None:
    run = Run.of(request.request_dict, request.task.name)
    end = reports.retrying(run, time.time(), *wording.retry(None))
    _end(request.task, request.request_dict, run, end)


def retried(sender: Any = None, request: Any = None, reason: Any = None, **_: Any) -> None:
    """A run that the worker gives up: its child was lost, or it shuts down coldly.

    At a cold shutdown Celery says "retry" of every task that ran, but a message that was
    acknowledged early has left its queue: nobody will run that one again.
    """
    run, now = Run.of(request, sender.name), time.time()
    found = _requests.get(request.id)
    if reason is not None or (found is not None and not found.acknowledged):
        message, retry_in = wording.retry(reason)
        end = reports.retrying(run, now, message, retry_in)
    else:
        end = reports.failed(run, now, *wording.shutdown(), status="cancelled")
    _end(sender, request, run, end)


def revoked(
    sender: Any = None,
    request: Any = None,
    terminated: Any = None,
    signum: Any = None,
    expired: Any = None,
    **_: Any,
) -> None:
    """Called off, at whatever point of its life; or expired."""
    run = Run.of(request, sender.name)
    said, kind = wording.revocation(signum, terminated=terminated, expired=expired)
    end = reports.failed(run, time.time(), said, kind, status="cancelled")
    _end(sender, request, run, end)


def _end(task: Any, request: Any, run: Run, end: Report) -> None:
    reporting = reporting_for(task, stamp_of(request))
    if reporting is not None and run.run not in _ended:
        _ended.append(run.run)
        reporting.publisher.emit((end,))
