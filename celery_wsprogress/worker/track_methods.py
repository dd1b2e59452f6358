"""``track``, ``phase`` and ``phases``: methods of tasks and operations, and functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from celery_wsprogress.worker.context import tracker_in_context
from celery_wsprogress.worker.phases import PhaseBlock, declare_phases
from celery_wsprogress.worker.track import Track

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterable

    from celery_wsprogress.worker.tracker import Tracker

T = TypeVar("T")


class TrackMethods:
    """The methods, for a class that has a tracker."""

    def _reporting_tracker(self) -> Tracker | None:
        raise NotImplementedError

    @overload
    def track(
        self, iterable: Iterable[T], message: Any = "", *, total: Any = None, unit: Any = None
    ) -> Track[T]: ...

    @overload
    def track(
        self, iterable: AsyncIterable[T], message: Any = "", *, total: Any = None, unit: Any = None
    ) -> Track[T]: ...

    def track(
        self, iterable: Any, message: Any = "", *, total: Any = None, unit: Any = None
    ) -> Track[Any]:
        """Iterate, and report progress meanwhile. As cheap as ``tqdm``.

        .. code-block:: python

            for row in self.track(rows, "Importing", unit="rows"):
                ...

        ``async for`` does the same over what is asynchronous. The items are those of the iterable,
        and so are its exceptions. A loop that is left early reports how far it came; what it
        iterates over can go on, as without ``track``.

        What is reported inside the loop, also by phases and by loops, moves the bar within the
        current item. Loops that run at the same time, in threads or coroutines, add up.

        Args:
            iterable: What to iterate over.
            message: A text for people, cut to 2,000 bytes.
            total: The number of items. None to take the iterable's length; if it has none, or
                ``total`` is not above 0, progress is indeterminate, and the items are counted.
            unit: The name of the items (``"rows"``), cut to 500 bytes.

        Raises:
            TypeError: ``total`` is not a number.
        """
        return Track(self._reporting_tracker(), iterable, message, total, unit)

    def phase(self, name: Any, weight: Any = None) -> PhaseBlock:
        """Return a context manager that gives the code inside a share of the bar.

        .. code-block:: python

            with self.phase("Download", weight=0.3):
                ...

        What is reported inside moves the bar within the share, which is full when the block is
        left, unless by an exception. Phases may be inside each other. With phases the bar never
        goes back. Watchers see them in ``details.phases``.

        Args:
            name: A text for people, cut to 100 bytes. A phase that was declared by :meth:`phases`
                under this name, and has not begun, begins.
            weight: The share of the phase around it, or of the whole bar, 0.0 to 1.0; at most what
                the phases before it left. None for half of that.

        Raises:
            TypeError: ``weight`` is not a number.
        """
        return PhaseBlock(self._reporting_tracker(), name, weight)

    def phases(self, weights: Any) -> None:
        """Declare the phases that are to come, so that watchers see all of them at once.

        .. code-block:: python

            self.phases({"Download": 1, "Convert": 3})

        They share the phase around them, or the whole bar, in the ratio of their weights.

        Args:
            weights: A mapping of names to weights; or names, all of the same weight.

        Raises:
            TypeError: a weight is not a number.
        """
        declare_phases(self._reporting_tracker(), weights)


@overload
def track(
    iterable: Iterable[T], message: Any = "", *, total: Any = None, unit: Any = None
) -> Track[T]: ...


@overload
def track(
    iterable: AsyncIterable[T], message: Any = "", *, total: Any = None, unit: Any = None
) -> Track[T]: ...


def track(iterable: Any, message: Any = "", *, total: Any = None, unit: Any = None) -> Track[Any]:
    """Iterate, and report progress of the current task or operation; outside only iterate.

    See :meth:`celery_wsprogress.StreamingTask.track`.
    """
    return Track(tracker_in_context("track"), iterable, message, total, unit)


def phase(name: Any, weight: Any = None) -> PhaseBlock:
    """Return a phase of the current task or operation; outside of one it does nothing.

    See :meth:`celery_wsprogress.StreamingTask.phase`.
    """
    return PhaseBlock(tracker_in_context("phase"), name, weight)


def phases(weights: Any) -> None:
    """Declare phases of the current task or operation; outside of one do nothing.

    See :meth:`celery_wsprogress.StreamingTask.phases`.
    """
    declare_phases(tracker_in_context("phases"), weights)
