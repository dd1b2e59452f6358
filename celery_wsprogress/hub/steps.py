"""Work in steps: what may take long yields between its parts, so that others have their turn.

A command whose cost grows with the number of operations returns a generator; the sidecar takes one
step at a time (:mod:`celery_wsprogress.sidecar.limits.turn_queue`). Between two steps operations
may come, change and be evicted.

Pure.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias, TypeVar

T = TypeVar("T")

Steps: TypeAlias = Generator[None, None, T]
"""Yields between two steps, and returns the result."""


def take_all(steps: Steps[T]) -> T:
    """Take all steps at once and return the result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
