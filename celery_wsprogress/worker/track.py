"""``track()``: a loop that reports how far it is.

While a value of the run waits to be sent, an iteration only counts: the value is measured when it
is encoded (:class:`.ProgressSlot`). So a loop costs about as much as with ``tqdm``, and no count is
too old.
"""

from __future__ import annotations

import math
import operator
from time import monotonic, time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from celery_wsprogress.guard import call_safely
from celery_wsprogress.protocol import jsonable
from celery_wsprogress.worker import bar
from celery_wsprogress.worker.progress_args import number

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from celery_wsprogress.worker.sections import Loop, Place
    from celery_wsprogress.worker.tracker import Tracker

T = TypeVar("T")


class Track(Generic[T]):
    """An iterable that reports how far it is; made by ``track()``.

    ``for`` and ``async for`` iterate over it, each if it does over what is tracked.

    Args:
        tracker: Takes the reports; None to report nothing.
        iterable: What is iterated over.
        message: A text for people; an empty one leaves the one before.
        total: The number of items; None to ask the iterable.
        unit: The name of an item.

    Raises:
        TypeError: ``total`` is not a number.
    """

    __slots__ = ("_iterable", "_message", "_total", "_tracker", "_unit")

    def __init__(
        self, tracker: Tracker | None, iterable: Any, message: Any, total: Any, unit: Any
    ) -> None:
        self._tracker = tracker
        self._iterable = iterable
        self._message = jsonable.to_text(message)
        self._total = number("total", total)
        self._unit = None if unit is None else jsonable.to_text(unit, jsonable.MAX_NAME_BYTES)

    def __iter__(self) -> Iterator[T]:
        iterator: Iterator[T] = iter(self._iterable)
        return iterator if self._tracker is None else self._counted(self._tracker, iterator)

    def _counted(self, tracker: Tracker, iterator: Iterator[T]) -> Iterator[T]:
        run = _TrackedLoop(tracker, self._message, self._length(), self._unit)
        loop, slot, count = run.loop, tracker.slot, 0
        # Without a sink nothing is ever sent, and no value waits.
        sends = tracker.sink is not None
        try:
            for item in iterator:
                yield item
                loop.count = count = count + 1
                if slot.due is None and sends:
                    report_place(tracker, loop)
            loop.finish()
        finally:
            run.end()

    def __aiter__(self) -> AsyncIterator[T]:
        iterator: AsyncIterator[T] = aiter(self._iterable)
        if self._tracker is None:
            return iterator
        return _AsyncTrack(self._tracker, iterator, self._message, self._length(), self._unit)

    def _length(self) -> float | None:
        """Return the number of items, not negative; None if it is not known."""
        total = self._total
        if total is None:
            found: float | None = call_safely(_length_of, self._iterable)
            return found
        return total if 0 < total < math.inf else None


def _length_of(iterable: Any) -> float | None:
    found = operator.length_hint(iterable, -1)
    return None if found < 0 else number("length", found)


class _TrackedLoop:
    """A loop at the place of the context in which it begins."""

    __slots__ = ("_before", "_tracker", "loop")

    def __init__(
        self, tracker: Tracker, message: str, total: float | None, unit: str | None
    ) -> None:
        self._tracker = tracker
        self.loop: Loop = bar.divided(tracker.slot).begin_loop(total, unit)
        self._before = bar.current_place.get()
        bar.current_place.set(self.loop)
        report_place(tracker, self.loop, message)

    def end(self) -> None:
        """End it, and report how far it came. A second call does nothing."""
        if not self.loop.closed:
            self.loop.closed = True
            leave_place(self.loop, self._before)
            report_place(self._tracker, self.loop)


class _AsyncTrack(Generic[T]):
    """The asynchronous iterator of a :class:`Track`.

    No asynchronous generator: a loop that is left by ``break`` or an exception must report at once
    how far it came, and the event loop closes such a generator later.
    """

    __slots__ = ("_arguments", "_iterator", "_run", "_tracker")

    def __init__(self, tracker: Tracker, iterator: AsyncIterator[T], *arguments: Any) -> None:
        self._tracker = tracker
        self._iterator = iterator
        self._arguments = arguments
        self._run: _TrackedLoop | None = None

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        if self._run is None:
            self._run = _TrackedLoop(self._tracker, *self._arguments)
        elif not self._run.loop.closed:
            self._run.loop.count += 1
            if self._tracker.slot.due is None and self._tracker.sink is not None:
                report_place(self._tracker, self._run.loop)
        try:
            return await anext(self._iterator)
        except StopAsyncIteration:
            self._run.loop.finish()
            self._run.end()
            raise
        except BaseException:
            self._run.end()
            raise

    async def aclose(self) -> None:
        """End the loop, and close the generator that it iterates over."""
        self._end()
        close = getattr(self._iterator, "aclose", None)
        if callable(close):
            await close()

    def __del__(self) -> None:
        self._end()

    def _end(self) -> None:
        if self._run is not None:
            self._run.end()


# Places of a run; also for :mod:`.phases`.


def report_place(tracker: Tracker, place: Place | None, message: str = "") -> None:
    """Report that a place of the run's bar has changed. Cheap; it never blocks.

    Args:
        tracker: The run's tracker.
        place: The place, of the run's bar, that the code is in now; None if it left one.
        message: A text for people; an empty one leaves the one before.
    """
    slot, before = tracker.slot, tracker.slot.latest
    said, details = ("", None) if before is None else before[3:5]
    current, total, unit = (None, None, None) if before is None else before[5:8]
    if slot.bar is not None and place is not None:
        slot.bar.at(place)
        current = total = unit = None
    # How far it is, and how many of how many in a loop, is asked of the bar when it is encoded.
    slot.latest = (
        time(), 0.0, True, message or said, details, current, total, unit, monotonic(),
    )  # fmt: skip
    if slot.due is None and tracker.sink is not None and not tracker.ended:
        tracker.sink.schedule(slot)


def leave_place(place: Place, before: Place | None) -> None:
    """Make the place before the current one again, if the context is still in this one.

    A generator may be closed in another context, and two in any order. A place that is over and is
    the current one counts as what is around it.
    """
    if bar.current_place.get() is place:
        bar.current_place.set(before)
