"""Callbacks around the functions with which Celery sends groups and chords, without a signal.

Celery's functions get and return what they did, and raise what they raised.
"""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any, Final

from celery.canvas import _chain, _chord, group

from celery_wsprogress.guard import must_propagate
from celery_wsprogress.worker.apps import unproxied
from celery_wsprogress.worker.error_log import log_internal_error
from celery_wsprogress.worker.plans.canvases import (
    canvas_of_group,
    canvas_of_message,
    current_canvas,
    current_chord,
    prepare_chord,
)
from celery_wsprogress.worker.plans.members import Members
from celery_wsprogress.worker.run_info import read_header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from celery_wsprogress.worker.plans.canvas import Canvas

logger = logging.getLogger(__name__)

_MARK: Final = "_celery_wsprogress"

_failed: Final[set[str]] = set()
"""The names of functions of ours that have failed in this process."""


def patch_canvases() -> None:
    """Notice the groups and chords that this process sends.

    ``group._apply_tasks`` sends the members of a group and of the header of a chord, and
    ``chord.run`` a whole chord (celery 5.4 to 5.7, celery/canvas.py).
    """
    if not hasattr(group._apply_tasks, _MARK):  # noqa: SLF001 - nothing public gets the members
        group._apply_tasks = _with_canvas(group._apply_tasks)  # noqa: SLF001
    if not hasattr(_chord.run, _MARK):
        _chord.run = _with_chord(_chord.run)


def canvas_sent(app: Any, name: str, headers: Any, body: Any) -> Canvas | None:
    """Return the canvas of a message (:func:`.canvas_of_message`); None where that fails."""
    found: Canvas | None = _call_logged(canvas_of_message, app, name, headers, body)
    return found


def _with_canvas(original: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    @functools.wraps(original)
    def apply_tasks(self: Any, tasks: Any, *positional: Any, **named: Any) -> Iterator[Any]:
        members = Members(tasks)
        canvas = _call_logged(_canvas_of, self, members, positional, named)
        results = original(self, members, *positional, **named)
        return results if canvas is None else _send_within(canvas, results)

    setattr(apply_tasks, _MARK, True)
    return apply_tasks


def _canvas_of(
    sent: Any, members: Members, positional: tuple[Any, ...], named: dict[str, Any]
) -> Canvas | None:
    # The second and third positional arguments are the producer and the app.
    app = (positional[1] if len(positional) > 1 else named.get("app")) or sent.app
    header = read_header(named.get("headers") or {})
    return canvas_of_group(unproxied(app), members, named.get("chord"), header, sent.tasks)


def _send_within(canvas: Canvas, results: Iterator[Any]) -> Iterator[Any]:
    """Yield the results of messages; while each is sent the canvas is the current one."""
    while True:
        token = current_canvas.set(canvas)
        try:
            result = next(results)
        except StopIteration:
            break
        finally:
            current_canvas.reset(token)
        yield result
    _call_logged(canvas.close)


def _with_chord(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def run(self: Any, header: Any, body: Any, *positional: Any, **named: Any) -> Any:
        if isinstance(body, _chain):
            # It is a copy of the user's (celery 5.7, celery/canvas.py, `_chord.apply_async`).
            _call_logged(prepare_chord, self.app, body)
        token = current_chord.set((header, body))
        try:
            return original(self, header, body, *positional, **named)
        finally:
            current_chord.reset(token)

    setattr(run, _MARK, True)
    return run


def _call_logged(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of ours; None where it fails, which is logged."""
    try:
        return function(*arguments)
    except Exception as exc:
        if must_propagate(exc):
            raise
        # The first one in full, as for the handlers of signals.
        level = logging.DEBUG if function.__name__ in _failed else logging.ERROR
        _failed.add(function.__name__)
        log_internal_error(logger, level, f"Task events: {function.__name__} failed", exc)
        return None
