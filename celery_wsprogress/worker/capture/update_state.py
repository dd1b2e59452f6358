"""``update_state()`` with a state of one's own, as progress: what projects write for the backend.

:func:`read_meta` reads the shapes of ``meta`` that people write. Nothing else of it is published.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from celery import states

from celery_wsprogress.guard import call_safely
from celery_wsprogress.worker import context
from celery_wsprogress.worker.apps import publishing_of
from celery_wsprogress.worker.progress_args import number

if TYPE_CHECKING:
    from celery_wsprogress.worker.tracker import Tracker

#: Celery's own (celery 5.7, celery/states.py): they say where the task is in its life.
_BUILT_IN: Final = states.ALL_STATES | {states.REJECTED, states.IGNORED}

PROGRESS: Final = "PROGRESS"
"""The state that is nothing but progress; any other one of a project's own is a label, too."""

_MESSAGES: Final = ("description", "message", "status")
_DONE: Final = ("current", "done")


class MetaProgress(NamedTuple):
    """What a ``meta`` says of progress, as arguments of ``update_progress``."""

    fraction: float | None
    message: str
    current: float | int | None
    total: float | int | None
    unit: str | None

    @property
    def has_numbers(self) -> bool:
        """Whether it says how far the task is."""
        return self.fraction is not None or self.current is not None


def read_meta(meta: Any) -> MetaProgress:
    """Read a ``meta``.

    ``current`` or ``done`` with ``total`` come first, then ``percent`` (0 to 100) and ``progress``
    (0 to 1), which count only in these ranges. The first text of ``description``, ``message`` and
    ``status`` is the message, ``unit`` the unit.
    """
    if not isinstance(meta, Mapping):
        return MetaProgress(None, "", None, None, None)
    numbers = [_number(meta, name) for name in _DONE]
    current = next((one for one in numbers if one is not None), None)
    total = _number(meta, "total")
    fraction = None
    if current is None or total is None:
        total = None
        fraction = _share(meta, "percent", 100)
        if fraction is None:
            fraction = _share(meta, "progress", 1)
    elif not 0 < total >= current:
        # As where the total is not known, and 0 stands for that.
        total = None
    message = next(filter(None, (_text(meta, name) for name in _MESSAGES)), "")
    return MetaProgress(fraction, message, current, total, _text(meta, "unit") or None)


def _text(meta: Mapping[str, Any], name: str) -> str:
    value = meta.get(name)
    return value if isinstance(value, str) else ""


def _number(meta: Mapping[str, Any], name: str) -> float | int | None:
    try:
        return number(name, meta.get(name))
    except TypeError:
        return None


def _share(meta: Mapping[str, Any], name: str, whole: int) -> float | None:
    value = _number(meta, name)
    return None if value is None or not 0 <= value <= whole else value / whole


#: The label that each run has reported last, with its message.
_labels: weakref.WeakKeyDictionary[Tracker, tuple[str, str]] = weakref.WeakKeyDictionary()


def report_state(tracker: Tracker, state: Any, meta: Any) -> None:
    """Report a state that a task sets itself; those of Celery's own are left alone.

    ``PROGRESS`` is progress. Another one is a label, as of ``update_status()``, which is reported
    when it changes, and progress if its ``meta`` has numbers.
    """
    if not isinstance(state, str) or state in _BUILT_IN:
        return
    found = read_meta(meta)
    if state != PROGRESS:
        label = state, "" if found.has_numbers else found.message
        if _labels.get(tracker) != label:
            _labels[tracker] = label
            tracker.update_status(state, found.message)
    if found.has_numbers or (state == PROGRESS and found.message):
        tracker.update_progress(*found)


def report_of_task(task: Any, task_id: Any, state: Any, meta: Any) -> None:
    """Report what ``update_state()`` of a task was called with, if that is wanted. Never raises.

    Args:
        task: The task.
        task_id: The id that was passed; that of another operation is left alone.
        state: The state.
        meta: What the backend gets.
    """
    tracker = context.tracker_of(task)
    if tracker is None or task_id not in {None, tracker.run.operation_id}:
        return
    if captures(task):
        call_safely(report_state, tracker, state, meta)


def captures(task: Any) -> bool:
    """Return whether ``update_state()`` of a task is reported: never of Celery's own class."""
    wanted = getattr(task, "capture_update_state", False)
    if wanted is None:
        wanted = publishing_of(task.app).settings.capture_update_state
    return bool(wanted)
