"""Bars of rich: each task of a ``rich.progress.Progress``, also of ``rich.progress.track()``.

Everything that moves one calls a few methods of ``Progress`` (rich 15.0, rich/progress.py), which
are replaced here by ones that call them and then read the bar. A bar is open until it has reached
its total, is removed, or its ``Progress`` stops.
"""

from __future__ import annotations

import functools
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.guard import call_safely
from celery_wsprogress.worker.capture.bars import Bar, BarCapture, find_capture

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BARS: Final = "_celery_wsprogress"
"""The attribute of a ``Progress`` that holds its captured bars by the ids of its tasks."""


class RichBar(Bar):
    """A captured bar.

    Args:
        capture: What captures it.
        task: The task of rich.
    """

    __slots__ = ("_described", "_message", "_task")

    def __init__(self, capture: BarCapture, task: Any) -> None:
        super().__init__(capture)
        self._task = task
        self._described: Any = None
        self._message = ""

    def moved(self) -> None:
        """Read it, and close it where it has reached its total."""
        if self._task.finished:
            self.finish()
        elif self.is_due() or self._task.description is not self._described:
            # A larger total, or `reset()`, begins a finished one anew.
            self.open()
            self.read()

    def finish(self) -> None:
        """Read it for the last time."""
        try:
            self.read()
        finally:
            self.close()

    def read(self) -> None:
        """Report what it shows."""
        task = self._task
        if task.description is not self._described:
            self._described, self._message = task.description, _plain(task.description)
        self.report(self._message, task.completed, task.total)


def _plain(description: Any) -> str:
    """Return the text of a description without its markup (``[red]Downloading``)."""
    rendered = call_safely(import_module("rich.markup").render, description)
    return str(description) if rendered is None else str(rendered.plain)


def patch(module: Any) -> None:
    """Replace the methods.

    Args:
        module: ``rich.progress``.
    """
    cls = module.Progress
    setattr(cls, BARS, None)
    for name, then in _THEN.items():
        setattr(cls, name, _followed(getattr(cls, name), then))
    cls.track = _counted(cls.track)


def _counted(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``track()`` such that a disabled ``Progress`` counts, too.

    A thread moves the bar, and ends when it finds that nothing is displayed.
    """

    @functools.wraps(original)
    def track(self: Any, *arguments: Any, **named: Any) -> Any:
        if self.disable and find_capture() is not None:
            # Without that thread each iteration moves the bar.
            self.live.auto_refresh = False
        return original(self, *arguments, **named)

    return track


def _followed(original: Callable[..., Any], then: Callable[..., None]) -> Callable[..., Any]:
    """Return the method with a function after it, which takes the bars, its result and its id."""

    @functools.wraps(original)
    def call(self: Any, *arguments: Any, **named: Any) -> Any:
        returned = original(self, *arguments, **named)
        if self._celery_wsprogress is not None or then is _added:
            task_id = arguments[0] if arguments else named.get("task_id")
            call_safely(then, self, returned, task_id)
        return returned

    return call


def _added(progress: Any, task_id: Any, _: Any) -> None:
    capture = find_capture()
    if capture is not None:
        if getattr(progress, BARS) is None:
            setattr(progress, BARS, {})
        [task] = [one for one in progress.tasks if one.id == task_id]
        bar = getattr(progress, BARS)[task_id] = RichBar(capture, task)
        # Whatever comes next is read, too: it may be the last for long.
        bar.read()


def _moved(progress: Any, _: Any, task_id: Any) -> None:
    bar = getattr(progress, BARS).get(task_id)
    if bar is not None:
        bar.moved()


def _removed(progress: Any, _: Any, task_id: Any) -> None:
    bar = getattr(progress, BARS).pop(task_id, None)
    if bar is not None:
        bar.finish()


def _stopped(progress: Any, _: Any, __: Any) -> None:
    captured = getattr(progress, BARS)
    setattr(progress, BARS, None)
    for bar in captured.values():
        bar.finish()


_THEN: Final[Mapping[str, Callable[..., None]]] = {
    "stop": _stopped,
    "remove_task": _removed,
    "reset": _moved,
    "advance": _moved,
    "update": _moved,
    # Last: it makes the bars that the others read.
    "add_task": _added,
}
