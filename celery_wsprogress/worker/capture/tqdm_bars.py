"""Bars of tqdm: ``tqdm.tqdm``, and the classes made from it (``auto``, ``notebook``, ``asyncio``).

All of them call the methods of ``tqdm.std.tqdm`` (tqdm 4.70, tqdm/std.py), which are replaced here
by ones that call them and then read the bar. A bar that is disabled counts nothing itself, so the
iterations and updates of one are counted here.
"""

from __future__ import annotations

import functools
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.guard import call_safely
from celery_wsprogress.worker.capture.bars import INTERVAL, Bar, BarCapture, find_capture

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

NAME: Final = "_celery_wsprogress"
"""The attribute of a bar of tqdm that holds its :class:`TqdmBar`; None where nothing captures."""

DEFAULT_UNIT: Final = "it"
"""What tqdm shows where no unit is given."""


class TqdmBar(Bar):
    """A captured bar.

    Args:
        capture: What captures it.
        description: As it was given: a disabled bar does not keep it.
        unit: The same.
    """

    __slots__ = ("_description", "_unit", "counted")

    def __init__(self, capture: BarCapture, description: Any, unit: Any) -> None:
        super().__init__(capture)
        self._description = description
        self._unit = unit
        self.counted: Any = None
        """The units done, where they are counted here."""

    def count(self, shown: Any, by: Any) -> None:
        """Count an ``update()`` of a disabled one."""
        self.counted = (shown.n if self.counted is None else self.counted) + by

    def updated(self, shown: Any) -> None:
        """Read it after ``update()``."""
        if self.is_due():
            self.read(shown)

    def iterated(self, shown: Any, counted: Any) -> None:
        """Read it at the end of its loop, and close it."""
        self.counted = counted
        self.finish(shown)

    def finish(self, shown: Any) -> None:
        """Read it for the last time."""
        setattr(shown, NAME, None)
        try:
            self.read(shown)
        finally:
            self.close()

    def reset(self, shown: Any) -> None:
        """Read it after ``reset()``."""
        self.counted = None
        self.read(shown)

    def read(self, shown: Any) -> None:
        """Report what it shows."""
        current, total = shown.n, shown.total
        if self.counted is not None:
            current = max(current, self.counted)
        scale = getattr(shown, "unit_scale", False)
        # A number is what tqdm multiplies both with; True chooses a prefix.
        if scale and scale is not True:
            current, total = current * scale, total and total * scale
        unit = str(getattr(shown, "unit", self._unit) or "").strip()
        self.report(self._message(shown), current, total, None if unit == DEFAULT_UNIT else unit)

    def _message(self, shown: Any) -> str:
        description = getattr(shown, "desc", self._description)
        # `set_description()` adds the colon itself.
        parts = str(description or "").strip().removesuffix(":"), getattr(shown, "postfix", None)
        return ", ".join(part for part in parts if part and isinstance(part, str))


def patch(module: Any) -> None:
    """Replace the methods.

    Args:
        module: ``tqdm.std``.
    """
    cls = module.tqdm
    setattr(cls, NAME, None)
    for name, replace in _REPLACEMENTS.items():
        original = getattr(cls, name)
        setattr(cls, name, functools.wraps(original)(replace(original)))


def _init(original: Callable[..., None]) -> Callable[..., None]:
    def init(self: Any, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        call_safely(_open, self, arguments, named)

    return init


def _open(shown: Any, arguments: Sequence[Any], named: Mapping[str, Any]) -> None:
    capture = find_capture()
    if capture is not None:
        # tqdm(iterable, desc, …)
        description = named.get("desc", arguments[1] if len(arguments) > 1 else "")
        bar = TqdmBar(capture, description, named.get("unit"))
        setattr(shown, NAME, bar)
        bar.read(shown)


def _iter(original: Callable[..., Generator[Any]]) -> Callable[..., Generator[Any]]:
    def iterate(self: Any) -> Generator[Any]:
        bar = self._celery_wsprogress
        return original(self) if bar is None else _counted(original(self), self, bar)

    return iterate


def _counted(items: Generator[Any], shown: Any, bar: TqdmBar) -> Generator[Any]:
    """Count the iterations, of which a shown bar knows only some, and a disabled one none."""
    n, due = call_safely(int, shown.n) or 0, 0.0
    try:
        for item in items:
            yield item
            n += 1
            bar.counted = n
            now = monotonic()
            if now >= due:
                due = now + INTERVAL
                call_safely(bar.read, shown)
    finally:
        # It closes the bar, if it is not a disabled one.
        items.close()
        if getattr(shown, NAME) is bar:
            call_safely(bar.iterated, shown, n)


def _update(original: Callable[..., Any]) -> Callable[..., Any]:
    def update(self: Any, n: Any = 1) -> Any:
        displayed = original(self, n)
        bar = self._celery_wsprogress
        if bar is not None:
            if self.disable:
                call_safely(bar.count, self, n)
            # Looked at here, too: a call costs as much as all of this.
            if monotonic() >= bar.due:
                call_safely(bar.updated, self)
        return displayed

    return update


def _refresh(original: Callable[..., Any]) -> Callable[..., Any]:
    def refresh(self: Any, *arguments: Any, **named: Any) -> Any:
        displayed = original(self, *arguments, **named)
        bar = self._celery_wsprogress
        if bar is not None:
            # Whenever it was read before: there may be a new description.
            call_safely(bar.read, self)
        return displayed

    return refresh


def _reset(original: Callable[..., None]) -> Callable[..., None]:
    def reset(self: Any, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        bar = self._celery_wsprogress
        if bar is not None:
            call_safely(bar.reset, self)

    return reset


def _close(original: Callable[..., None]) -> Callable[..., None]:
    def close(self: Any) -> None:
        bar = self._celery_wsprogress
        if bar is not None:
            call_safely(bar.finish, self)
        original(self)

    return close


_REPLACEMENTS: Final[Mapping[str, Callable[[Callable[..., Any]], Callable[..., Any]]]] = {
    "close": _close,
    "reset": _reset,
    "refresh": _refresh,
    "update": _update,
    "__iter__": _iter,
    # Last: it makes the bars that the others read.
    "__init__": _init,
}
