"""Handlers in the process that publishes a task: a web process, a script, beat, or another task.

They add our header to the message, and publish ``queued`` once the broker has it.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

from celery.canvas import _chain, _chord

from celery_wsprogress.guard import call_safely
from celery_wsprogress.protocol import jsonable
from celery_wsprogress.worker import context
from celery_wsprogress.worker.apps import publishing_of
from celery_wsprogress.worker.plans.hooks import canvas_sent
from celery_wsprogress.worker.plans.start_request import pending_start
from celery_wsprogress.worker.policies import policy_of
from celery_wsprogress.worker.publishing import encoded_events
from celery_wsprogress.worker.publishing.queue_entries import LazyEvent
from celery_wsprogress.worker.run_info import (
    FOLLOW,
    HEADER,
    WITHHOLD_ERRORS,
    WORKFLOW,
    RunInfo,
    new_id,
    read_header,
    time_of,
)
from celery_wsprogress.worker.sending_apps import app_publishing, sending_app
from celery_wsprogress.worker.signals import successors
from celery_wsprogress.worker.signals.map_tasks import called_by
from celery_wsprogress.worker.signals.queue_names import name_of, queue_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery_wsprogress.worker.apps import AppPublishing
    from celery_wsprogress.worker.plans.canvas import Canvas
    from celery_wsprogress.worker.publishing.queue_entries import QueueEntry
    from celery_wsprogress.worker.tracker import Tracker


#: The id of the message that is being published, the name of its queue, if Celery passes it, and
#: its canvas.
_routed: ContextVar[tuple[Any, str, Canvas | None]] = ContextVar(
    "celery_wsprogress.routed", default=(None, "", None)
)


def before_publish(  # noqa: PLR0917 - as Celery names them
    sender: Any = None,
    headers: Any = None,
    body: Any = None,
    exchange: Any = None,
    routing_key: Any = None,
    declare: Any = None,
    **_: Any,
) -> None:
    """Add a publication id to the message's header, beside the caller's values."""
    if not _has_protocol_2(headers):
        return
    canvas = _canvas_of(sender, headers, body)
    _routed.set((headers["id"], _declared(declare, exchange, routing_key), canvas))
    header = _header_of(headers, canvas)
    _notice_replacement(body)
    replaced = _replaced_tracker(sender, headers)
    if replaced is not None:
        replaced.replaced = True
        header = {**replacement_header(replaced), **header}
    if header.get("follow") or _publishing_of(sender, header, body) is not None:
        # A new value: the old one may be a constant of the caller's or, when a task is
        # retried, its request.
        headers[HEADER] = {
            **_sanitized_header(_redacted(sender, header)),
            "publication": new_id(),
            **_retry_header(headers),
        }


def _canvas_of(sender: Any, headers: Any, body: Any) -> Canvas | None:
    app = sending_app(str(sender))
    return None if app is None else canvas_sent(app, str(sender), headers, body)


def _header_of(headers: Mapping[str, Any], canvas: Canvas | None) -> Mapping[str, Any]:
    """The caller's values, and what the message gets from its canvas or from ``start()``."""
    header = read_header(headers)
    if canvas is not None:
        return {**header, **canvas.header} if canvas.header else header
    start = pending_start()
    started = None if start is None else start.take_header()
    return header if started is None else {**header, **started, FOLLOW: True}


def _declared(queues: Any, exchange: Any, routing_key: Any) -> str:
    """The name of the queue that Celery declares for the message, where it goes to that one.

    To an exchange that the caller names Celery declares the default queue none the less.
    """
    for queue in queues or ():
        bound = getattr(queue, "exchange", None)
        name = getattr(exchange, "name", exchange)
        if bound is not None and bound.name == name and queue.routing_key == routing_key:
            return name_of(queue)
    return ""


def after_publish(
    sender: Any = None,
    headers: Any = None,
    exchange: Any = None,
    routing_key: Any = None,
    body: Any = None,
    **_: Any,
) -> None:
    """Publish ``queued``, and before it the plan of a canvas: the broker has the message.

    Not for a retry, whose run publishes ``retrying``, nor for the replacement of a running task,
    whose operation continues.
    """
    if not _has_protocol_2(headers) or headers.get("retries"):
        return
    publishing = _publishing_of(sender, read_header(headers), body)
    if publishing is None:
        return
    task_id, queue, canvas = _routed.get()
    if task_id != headers["id"]:
        queue, canvas = "", None
    events: list[QueueEntry] = [] if canvas is None else [*canvas.take_plan()]
    if _replaced_tracker(sender, headers) is None:
        queue = queue or queue_of(publishing.app, exchange, routing_key)
        run = RunInfo.from_publish_headers(headers, str(sender), queue)
        events.append(LazyEvent(partial(encoded_events.queued, run, time.time())))
    if events:
        publishing.publisher.emit(events)


def inherit_header(signature: Any, tracker: Tracker, app: Any) -> None:
    """Have the task that takes over the id of the running one followed as that one was.

    Of a chain that is the last task, of a chord its body.

    Args:
        signature: What :meth:`celery.Task.on_replace` got.
        tracker: Of the task that is replaced.
        app: The app of both.
    """
    tracker.replace(streams_errors=bool(call_safely(successors.stream_errors, signature, app)))
    last = signature
    while isinstance(last, (_chain, _chord)):
        last = last.tasks[-1] if isinstance(last, _chain) else last.body
    headers = dict(last.options.get("headers") or {})
    headers[HEADER] = _sanitized_header({**replacement_header(tracker), **read_header(headers)})
    last.set(headers=headers)


def _notice_replacement(body: Any) -> None:
    """Notice that the running task's id goes on behind the message, in a chain or a chord.

    That is so where a task of a base class with an ``on_replace`` of its own replaces itself.
    """
    tracker = context.current_tracker.get()
    if tracker is None or tracker.sink is None or tracker.replaced:
        return
    for behind in successors.of_message(body):
        if successors.id_of(behind) == tracker.run.operation_id:
            tracker.replaced = True
            _inherit_in_dict(behind, tracker)


def _inherit_in_dict(signature: Any, tracker: Tracker) -> None:
    options = signature["options"]
    headers = options.get("headers") or {}
    header = _sanitized_header({**replacement_header(tracker), **read_header(headers)})
    options["headers"] = {**headers, HEADER: header}


def replacement_header(tracker: Tracker) -> dict[str, Any]:
    """Return the header that a replacement gets from the run it replaces."""
    run = tracker.run
    header = {"metadata": run.metadata, "tags": list(run.tags), "follow": True}
    header["after"] = run.after_this
    header |= {"sub": run.sub} if run.sub else {}
    return header if tracker.streams_errors else {**header, WITHHOLD_ERRORS: True}


def _sanitized_header(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return a header of plain values of limited size; without a run's own keys."""
    kept: dict[str, Any] = {}
    if header.get("metadata") is not None:
        kept["metadata"] = jsonable.to_object(header["metadata"])
    if header.get("tags") is not None:
        kept["tags"] = jsonable.to_tags(header["tags"])
    for name in ("after", "sub", WORKFLOW):
        if isinstance(header.get(name), str):
            kept[name] = header[name]
    for flag in (FOLLOW, WITHHOLD_ERRORS):
        if header.get(flag):
            kept[flag] = True
    return kept


def _redacted(sender: Any, header: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a header with redacted metadata, if the task of this name is loaded here."""
    found = app_publishing(str(sender), str(sender))
    task = None if found is None else found[0].tasks.get(str(sender))
    redactor = None if task is None else policy_of(task).redactor
    if redactor is None or header.get("metadata") is None:
        return header
    return {**header, "metadata": redactor.to_object(header["metadata"])}


def _has_protocol_2(headers: Any) -> bool:
    # Messages of Celery's protocol 1 have no id in their headers.
    return isinstance(headers, dict) and "id" in headers


def _publishing_of(sender: Any, header: Mapping[str, Any], body: Any) -> AppPublishing | None:
    kwargs = body[1] if isinstance(body, (tuple, list)) and len(body) > 1 else None
    for name in filter(None, (str(sender), called_by(str(sender), kwargs))):
        found = app_publishing(str(sender), name)
        if found is not None:
            app, streaming = found
            publishing = publishing_of(app)
            if publishing.publishes(name, streaming=streaming, header=header):
                return publishing
    return None


def _retry_header(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``after`` of a retry: the run that asks for it, which learns its ETA."""
    tracker = context.find_tracker(headers["id"]) if headers.get("retries") else None
    if tracker is None:
        return {}
    tracker.retry_starts_at = time_of(headers.get("eta"))
    return {"after": tracker.run.after_this}


def _replaced_tracker(name: Any, headers: Mapping[str, Any]) -> Tracker | None:
    """The tracker of the running task, where this message takes its place."""
    tracker = context.find_tracker(headers["id"])
    if tracker is None or tracker.sink is None or headers.get("retries"):
        return None
    found = app_publishing(str(name), str(name))
    if found is not None and publishing_of(found[0]).publisher is not tracker.sink:
        # The same id in another app is another task.
        return None
    return tracker
