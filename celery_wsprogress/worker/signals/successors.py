"""The successors of a task that failed: the rest of its chain, and the body of its chord.

Celery stores the failure for each of them at once, and none of them ever runs
(celery/backends/base.py, ``_fail_chain`` and ``chord_error_from_stack``). So the process in which
that happens publishes their ends.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from celery.backends.base import Backend
from celery.canvas import group

from celery_wsprogress.brokers import result_backend
from celery_wsprogress.worker.apps import publishing_of
from celery_wsprogress.worker.plans import signatures
from celery_wsprogress.worker.plans.continuation import inherited_header
from celery_wsprogress.worker.policies import publishing_for, streams_errors
from celery_wsprogress.worker.publishing import encoded_events
from celery_wsprogress.worker.run_info import RunInfo, read_header
from celery_wsprogress.worker.signals import received_requests
from celery_wsprogress.worker.signals.patches import with_callback

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from celery_wsprogress.worker.apps import AppPublishing


def of_message(body: Any) -> Iterator[Any]:
    """The signatures that stand behind a message: the rest of its chain, and its chord's body.

    Args:
        body: Of Celery's protocol 2: arguments, keyword arguments and what is embedded.
    """
    embedded = body[2] if isinstance(body, (tuple, list)) and len(body) == 3 else None
    if isinstance(embedded, dict):
        yield from _with_bodies(embedded.get("chain") or ())
        if embedded.get("chord"):
            yield from _with_bodies((embedded["chord"],))


def has_some(request: Any) -> bool:
    """Whether something stands behind a request that a worker has received."""
    embedded = request._payload[2]  # noqa: SLF001 - it is decoded already
    return isinstance(embedded, dict) and bool(embedded.get("chain"))


def id_of(signature: Any) -> Any:
    """The id that the task of a signature will have."""
    return signature["options"].get("task_id")


def stream_errors(signature: Any, app: Any) -> bool:
    """Whether the texts of errors may leave of all tasks of a signature. Not of unknown ones."""
    tasks = [app.tasks.get(name) for name in _names_in(signature)]
    return all(task is not None and streams_errors(task, {}) for task in tasks)


def _names_in(signature: Any) -> Iterator[str]:
    parts = signature["kwargs"]
    match signature.get("subtask_type"):
        case "chain" | "group":
            inner = parts["tasks"]
        case "chord":
            header = parts["header"]
            inner = (*([header] if isinstance(header, dict) else header), parts["body"])
        case _:
            # As `celery.map` has it.
            called = parts.get("task")
            inner = [called] if isinstance(called, dict) else ()
            yield signature["task"]
    for one in inner:
        yield from _names_in(one)


def failed(request: Any, sender: Any = None, exception: Any = None, **_: Any) -> None:
    """Publish the ends of the rest of a failed task's chain.

    Args:
        request: Celery's request of it; None where that is gone.
        sender: The task.
        exception: What it failed with.
    """
    chain = getattr(request, "chain", None)
    if chain and not request.is_eager:
        full = streams_errors(sender, read_header(request))
        inherited = inherited_header(request)
        _fail(sender.app, _with_bodies(chain), exception, inherited, full=full)


def _with_bodies(some: Iterable[Any]) -> Iterator[Any]:
    """These signatures; of a chord the body, too, and of a chain its last task: they end it."""
    for one in some:
        signature = one
        while isinstance(signature, dict) and isinstance(signature.get("options"), dict):
            kind, parts = signature.get("subtask_type"), signature.get("kwargs") or {}
            if kind != "chain":
                yield signature
            last = (parts.get("tasks") or (None,))[-1] if kind == "chain" else None
            signature = parts.get("body") if kind == "chord" else last


def _fail(
    app: Any,
    failing: Iterable[Any],
    exception: Any,
    inherited: Mapping[str, Any],
    *,
    full: bool,
) -> None:
    """Publish that tasks failed with the exception of another one.

    Args:
        app: The app.
        failing: Their signatures.
        exception: What was raised.
        inherited: What the headers of their messages would inherit.
        full: Whether the task that raised it allows its text in events.
    """
    timestamp = time.time()
    for signature in failing:
        own = read_header(signature["options"].get("headers") or {})
        header, name = {**own, **inherited}, str(signature["task"])
        publishing = _publishing_of(app, name, header)
        if publishing is not None and id_of(signature):
            task = app.tasks.get(name)
            streams = full and (task is None or streams_errors(task, header))
            error, error_type = result_backend.describe_failure(exception, full=streams)
            run = RunInfo.unstarted(str(id_of(signature)), name, header)
            event = encoded_events.failed(run, timestamp, error, error_type, unstarted=True)
            publishing.publisher.emit((event,))


def _publishing_of(app: Any, name: str, header: Mapping[str, Any]) -> AppPublishing | None:
    task = app.tasks.get(name)
    if task is not None:
        return publishing_for(task, header)
    # A task of other workers.
    publishing = publishing_of(app)
    return publishing if publishing.publishes(name, streaming=False, header=header) else None


def patch_chords() -> None:
    """Notice where Celery makes the body of a chord fail: it has no signal for that.

    It does so in whichever process the last task of the header ends, well or not, or in one that
    polls for that (``celery.chord_unlock``).
    """
    Backend.chord_error_from_stack = with_callback(Backend.chord_error_from_stack, chord_failed)


def chord_failed(backend: Any, callback: Any, exc: Any = None) -> None:
    """The body of a chord failed, as ``Backend.chord_error_from_stack`` has just stored."""
    exc = sys.exc_info()[1] if exc is None else exc
    running = backend.app.current_worker_task
    request = _request_in_header(callback) if running is None else running.request
    inherited = inherited_header(request)
    # Nobody here knows the task of which the text may speak.
    _fail(backend.app, _behind_chord(callback), exc, inherited, full=False)


def _request_in_header(callback: Any) -> Any:
    """Celery's request of a task in the header of a chord, whose process is gone; else None.

    The worker's main process ends a task that was killed, and has received it.
    """
    body_id = signatures.last_id(callback)
    for request in received_requests.known:
        embedded = request._payload[2]  # noqa: SLF001 - it is decoded already
        if isinstance(embedded, dict):
            chain = embedded.get("chain")
            chord = signatures.chord_behind(chain[0]) if chain else embedded.get("chord")
            if chord and signatures.last_id(chord) == body_id:
                return request._context  # noqa: SLF001 - as Celery's own handlers
    return None


def _behind_chord(callback: Any) -> Iterator[Any]:
    yield from _with_bodies(callback.tasks if isinstance(callback, group) else (callback,))
    yield from _with_bodies(callback.options.get("chain") or ())
