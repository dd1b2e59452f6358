"""Waiting for a condition: the only way the tests wait."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def eventually(
    condition: Callable[[], T], timeout: float = 60.0, *, interval: float = 0.02, what: str = ""
) -> T:
    """Call the condition until it returns something true, and return that.

    What the condition raises is the caller's: it ends the waiting.

    Args:
        condition: Cheap, and free of side effects that add up.
        timeout: Seconds after which the test fails. A limit for machines that are very
            busy, never a statement about speed.
        interval: Seconds between two calls.
        what: What was waited for, for the message of the failure.

    Raises:
        AssertionError: the condition did not become true in time.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(
                f"not within {timeout} s: {what or condition!r} (last value: {value!r})"
            )
        time.sleep(interval)
