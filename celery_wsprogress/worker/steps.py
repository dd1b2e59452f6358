"""A step counter, returned by ``steps()`` of tasks and operations. It reports to their tracker."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.worker.progress_args import number

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

UNIT: Final = "steps"


class Steps:
    """Counts steps, and reports each as progress. For one thread at a time; nothing blocks.

    Args:
        total: The number of steps. None, NaN or a number not above 0 means that it is not known.
        report: ``update_progress`` of the operation; None to report nothing.
        finish: Called by :meth:`complete` with its result.
        name: The operation's name in the log.

    Raises:
        TypeError: ``total`` is not a number.
    """

    __slots__ = (
        "_bounded",
        "_finish",
        "_message",
        "_name",
        "_report_progress",
        "_total",
        "_warned",
        "current_step",
    )

    def __init__(
        self,
        total: Any,
        report: Callable[..., None] | None = None,
        finish: Callable[[Any], None] | None = None,
        name: str = "",
    ) -> None:
        self.current_step: float | int = 0
        """Steps taken so far; never above the total."""
        self._total = number("total", total)
        self._bounded = self._total is not None and 0 < self._total < math.inf
        self._report_progress = report
        self._finish = finish
        self._name = name
        self._message: Any = ""
        self._warned = False

    @property
    def total_steps(self) -> float | int | None:
        """The number of steps, as given; None where it is not known."""
        return self._total

    def step(self, message: Any = "", details: Any = None) -> None:
        """Count a step, and report it. One beyond the total is not counted, with one warning.

        Args:
            message: A text for people, cut to 2,000 bytes.
            details: A mapping, as in ``update_progress``.
        """
        left = None if self._total is None or not self._bounded else self._total - self.current_step
        if left is not None and left < 1:
            self._warn_once()
        self.current_step += 1 if left is None else min(1, left)
        self._message = message
        self._report(message, details)

    def complete(self, result: Any = None) -> None:
        """Report the last step, however many were counted.

        Args:
            result: The result of an operation of your own; ignored in a task.
        """
        if self._bounded and self._total is not None and self.current_step < self._total:
            self.current_step = self._total
            self._report(self._message, None)
        if self._finish is not None:
            self._finish(result)

    def _report(self, message: Any, details: Any) -> None:
        if self._report_progress is not None:
            total = self._total if self._bounded else None
            self._report_progress(
                None, message, current=self.current_step, total=total, unit=UNIT, details=details
            )

    def _warn_once(self) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(
                "%s: step() was called more often than the total of %s; "
                "give the number of all steps, steps(%s), or steps(0) if it is not known",
                self._name or "steps",
                self._total,
                math.floor(self._total or 0) + 1,
            )
