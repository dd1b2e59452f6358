"""Sections of a bar: the whole of it, a phase, one item of a loop; and the loops themselves.

How far a section is follows from what its code reports, from its phases and from its loops. Only
:mod:`.bar` calls what changes more than one number, and holds the lock.
"""

from __future__ import annotations

from math import fsum
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from celery_wsprogress.worker.bar_lock import bar_lock

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_PHASES: Final = 500
"""Phases of one section beyond which more have no share."""

MAX_LOOPS: Final = 100
"""Loops of one section beyond which those that are over are added up."""

MAX_DEPTH: Final = 50
"""Sections inside each other beyond which more have no share: recursive code may track, too."""

_FULL: Final = 1.0 - 1e-9
"""Weights that make a whole may be less by a rounding."""

WAITING: Final = "waiting"
RUNNING: Final = "running"
COMPLETED: Final = "completed"
ERROR: Final = "error"


class LoopsOver(NamedTuple):
    """Loops that are over, added up."""

    counted: int
    """The items done."""
    done: float
    """The items done of those whose number of items is known."""
    units: float
    """The items of these."""


NO_LOOPS: Final = LoopsOver(0, 0.0, 0.0)


class Section:
    """A part of a bar: the whole of it, a phase, or one item of a loop.

    Args:
        bar: Its bar.
        parent: The section of a phase, the loop of an item; None for the whole.
    """

    __slots__ = ("bar", "depth", "loops", "loops_over", "parent", "phases", "reported")

    def __init__(self, bar: object, parent: Place | None = None) -> None:
        self.bar = bar
        self.parent = parent
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.reported = 0.0
        """The fraction that its own code reported."""
        self.phases: list[PhaseSection] = []
        self.loops: list[Loop] = []
        """The loops that ran at the same time, the newest group of them."""
        self.loops_over = NO_LOOPS
        """Loops of this group that are no longer listed."""

    @property
    def fraction(self) -> float:
        """How far it is, 0.0 to 1.0: what is farthest of its reports, phases and loops."""
        phases = fsum([phase.weight * phase.fraction for phase in self.phases])
        found = max(self.reported, phases, self._fraction_of_loops())
        return found if found < _FULL else 1.0

    def _fraction_of_loops(self) -> float:
        known = [loop for loop in self.loops if loop.total is not None]
        total = self.loops_over.units + fsum([loop.units for loop in known])
        done = self.loops_over.done + fsum([loop.done for loop in known])
        return done / total if total else 0.0

    @property
    def open_loops(self) -> list[Loop]:
        """The loops that run."""
        return [loop for loop in self.loops if not loop.closed]

    @property
    def can_go_back(self) -> bool:
        """Whether it is a whole bar without phases, on which one loop follows another."""
        return self.parent is None and not self.phases

    def report(self, fraction: float) -> None:
        """Take a report of its own code; a lower one than before changes nothing in a phase."""
        if self.can_go_back:
            with bar_lock():
                if self.can_go_back and not self.open_loops:
                    self._forget_loops()
                    self.reported = fraction
        self.reported = max(self.reported, fraction)

    def _forget_loops(self) -> None:
        self.loops = []
        self.loops_over = NO_LOOPS

    def add_loop(self, loop: Loop) -> None:
        """Add a loop to those that run, or begin anew with it if none does."""
        if self.open_loops or not self.can_go_back:
            # With more units in all, they would be less far.
            self.reported = max(self.reported, self._fraction_of_loops())
        if not self.open_loops:
            if self.can_go_back:
                self.reported = 0.0
            self._forget_loops()
        elif len(self.loops) >= MAX_LOOPS:
            self._add_up()
        if self.depth < MAX_DEPTH:
            self.loops.append(loop)

    def _add_up(self) -> None:
        """Add up the loops that are over, so that a task may have any number of them."""
        over = [loop for loop in self.loops if loop.closed]
        known = [loop for loop in over if loop.total is not None]
        before = self.loops_over
        self.loops_over = LoopsOver(
            before.counted + sum([loop.count for loop in over]),
            before.done + fsum([loop.done for loop in known]),
            before.units + fsum([loop.units for loop in known]),
        )
        self.loops = self.open_loops

    @property
    def weight_left(self) -> float:
        """The share that none of its phases has."""
        return max(0.0, 1.0 - fsum([phase.weight for phase in self.phases]))

    def begin_phase(self, name: str, weight: float | None) -> PhaseSection:
        """Begin the phase of this name that was declared and waits, else a new one."""
        for phase in self.phases:
            if phase.name == name and phase.state == WAITING:
                phase.state = RUNNING
                return phase
        left = self.weight_left
        share = left / 2 if weight is None else min(weight, left)
        return self._add_phase(PhaseSection(self, name, share, RUNNING))

    def declare(self, weights: Sequence[tuple[str, float]]) -> None:
        """Share out what is left among phases that are to come, in the ratio of their weights."""
        left, total = self.weight_left, fsum([weight for _, weight in weights])
        for name, weight in weights:
            share = left * weight / total if total else 0.0
            self._add_phase(PhaseSection(self, name, share, WAITING))

    def _add_phase(self, phase: PhaseSection) -> PhaseSection:
        if self.can_go_back:
            self.reported = max(self.reported, self._fraction_of_loops())
        if len(self.phases) < MAX_PHASES and phase.depth < MAX_DEPTH:
            self.phases.append(phase)
        return phase


class PhaseSection(Section):
    """The part of a bar that a phase has."""

    __slots__ = ("in_context", "name", "state", "weight")

    def __init__(self, parent: Section, name: str, weight: float, state: str) -> None:
        super().__init__(parent.bar, parent)
        self.name = name
        self.weight = weight
        """Its share of the section that it is in, 0.0 to 1.0."""
        self.state = state
        self.in_context = True
        """Whether the code that began it has the run's context."""

    @property
    def fraction(self) -> float:
        """How far it is, 0.0 to 1.0."""
        return 1.0 if self.state == COMPLETED else super().fraction

    @property
    def closed(self) -> bool:
        """Whether its code is over."""
        return self.state != RUNNING


class Loop:
    """A loop that is tracked. Only the code that counts its items changes ``count``.

    Args:
        parent: The section that it is in.
        total: The number of items, not negative; None if it is not known.
        unit: The name of an item; None without one.
    """

    __slots__ = ("_items", "closed", "count", "parent", "total", "unit")

    def __init__(self, parent: Section, total: float | None, unit: str | None) -> None:
        self.parent = parent
        self.total = total
        self.unit = unit
        self.count = 0
        """The items done."""
        self.closed = False
        self._items: dict[int, Section] = {}

    @property
    def bar(self) -> object:
        """Its bar."""
        return self.parent.bar

    @property
    def depth(self) -> int:
        """The number of places around it."""
        return self.parent.depth

    @property
    def units(self) -> float:
        """The number of items, at least those done; 0 if it is not known."""
        return 0 if self.total is None else max(self.total, self.count)

    @property
    def done(self) -> float:
        """The items done, with the part that is done of the current one."""
        # In this order: a count that is older than its item would go back.
        item, count = next(iter(self._items.values()), None), self.count
        if item is None or self._items.get(count) is not item:
            return count
        part = item.fraction
        return min(count + part, max(self.units, count)) if part else count

    def item(self) -> Section:
        """Return the section of the current item."""
        count = self.count
        found = self._items.get(count)
        if found is None:
            with bar_lock():
                found = self._items.get(count)
                if found is None:
                    found = Section(self.bar, self)
                    self._items = {count: found}
        return found

    def finish(self) -> None:
        """Take the items done for all there are: the number that was expected was wrong."""
        if self.total is not None:
            self.total = self.count


Place: TypeAlias = Section | Loop
