"""The open bars of a run, whichever library shows them, and the blocks that capture them.

:mod:`.tqdm_bars` and :mod:`.rich_bars` make a :class:`Bar` for each bar that is made while the
context captures, and read theirs when it moves. The outermost open bar of a run, the one that was
made first, is its progress. A bar belongs to the run in whose context it was made, whichever thread
moves it.
"""

from __future__ import annotations

import weakref
from contextlib import suppress
from contextvars import ContextVar
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.worker.context import current_tracker

if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType
    from typing import Self

    from celery_wsprogress.worker.tracker import Tracker

INTERVAL: Final = 0.001
"""Seconds for which a bar is not read again after it was: most moves cost a look at the clock."""


class BarCapture:
    """A ``with`` block, or a whole run, whose bars are progress of the run.

    It may be entered again once it was left. The bars that are left open are not captured any more.

    Args:
        tracker: The run's; None to capture nothing.
    """

    def __init__(self, tracker: Tracker | None) -> None:
        # Weak: an open bar is a value of `_open`, and would keep its key alive.
        self._tracker = None if tracker is None else weakref.ref(tracker)
        self._token: Token[BarCapture | None] | None = None
        self.active = False
        """Whether the block is entered."""

    @property
    def tracker(self) -> Tracker | None:
        """The run's tracker; None where nothing is captured (any more)."""
        if self._tracker is None or not self.active:
            return None
        tracker = self._tracker()
        return None if tracker is None or tracker.ended else tracker

    def __enter__(self) -> Self:
        self.active = True
        self._token = _block.set(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        tracker, self.active = self.tracker, False
        if self._token is not None:
            # A generator may be closed in another context, to which the token means nothing.
            with suppress(ValueError):
                _block.reset(self._token)
            self._token = None
        if tracker is not None and tracker in _open:
            _open[tracker] = [bar for bar in _open[tracker] if bar.capture is not self]


#: The innermost block of the context that captures bars.
_block: ContextVar[BarCapture | None] = ContextVar("celery_wsprogress.bars", default=None)

#: The captures of whole runs.
_runs: weakref.WeakKeyDictionary[Tracker, BarCapture] = weakref.WeakKeyDictionary()

#: The open bars of each run, the outermost first. The bars know their tracker by weak references.
_open: weakref.WeakKeyDictionary[Tracker, list[Bar]] = weakref.WeakKeyDictionary()


def add_run(tracker: Tracker) -> None:
    """Capture all bars of a run, until its end."""
    capture = _runs[tracker] = BarCapture(tracker)
    capture.active = True


def find_capture() -> BarCapture | None:
    """Return what captures a bar that is made in this context now; None if nothing does.

    A task that runs eagerly inside another one, and an operation inside a task, are runs of their
    own: their bars are not those of the run around them.
    """
    tracker, block = current_tracker.get(), _block.get()
    if block is not None and block.tracker is not None and tracker in {None, block.tracker}:
        return block
    run = None if tracker is None else _runs.get(tracker)
    return None if run is None or run.tracker is None else run


class Bar:
    """An open bar of a run. Any thread may move it.

    Args:
        capture: What captures it.
    """

    __slots__ = ("_reported", "capture", "due")

    def __init__(self, capture: BarCapture) -> None:
        self.capture = capture
        self.due = 0.0
        """The monotonic time from which it is read again."""
        self._reported: tuple[Any, ...] | None = None
        self.open()

    def open(self) -> None:
        """Add it to the open bars of its run, if it is not one."""
        tracker = self.capture.tracker
        if tracker is not None:
            bars = _open.setdefault(tracker, [])
            if self not in bars:
                bars.append(self)

    def close(self) -> None:
        """Remove it from them: the next one is the run's progress from now on."""
        tracker = self.capture.tracker
        if tracker is not None:
            with suppress(ValueError):
                _open.get(tracker, []).remove(self)

    def is_due(self) -> bool:
        """Return whether to read it now: it was not read just before."""
        now = monotonic()
        if now < self.due:
            return False
        self.due = now + INTERVAL
        return True

    def report(self, message: str, current: Any, total: Any, unit: str | None = None) -> None:
        """Report what it shows, if it is the outermost bar of its run and shows something new.

        Args:
            message: Its description.
            current: The units done.
            total: The number of units; None if it is not known. A bar beyond its total has none.
            unit: The name of the units.
        """
        tracker = self.capture.tracker
        if tracker is None or _open.get(tracker, [])[:1] != [self]:
            return
        current, total = max(0, _whole(current)), _whole(total)
        if total is not None and not 0 < total >= current:
            total = None
        shows = message, current, total, unit
        if shows != self._reported:
            self._reported = shows
            tracker.update_progress(None, message, current, total, unit)


def _whole(number: Any) -> Any:
    """Return 3 for 3.0, as rich counts."""
    return int(number) if isinstance(number, float) and number.is_integer() else number
