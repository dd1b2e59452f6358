"""Figures, how far they spread, and what they are held against. Pure.

A benchmark returns one :class:`Table`: the same value is printed, kept as JSON, and made a part
of the documentation.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RATIO: Final = "x"
"""The unit of a figure that is one measurement divided by another of the same round."""


class Spread(Struct, frozen=True):
    """A figure, of several rounds."""

    median: float
    low: float
    """The 10th percentile."""
    high: float
    """The 90th percentile."""


def spread(values: Sequence[float]) -> Spread:
    """The spread of a figure that was taken once in each round."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, *_, high = statistics.quantiles(values, n=10, method="inclusive")
    return Spread(statistics.median(values), low, high)


class Target(Struct, frozen=True):
    """The target of a figure."""

    limit: float
    at_most: bool = True
    """Whether the figure is to stay at or below the limit; else at or above."""

    def is_met(self, figure: float) -> bool:
        """Whether a figure reaches it."""
        return figure <= self.limit if self.at_most else figure >= self.limit

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {number(self.limit)}"


class Figure(Struct, frozen=True):
    """One line of a table."""

    name: str
    unit: str
    spread: Spread
    target: Target | None = None

    @property
    def is_missed(self) -> bool:
        """Whether there is a target, and it is not met."""
        return self.target is not None and not self.target.is_met(self.spread.median)


class Table(Struct, frozen=True):
    """The figures of one benchmark."""

    title: str
    rounds: str
    """The size of the measurement, as ``20 rounds of 50 events``."""
    figures: list[Figure]
    day: str = ""
    """On which it was measured."""


def figure(name: str, unit: str, values: Iterable[float], target: Target | None = None) -> Figure:
    """A figure of the values that were taken of it, one in each round."""
    return Figure(name, unit, spread(list(values)), target)


def ratio(
    name: str, ours: Iterable[float], theirs: Iterable[float], target: Target | None = None
) -> Figure:
    """Ours divided by theirs, round by round."""
    values = [one / other for one, other in zip(ours, theirs, strict=True)]
    return figure(name, RATIO, values, target)


def number(value: float) -> str:
    """Three digits that mean something, and no more: ``0.0123``, ``1.23``, ``12.3``, ``12,345``."""
    if value and abs(value) < 0.1:
        return f"{value:.3g}"
    decimals = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:,.{decimals}f}"
