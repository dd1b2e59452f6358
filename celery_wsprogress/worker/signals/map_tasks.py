"""``task.map()``, ``task.starmap()`` and ``task.chunks()``: a task that calls another one.

Celery calls the other task as a function, for each item, inside a task of its own (celery 5.7,
celery/app/builtins.py), whose id the caller holds. So that one is followed where the other one is,
keeps its result where the other one does, and counts the items. What the other task says of its
progress is its item's share.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.worker.bar import DividedBar
from celery_wsprogress.worker.policies import policy_of
from celery_wsprogress.worker.run_info import WITHHOLD, WITHHOLD_ERRORS
from celery_wsprogress.worker.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

_COUNTED: Final = frozenset({"celery.map", "celery.starmap"})
MAP_TASKS: Final = _COUNTED | {"celery.chunks"}
"""The names of Celery's tasks that call another one for each item."""


def called_by(name: str, kwargs: Any) -> str:
    """The name of the task that this one calls for each item; empty where it is none of these.

    Args:
        name: A task's name.
        kwargs: Its arguments, of which only the signature of the other task is looked at.
    """
    if name not in MAP_TASKS or not isinstance(kwargs, Mapping):
        return ""
    signature = kwargs.get("task")
    called = signature.get("task") if isinstance(signature, dict) else ""
    return called if isinstance(called, str) else ""


def called_task(task: Any, kwargs: Any) -> Any:
    """The task that this one calls for each item; None where it is none of these, or not known."""
    name = called_by(task.name, kwargs)
    return task.app.tasks.get(name) if name else None


def header_for(task: Any, kwargs: Any, header: Mapping[str, Any]) -> Mapping[str, Any]:
    """The header of its message, with what follows from the task that it calls."""
    called = called_task(task, kwargs)
    if called is None:
        return header
    policy = policy_of(called)
    follow = {"follow": True} if policy.always else {}
    hidden = policy.redactor is not None or not policy.streams_result
    kept = {WITHHOLD: hidden, WITHHOLD_ERRORS: not policy.streams_errors}
    return {**header, **follow, **{name: True for name, holds in kept.items() if holds}}


class MapTracker(Tracker):
    """The tracker of a task that calls another one for each of its items."""

    __slots__ = ("_items",)

    def count(self, items: list[Any], kwargs: MutableMapping[str, Any]) -> None:
        """Count the items as they are taken, in place of the list of them."""
        self.slot.bar = DividedBar(len(items))
        self._items = items
        kwargs["it"] = _Counted(items, self)

    def give_back(self, kwargs: MutableMapping[str, Any]) -> None:
        """Undo that: the arguments may be somebody's signature."""
        kwargs["it"] = self._items

    def advance(self, done: int) -> None:
        """Report the number of items done."""
        if self.slot.bar is not None:
            self.slot.bar.count_items(done)
        if not self.ended:
            self.update_progress()


def tracker_class(task: Any, kwargs: Any) -> type[Tracker]:
    """Which tracker a run of this task has."""
    counted = task.name in _COUNTED and isinstance(kwargs, dict)
    return MapTracker if counted and type(kwargs.get("it")) is list else Tracker


class _Counted(list[Any]):
    """The list of items, which reports each item of its first iteration as done."""

    def __init__(self, items: list[Any], tracker: MapTracker) -> None:
        super().__init__(items)
        self._tracker: MapTracker | None = tracker

    def __iter__(self) -> Iterator[Any]:
        tracker, self._tracker = self._tracker, None
        if tracker is None:
            return super().__iter__()
        return _taken(super().__iter__(), tracker)

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (self[:],)


def _taken(items: Iterator[Any], tracker: MapTracker) -> Iterator[Any]:
    done = 0
    tracker.advance(done)
    for item in items:
        yield item
        done += 1
        tracker.advance(done)
