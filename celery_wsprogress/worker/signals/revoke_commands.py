"""In the worker's main process: tasks that run already when somebody revokes them.

Celery's signals tell of revoked tasks that do not run, and of those whose process was sent a signal
(celery 5.7, celery/worker/request.py). To a running task ``revoke()`` alone does nothing. Here it
is added to the table that tasks ask (:mod:`celery_wsprogress.worker.cancel.table`), and its
watchers are told ``cancelling``.
"""

from __future__ import annotations

import time
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.protocol import jsonable
from celery_wsprogress.worker.cancel import table
from celery_wsprogress.worker.policies import publishing_for, run_of
from celery_wsprogress.worker.publishing import encoded_events
from celery_wsprogress.worker.run_info import read_header
from celery_wsprogress.worker.signals import messages
from celery_wsprogress.worker.signals.active_runs import copy_of_changing_set

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

COMMANDS: Final = ("revoke", "terminate", "revoke_by_stamped_headers")
"""Celery's control commands that revoke tasks (celery/worker/control.py)."""

MAX_REASONS: Final = 1_000
"""Reasons that are kept, of tasks that may not have come to this worker yet."""

_reasons: Final[dict[str, str]] = {}


def remember_reasons(*_: Any, task_id: Any = (), reason: Any = "", **__: Any) -> None:
    """Keep the reason of a control command, before Celery executes it; the arguments are its own.

    Args:
        task_id: The ids that it names.
        reason: Why, for people. Celery hands it on to its command, which ignores it.
    """
    remember_reason(task_id, reason)


def mark_revoked(*_: Any, terminate: Any = False, reason: Any = "", **__: Any) -> None:
    """Tell the running tasks that a control command has revoked; the arguments are its own.

    Args:
        terminate: Whether their processes should be sent a signal.
        reason: Why.
    """
    state = import_module("celery.worker.state")

    def is_revoked(request: Any) -> bool:
        return request.id in state.revoked or has_stamp(request, state.revoked_stamps)

    mark_running(is_revoked, reason_text(reason), terminate=bool(terminate))


def mark_running(is_revoked: Callable[[Any], bool], reason: str, *, terminate: bool) -> None:
    """Tell the running tasks that are revoked.

    Args:
        is_revoked: Whether a request is.
        reason: Why.
        terminate: Whether their processes should have been sent a signal.
    """
    state, known = import_module("celery.worker.state"), table.current_table()
    if known is None:
        return
    known.keep(state.requests)
    # Also those that the pool has and may start in this moment, after those that run.
    requests = sorted(
        copy_of_changing_set(state.requests.values()),
        key=lambda one: one not in state.active_requests,
    )
    for request in requests:
        if is_revoked(request) and known.add(request.id, reason):
            _tell_watchers(request, reason, terminate=terminate)


def has_stamp(request: Any, revoked: Mapping[str, Any]) -> bool:
    """Return whether a request has one of the revoked stamps, which Celery keeps by header."""
    for header in request.stamped_headers or ():
        if header in revoked:
            values = _as_set(revoked[header])
            if not values.isdisjoint(_as_set(request.stamps.get(header))):
                return True
    return False


def _as_set(values: Any) -> set[Any]:
    return set(values) if isinstance(values, (list, tuple, set)) else {values} - {None}


def remember_reason(task_ids: Any, reason: Any) -> str:
    """Keep the reason of a command, for tasks that come later; return its text."""
    text = reason_text(reason)
    if text:
        for task_id in [task_ids] if isinstance(task_ids, str) else list(task_ids):
            _reasons.pop(task_id, None)
            _reasons[task_id] = text
        while len(_reasons) > MAX_REASONS:
            del _reasons[next(iter(_reasons))]
    return text


def reason_text(reason: Any) -> str:
    """Return the reason of a command as a short text; empty where there is none."""
    return jsonable.to_text(reason, table.REASON_BYTES - 1) if reason else ""


def reason_for(task_id: Any) -> str:
    """Return why a task was revoked, as far as it was said; else an empty text."""
    return _reasons.get(task_id, "")


def _tell_watchers(request: Any, reason: str, *, terminate: bool) -> None:
    header = read_header(request.request_dict)
    publishing = publishing_for(request.task, header)
    # What was terminated is told when it is dead: see `terminations`.
    terminated = request._already_revoked  # noqa: SLF001 - nothing public tells it
    if publishing is None or terminated or request.time_start is None or not header.get("run"):
        return
    run, message = (
        run_of(request.task, request.request_dict),
        messages.cancelling(reason, terminate),
    )
    event = encoded_events.status(run, time.time(), "cancelling", message, {})
    publishing.publisher.emit((event,))
