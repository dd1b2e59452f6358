"""``phase()`` and ``phases()``: shares of the bar for parts of the code."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.protocol import jsonable
from celery_wsprogress.worker import bar
from celery_wsprogress.worker.progress_args import number
from celery_wsprogress.worker.sections import COMPLETED, ERROR
from celery_wsprogress.worker.track import leave_place, report_place

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Self

    from celery_wsprogress.worker.sections import PhaseSection, Place
    from celery_wsprogress.worker.tracker import Tracker

logger = logging.getLogger(__name__)

MAX_NAME_BYTES: Final = 100

_warned: Final[set[str]] = set()
"""Names of operations whose weights were odd."""


class PhaseBlock:
    """The part of the code that has a share of the bar; made by ``phase()``.

    Args:
        tracker: Takes the reports; None to report nothing.
        name: Its name.
        weight: Its share, 0.0 to 1.0; None for half of what is left.

    Raises:
        TypeError: ``weight`` is not a number.
    """

    __slots__ = ("_before", "_name", "_section", "_tracker", "_weight")

    def __init__(self, tracker: Tracker | None, name: Any, weight: Any) -> None:
        self._tracker = tracker
        self._name = jsonable.to_text(name, MAX_NAME_BYTES)
        self._weight = None if weight is None else _share(tracker, weight)
        self._section: PhaseSection | None = None
        self._before: Place | None = None

    def __enter__(self) -> Self:
        tracker = self._tracker
        if tracker is not None:
            self._section = bar.divided(tracker.slot).begin_phase(self._name, self._weight)
            self._before = bar.current_place.get()
            bar.current_place.set(self._section)
            report_place(tracker, self._section, self._name)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        section, self._section = self._section, None
        if section is not None and self._tracker is not None:
            section.state = COMPLETED if kind is None else ERROR
            leave_place(section, self._before)
            report_place(self._tracker, None)


def declare_phases(tracker: Tracker | None, weights: Any) -> None:
    """Declare phases, as :meth:`celery_wsprogress.StreamingTask.phases`.

    Args:
        tracker: Takes the report; None to report nothing.
        weights: A mapping of names to weights, or names.

    Raises:
        TypeError: a weight is not a number.
    """
    named: Iterable[tuple[Any, Any]] = (
        weights.items() if isinstance(weights, Mapping) else ((name, 1) for name in weights)
    )
    found = [
        (jsonable.to_text(name, MAX_NAME_BYTES), _positive(number("weight", weight)))
        for name, weight in named
    ]
    if tracker is not None:
        bar.divided(tracker.slot).declare(found)
        report_place(tracker, None)


def _positive(weight: float | None) -> float:
    return weight if weight is not None and 0 < weight < math.inf else 0.0


def _share(tracker: Tracker | None, weight: Any) -> float:
    found = number("weight", weight)
    share = min(1.0, _positive(found))
    if found != share and tracker is not None:
        _warn_once(tracker.run.operation_type, found)
    return share


def _warn_once(name: str, weight: float | None) -> None:
    if name not in _warned:
        _warned.add(name)
        logger.warning(
            "%s: the weight of a phase goes from 0.0 to 1.0, not to %s; phases({…}) takes any "
            "weights, and shares the bar out in their ratio",
            name,
            weight,
        )
