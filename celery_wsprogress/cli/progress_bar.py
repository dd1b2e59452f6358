"""Progress as a line with a bar, to be rewritten in place. Pure.

Where the terminal is narrow the bar shrinks first, then the message; the figures are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.cli.event_lines import (
    LABEL_WIDTH,
    clock,
    progress_figures,
    progress_word,
    truncate_to_width,
    width,
)
from celery_wsprogress.cli.phase_bar import phases_of, segments
from celery_wsprogress.printable import escape_control

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_WIDTH: Final = 24
MIN_WIDTH: Final = 8


def progress_bar(event: Mapping[str, Any], columns: int | None = None, name: str = "") -> str:
    """Return the line of a progress event.

    Args:
        event: The event.
        columns: Columns that the line may take; None for as many as it needs.
        name: The name of the operation, if there are several. It stands in the place of the time.
    """
    data = {**event, **event["data"]}
    if name:
        head = f"{name}  {progress_word(data)} "
    else:
        head = f"{clock(event.get('timestamp', 0.0))}  {progress_word(data):<{LABEL_WIDTH}} "
    message = escape_control(str(data.get("message", "")))
    more = escape_control(", ".join(progress_figures(data)))
    line = ""
    for wide in range(MAX_WIDTH, MIN_WIDTH - 1, -1):
        line = f"{head}[{_bar(data, wide)}] {_joined(message, more)}".rstrip()
        if columns is None or width(line) <= columns:
            return line
    assert columns is not None  # noqa: S101 - else it was returned
    return _with_less_said(f"{head}[{_bar(data, MIN_WIDTH)}]", message, more, columns)


def _with_less_said(drawn: str, message: str, more: str, columns: int) -> str:
    """Return the line with as much of the message as there is room for."""
    room = columns - width(f"{drawn} {_joined('…', more)}")
    shortened = truncate_to_width(message, room).rstrip() if room > 0 else ""
    said = _joined(f"{shortened}…" if shortened else "", more)
    return truncate_to_width(f"{drawn} {said}".rstrip(), columns)


def _joined(message: str, more: str) -> str:
    return f"{message} ({more})".strip() if more else message


def _bar(data: Mapping[str, Any], wide: int) -> str:
    if data.get("indeterminate"):
        return "-" * wide
    phases = phases_of(data)
    if phases:
        return segments(phases, wide)
    done = round(wide * float(data.get("progress", 0.0)))
    return "#" * done + "." * (wide - done)
