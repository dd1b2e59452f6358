"""Counting the steps of something that has a known number of them."""

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
    """Counts steps, and reports each as progress.

    For one thread (or one coroutine) at a time. Nothing is awaited, nothing blocks.

    Args:
        total: How many there are. None, NaN or what is not above 0 means that nobody knows.
        say: ``update_progress`` of what is counted; None where nobody listens.
        finish: What :meth:`complete` does with its result.
        name: Whose steps they are, for advice in the log.

    Raises:
        TypeError: ``total`` is no number.
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
        """How many there are, as it was said."""
        return self._total

    def step(self, message: Any = "", details: Any = None) -> None:
        """Take a step, and report it.

        A step beyond the total counts no further; the log says so once.

        Args:
            message: What is done now, for a person to read.
            details: Anything else, as a mapping.
        """
        left = None if self._total is None or not self._bounded else self._total - self.current_step
        if left is not None and left < 1:
            self._warn_once()
        self.current_step += 1 if left is None else min(1, left)
        self._message = message
        self._report(message, details)

    def complete(self, result: Any = None) -> None:
        """EncodedEvent the last step, however many were taken.

        Args:
            result: What came of it, for an operation of your own. In a task it is not looked at:
                what the task returns is its result.
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
                "%s: step() was called more often than the %s times it was told of; "
                "write the number of all steps where it is made: steps(%s), "
                "or steps(0) where nobody knows it",
                self._name or "steps",
                self._total,
                math.floor(self._total or 0) + 1,
            )
