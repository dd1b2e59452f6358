"""Draw the phases of a task as segments of a bar, for :mod:`.event_lines`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def phases_of(data: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the phases in the data of a progress event, those that have a share of the bar."""
    details = data.get("details")
    found = details.get("phases") if isinstance(details, dict) else None
    if not isinstance(found, list):
        return []
    return [one for one in found if isinstance(one, dict) and float(one.get("weight", 0.0)) > 0.0]


def segments(phases: Sequence[Mapping[str, Any]], width: int) -> str:
    """Return a bar of so many columns, and one more between two phases.

    A phase that failed is filled with ``!`` as far as it came. One too small for a column is left
    out.
    """
    drawn, at, edge = [], 0.0, 0
    for phase in phases:
        at += float(phase["weight"])
        columns, edge = min(width, round(width * at)) - edge, min(width, round(width * at))
        if columns > 0:
            fraction = min(1.0, max(0.0, float(phase.get("fraction", 0.0))))
            done = int(columns * fraction + 1e-9)
            fill = "!" if phase.get("state") == "error" else "#"
            drawn.append(fill * done + "." * (columns - done))
    return "|".join([*drawn, "." * (width - edge)] if edge < width else drawn)


def running_phase(data: Mapping[str, Any]) -> str:
    """Return the name of the first phase that runs, unless the message says it."""
    running = (one for one in phases_of(data) if one.get("state") == "running")
    name = str(next(running, {}).get("name", ""))
    return "" if name == data.get("message") else name
