"""Handlers in the worker's main process: received messages, and ends that no child can publish.

In pools of threads or greenlets, and in the solo pool, the tasks run in this process, too.
"""

from __future__ import annotations

import time
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from celery.exceptions import Reject

from celery_wsprogress.brokers import result_backend
from celery_wsprogress.worker.apps import publishing_of
from celery_wsprogress.worker.cancel import table
from celery_wsprogress.worker.mirror.event_sender import sends_events
from celery_wsprogress.worker.policies import (
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
from celery_wsprogress.worker.run_info import (
    HEADER,
    MIRROR,
    NextAttempt,
    RunInfo,
    new_id,
    read_header,
)
from celery_wsprogress.worker.signals import (
    map_tasks,
    messages,
    received_requests,
    revoke_commands,
    run_ends,
    successors,
)
from celery_wsprogress.worker.signals.active_runs import ActiveRuns
from celery_wsprogress.worker.signals.backend_outcome import events_from_backend
from celery_wsprogress.worker.signals.patches import with_callback
from celery_wsprogress.worker.signals.queue_names import queue_of
from celery_wsprogress.worker.signals.terminations import Termination, Terminations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celery_wsprogress.worker.apps import AppPublishing
    from celery_wsprogress.worker.publishing.queue_entries import EncodedEvent

_terminations = Terminations()


def received(request: Any = None, **_: Any) -> None:
    """Give the run its id, and publish ``received``."""
    headers = request.request_dict
    header = map_tasks.header_for(request.task, request.kwargs, read_header(headers))
    publishing = publishing_for(request.task, header)
    if publishing is None:
        if successors.has_some(request):
            received_requests.known.add(request)
        return
    # A new value: the old one belongs to the message, which may be delivered again.
    delivery = request.delivery_info
    queue = queue_of(
        request.task.app, delivery.get("exchange"), delivery.get("routing_key"), consumed=True
    )
    header = with_exposed_arguments(request.task, header, request.args, request.kwargs)
    headers[HEADER] = {**header, "run": new_id(), "queue": queue}
    if publishing.settings.flower:
        headers[HEADER][MIRROR] = sends_events(request)
    received_requests.known.add(request)
    publisher = publishing.publisher
    if not isinstance(publisher.heartbeat_source, ActiveRuns):
        publisher.heartbeat_source = _active_runs(publishing)
    make = partial(_receipt, request.task, headers, time.time())
    publisher.emit((LazyEvent(make),))


def _active_runs(publishing: AppPublishing) -> ActiveRuns:
    return ActiveRuns(publishing, received_requests.known, _terminations)


def _receipt(task: Any, headers: Any, timestamp: float) -> EncodedEvent:
    run = run_of(task, headers)
    return encoded_events.received(run, timestamp, **run_options_of(task, read_header(headers)))


def failed(sender: Any = None, task_id: Any = None, exception: Any = None, **_: Any) -> None:
    """Publish the end of a run whose process was lost, or exceeded its time limit.

    The task may have stored its result before: most backends keep it (celery/backends/base.py,
    ``_store_result``), but the signal comes all the same, before Celery 5.7 of every lost process.
    """
    # The process of the task publishes a rejection, after the task's own events.
    if isinstance(exception, Reject):
        return
    request = request_of(sender, task_id) or {"id": task_id}
    run = RunInfo.from_request(request, sender.name)
    full = streams_errors(sender, read_header(request))
    error, error_type = result_backend.describe_failure(exception, full=full)
    end = encoded_events.failed(run, time.time(), error, error_type)
    run_ends.publish_from_backend(sender, request, run, end)


def request_of(task: Any, task_id: Any) -> Any:
    """Return Celery's request of a task that failed; None if it was collected."""
    request = task.request
    if request.id == task_id:
        return request
    found = received_requests.known.get(task_id)
    # With what its message holds besides: the chain that waits for it.
    return None if found is None else found._context  # noqa: SLF001 - as Celery's own handlers


def retried(sender: Any = None, request: Any = None, reason: Any = None, **_: Any) -> None:
    """Publish the end of a run that the worker gives up: a lost child, or a cold shutdown.

    At a cold shutdown Celery signals a retry of every active task, but a message that was
    acknowledged early has left its queue, and never runs again.
    """
    run, timestamp = RunInfo.from_request(request, sender.name), time.time()
    found = received_requests.known.get(request.id)
    if reason is not None or (found is not None and not found.acknowledged):
        full = streams_errors(sender, read_header(request))
        message, retry_in = messages.retry(reason, full=full)
        following = NextAttempt(retry_in)
        end = encoded_events.retrying(run, timestamp, message, following)
    else:
        end = encoded_events.failed(run, timestamp, *messages.shutdown(), status="cancelled")
    run_ends.publish(sender, request, run, end)


def revoked(
    sender: Any = None,
    request: Any = None,
    terminated: Any = None,
    signum: Any = None,
    expired: Any = None,
    **_: Any,
) -> None:
    """Publish the end of a run that was revoked or has expired.

    A run whose process was sent a signal has not ended yet: see :mod:`.terminations`.
    """
    run = RunInfo.from_request(request, sender.name)
    error, error_type = messages.revocation(
        signum,
        terminated=terminated,
        expired=expired,
        reason=revoke_commands.reason_for(request.id),
    )
    end = partial(
        encoded_events.failed, run, error=error, error_type=error_type, status="cancelled"
    )
    publishing = publishing_for(sender, read_header(request))
    received_request = received_requests.known.get(request.id)
    if (
        not terminated
        or received_request is None
        or publishing is None
        or run.run_id in run_ends.published
    ):
        run_ends.publish(sender, request, run, end(time.time()))
        return

    def report_end() -> None:
        run_ends.publish_from_backend(sender, request, run, end(time.time()), revoked=error)

    def report_terminating() -> None:
        message = messages.termination(signum)
        event = encoded_events.status(run, time.time(), "terminating", message, {})
        publishing.publisher.emit((event,))

    active = _active_runs(publishing).find(received_request)
    if active is None or not _terminations.add(
        Termination(received_request, active, report_end, report_terminating)
    ):
        run_ends.publish(sender, request, run, end(time.time()))


def patch_worker(**_: Any) -> None:
    """Add callbacks where a worker sends no signal, before it receives its first message.

    It has not forked its pool yet, which will read the table of cancelled tasks.

    Since Celery 5.7 the result backend has tasks as revoked at once while they wait for their
    ``eta`` or for the pool; the signal comes when it is their turn (celery/worker/control.py). A
    message that cannot be decoded has no signal.
    """
    commands = import_module("celery.worker.control").Panel.data
    table.renew()
    for name in revoke_commands.COMMANDS:
        # A pool that cannot terminate a task raises an exception.
        commands[name] = with_callback(
            commands[name],
            _revoked_by_command,
            first=revoke_commands.remember_reasons,
            after_errors=True,
        )
    consumer = import_module("celery.worker.consumer.consumer").Consumer
    consumer.on_decode_error = with_callback(consumer.on_decode_error, _undecodable)


def _revoked_by_command(*arguments: Any, **named: Any) -> None:
    revoke_commands.mark_revoked(*arguments, **named)
    _look_up_revoked()


def _look_up_revoked() -> None:
    revoked_ids = import_module("celery.worker.state").revoked
    for request in received_requests.known:
        publishing = publishing_for(request.task, read_header(request.request_dict))
        # What the pool has already is run, or has its signal: see revoked(). A solo pool has no
        # result of it.
        waits = request._apply_result is None and request.time_start is None  # noqa: SLF001 - nothing public tells it
        if waits and request.id in revoked_ids and publishing is not None:
            ask = partial(_revoked_in_backend, request.task, request.request_dict)
            publishing.publisher.look_up(Lookup(ask, tuple))


def _revoked_in_backend(task: Any, headers: Any) -> Sequence[EncodedEvent]:
    run = RunInfo.from_request(headers, task.name)
    if run.run_id in run_ends.published:
        return ()
    header = read_header(headers)
    found = events_from_backend(
        task,
        run,
        time.time(),
        tuple,
        streams_result=streams_result(task, header),
        streams_errors=streams_errors(task, header),
    )
    if found:
        run_ends.published.append(run.run_id)
    return found


def unknown(sender: Any = None, message: Any = None, name: Any = None, **_: Any) -> None:
    """Publish the end of a task that this worker does not know; its message is discarded."""
    _publish_discarded(sender, message, *messages.unknown(name))


def rejected(sender: Any = None, message: Any = None, exc: Any = None, **_: Any) -> None:
    """Publish the end of a task whose message this worker cannot read, and discards."""
    _publish_discarded(sender, message, *messages.unreadable(exc))


def _undecodable(consumer: Any, message: Any, exc: Any) -> None:
    _publish_discarded(consumer, message, *messages.unreadable(exc))


def _publish_discarded(consumer: Any, message: Any, error: str, error_type: str) -> None:
    """Publish the end of a message without a request, if its caller published ``queued``."""
    headers = getattr(message, "headers", None)
    if not isinstance(headers, dict) or not read_header(headers).get("publication"):
        return
    publishing = publishing_of(consumer.app)
    if publishing.settings.enabled and headers.get("id"):
        run = RunInfo.from_request(
            {**headers, "hostname": consumer.hostname}, str(headers.get("task") or "")
        )
        publishing.publisher.emit((encoded_events.failed(run, time.time(), error, error_type),))
