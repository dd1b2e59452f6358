"""Assertions about what tasks have reported."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from celery_wsprogress.testing.recorded import DIRECT, ENDS, Recorded

if TYPE_CHECKING:
    from typing import Literal


def assert_progress(
    recorded: Recorded,
    *,
    ends: Literal["completed", "error", "cancelled"] | None = None,
    monotonic: bool = False,
    timeout: float = 10.0,
) -> None:
    """Assert that tasks have reported progress, and how.

    Args:
        recorded: What was recorded; ``recorded.of(result)`` for one of several tasks.
        ends: How each of them must have ended. A task that is called as a function has no end: it
            completes by returning.
        monotonic: Whether the progress of no run may fall.
        timeout: Seconds to wait for the ends of tasks on a worker, which come a moment after their
            results.

    Raises:
        AssertionError: It is not so.
    """
    __tracebackhide__ = True
    if ends is not None:
        _assert_ends(recorded, ends, timeout)
    if not recorded.progress:
        raise AssertionError(_nothing(recorded))
    if monotonic:
        _assert_monotonic(recorded)


def _nothing(recorded: Recorded) -> str:
    if not recorded.events:
        return (
            "no task has reported anything: either none has run, or its events are switched off "
            "(wsprogress_enabled, wsprogress_tasks)"
        )
    kinds = sorted({event["event_type"] for event in recorded.events})
    return f"no progress was reported, only {', '.join(kinds)}"


def _assert_ends(recorded: Recorded, ends: str, timeout: float) -> None:
    __tracebackhide__ = True
    unended = recorded.wait_for_ends(timeout)
    if unended:
        raise AssertionError(f"not ended: {', '.join(unended)}")
    found = [_end_of(recorded, one) for one in recorded.operation_ids]
    wrong = [said for end, said in found if end != ends]
    if wrong:
        raise AssertionError(f"expected to end as {ends}, but {'; '.join(wrong)}")


def _end_of(recorded: Recorded, operation_id: str) -> tuple[str, str]:
    """Return how a task ended, and a sentence about it."""
    if operation_id == DIRECT:
        return "completed", "a task that is called as a function completes by returning"
    data = [one["data"] for one in recorded.of(operation_id).events if one["event_type"] in ENDS]
    end = data[-1]
    error = f": {end['error_type']}: {end['error']}" if "error" in end else ""
    return end["status"], f"{operation_id} ended as {end['status']}{error}"


def _assert_monotonic(recorded: Recorded) -> None:
    __tracebackhide__ = True
    runs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for event in recorded.events:
        if event["event_type"] == "progress":
            key = event["operation_id"], event.get("run", "")
            runs.setdefault(key, []).append(event["data"])
    for (operation_id, _), reports in runs.items():
        for before, after in pairwise(reports):
            if after["progress"] < before["progress"]:
                raise AssertionError(
                    f"progress of {operation_id} fell from {_shown(before)} to {_shown(after)}"
                )


def _shown(report: dict[str, Any]) -> str:
    message = f" ({report['message']!r})" if report["message"] else ""
    return f"{report['progress']:.6g}{message}"
