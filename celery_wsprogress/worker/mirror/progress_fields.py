"""The fields of a ``task-progress`` event, made from progress. Pure.

None of their names is one of Celery's own: such a field (``result``, ``state``, ``name`` …) would
overwrite the task's in every monitor (celery 5.7, celery/events/state.py, ``Task.event``).
"""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from celery_wsprogress.worker.publishing.progress_slot import Value

MAX_UNIT: Final = 40
"""Characters of a unit that a column shows."""

UNKNOWN: Final = "unknown"
"""The text of progress of which nothing is known but that there is some."""


def progress_fields(value: Value) -> dict[str, Any]:
    """Return ``progress``, a text such as ``30% (3/10 rows)``, and the known numbers.

    Args:
        value: The progress.
    """
    _, fraction, indeterminate, _, _, current, total, unit, _ = value
    numbers = {"current": current, "total": total}
    text = _text(None if indeterminate else fraction, current, total, unit)
    return {"progress": text, **{name: n for name, n in numbers.items() if n is not None}}


def _text(
    fraction: float | None, current: float | None, total: float | None, unit: str | None
) -> str:
    amount = _amount(current, total, unit)
    if fraction is None:
        return amount or UNKNOWN
    # Rounded down: 100 % is what is done. The addend makes up for 0.29 * 100 < 29.
    percent = f"{floor(fraction * 100 + 1e-9)}%"
    return f"{percent} ({amount})" if amount else percent


def _amount(current: float | None, total: float | None, unit: str | None) -> str:
    if current is None:
        return ""
    shown = _number(current) if total is None else f"{_number(current)}/{_number(total)}"
    return f"{shown} {unit[:MAX_UNIT]}" if unit else shown


def _number(value: float) -> str:
    whole = isinstance(value, int) or value.is_integer()
    return f"{value:.0f}" if whole else f"{value:.2f}"
