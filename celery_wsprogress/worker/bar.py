"""The bar of a run, divided among its phases and the loops that are tracked.

The code of a task moves :mod:`.sections`. How far the whole is follows from them when an event is
encoded (:class:`.ProgressSlot`), so a report costs no sum.

A :class:`~contextvars.ContextVar` holds the place of the code: the phase or the loop that it is in.
:mod:`.track` and :mod:`.phases` enter and leave places.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias

from celery_wsprogress import fork
from celery_wsprogress.worker.bar_lock import bar_lock, lock_to_read
from celery_wsprogress.worker.run_context import run_context
from celery_wsprogress.worker.sections import (
    NO_LOOPS,
    RUNNING,
    Loop,
    PhaseSection,
    Place,
    Section,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MAX_SHOWN: Final = 40
"""Phases that events show."""

ITEMS: Final = "items"
"""The unit of a ``map``."""

#: Where the code of a context is; None outside of phases and loops.
current_place: ContextVar[Place | None] = ContextVar("celery_wsprogress.place", default=None)


Counted: TypeAlias = "tuple[float, float | None, str | None]"
"""Units done, all units, and their name."""


class Counts(NamedTuple):
    """How far a bar is."""

    fraction: float
    """0.0 to 1.0."""
    indeterminate: bool
    counted: Counted | None
    """The units of the outermost loop, and of those beside it; None outside of loops."""


class DividedBar:
    """The bar of a run that has phases or loops.

    Args:
        items: The number of items of a ``map``, each of which is a call of another task.
    """

    __slots__ = ("_items", "_latest", "_whole")

    def __init__(self, items: int | None = None) -> None:
        self._whole = Section(self)
        self._latest: Place = self._whole
        """The place of the latest report."""
        self._items: Loop | None = None
        if items is not None:
            self._items = Loop(self._whole, items, ITEMS)
            self._whole.loops.append(self._items)

    def count_items(self, done: int) -> None:
        """Set the number of a ``map``'s items that are done."""
        if self._items is not None:
            self._items.count = done

    # Changes. Nothing in here logs or reports: the publisher's lock is never taken inside.

    def begin_loop(self, total: float | None, unit: str | None) -> Loop:
        """Begin a loop at the place of the context; for the arguments see :class:`.Loop`."""
        with bar_lock():
            section = self._place()
            loop = Loop(section, total, unit)
            section.add_loop(loop)
            return loop

    def begin_phase(self, name: str, weight: float | None) -> PhaseSection:
        """Begin a phase at the place of the context; see :meth:`.Section.begin_phase`."""
        with bar_lock():
            phase = self._place().begin_phase(name, weight)
            phase.in_context = run_context.get() is not None
            return phase

    def declare(self, weights: Sequence[tuple[str, float]]) -> None:
        """Declare phases at the place of the context; see :meth:`.Section.declare`."""
        with bar_lock():
            self._place().declare(weights)

    # Where the code is.

    def _place(self) -> Section:
        return self._place_of_context() or self._place_of_thread()

    def _place_of_context(self) -> Section | None:
        """Return the section of the context; None in a thread that has none."""
        place = current_place.get()
        if place is not None and place.bar is self:
            found = _innermost(place)
            if found is not self._whole:
                return found
        return self._outermost() if run_context.get() is not None else None

    def _outermost(self) -> Section:
        return self._whole if self._items is None else self._items.item()

    def _place_of_thread(self) -> Section:
        """Return the innermost phase that runs if it is the only one; for a thread without context.

        Phases of such threads are beside each other, and no thread is in that of another one.
        """
        section = self._outermost()
        while True:
            running = [phase for phase in section.phases if phase.state == RUNNING]
            if len(running) != 1 or not running[0].in_context:
                return section
            section = running[0]

    def at(self, place: Place) -> None:
        """Take a report of a place that changed by itself."""
        self._latest = place

    def report(self, fraction: float | None) -> None:
        """Take a report of the code of this context.

        Args:
            fraction: How far its section is, 0.0 to 1.0; None if that is not known.
        """
        section = self._place_of_context()
        if section is None:
            section = self._place_of_thread()
            loops = section.open_loops
            if len(loops) == 1:
                section = loops[0].item()
            elif loops:
                # It is not known which of them it is.
                fraction = None
        if fraction is not None:
            section.report(fraction)
        self._latest = section

    # How far it is.

    def counts(self, *, indeterminate: bool) -> Counts:
        """Return how far it is.

        Args:
            indeterminate: Whether the latest report was.
        """
        with lock_to_read():
            around = list(_outwards(self._latest))
            loops = [place for place in around if isinstance(place, Loop)]
            open_loops = self._whole.open_loops
            if self._whole.phases or any(loop.total is not None for loop in open_loops):
                indeterminate = False
            elif len(around) > 1:
                outermost = around[-2]
                indeterminate = isinstance(outermost, Loop) and outermost.total is None
            counted = self._count(loops[-1]) if loops else None
            return Counts(self._whole.fraction, indeterminate, counted)

    def _count(self, outermost: Loop) -> Counted:
        if outermost is self._items:
            return outermost.done, outermost.total or None, ITEMS
        loops, over = outermost.parent.loops, outermost.parent.loops_over
        if outermost not in loops:
            loops, over = [outermost], NO_LOOPS
        count = over.counted + sum([loop.count for loop in loops])
        units = over.units + sum([loop.units for loop in loops])
        known = all(loop.total is not None for loop in loops)
        return count, _whole_number(units) or None if known else None, outermost.unit

    def shown_phases(self) -> list[dict[str, Any]]:
        """Return the phases as events show them, those that are in no loop."""
        with lock_to_read():
            return _shown(self._whole.phases, [MAX_SHOWN])


def _outwards(place: Place | None) -> Iterator[Place]:
    while place is not None:
        yield place
        place = place.parent


def _innermost(place: Place) -> Section:
    """Return the section of a place, or of what is around it where that is over."""
    while True:
        if isinstance(place, Loop):
            if not place.closed:
                return place.item()
            place = place.parent
        elif isinstance(place, PhaseSection) and place.closed and place.parent is not None:
            place = place.parent
        elif isinstance(place.parent, Loop) and not isinstance(place, PhaseSection):
            # An item, perhaps not the current one.
            place = place.parent
        else:
            return place


def _whole_number(value: float) -> float:
    return int(value) if value == int(value) else value


def _shown(phases: Iterable[PhaseSection], left: list[int]) -> list[dict[str, Any]]:
    found = []
    for phase in phases:
        if left[0] <= 0:
            break
        left[0] -= 1
        one: dict[str, Any] = {
            "name": phase.name,
            "weight": round(phase.weight, 4),
            "state": phase.state,
            "fraction": round(phase.fraction, 4),
        }
        inside = _shown(phase.phases, left)
        found.append(one | {"phases": inside} if inside else one)
    return found


class HasBar(Protocol):
    """What a bar may be of: a :class:`.ProgressSlot`."""

    bar: DividedBar | None
    latest: Any


def divided(owner: HasBar) -> DividedBar:
    """Return the bar of an owner; give it one if it has none yet."""
    fork.notice()
    with bar_lock():
        if owner.bar is None:
            owner.bar = DividedBar()
            if owner.latest is not None:
                owner.bar.report(owner.latest[1])
        return owner.bar
