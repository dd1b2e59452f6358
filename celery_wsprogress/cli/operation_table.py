"""Operations as lines of a table, for ``list``, ``monitor`` and ``interactive``. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.cli.colors import plain
from celery_wsprogress.cli.event_lines import (
    clock,
    figures,
    percent,
    short_name,
    truncate_to_width,
    width,
)
from celery_wsprogress.printable import escape_control
from celery_wsprogress.protocol.workflow_ids import workflow_id_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from celery_wsprogress.cli.colors import Paint

    Operation = Mapping[str, Any]

HEAD: Final = ("ID", "STATE", "DONE", "AT", "TYPE", "")

_MAX_ID_WIDTH: Final = 46
_MAX_TYPE_WIDTH: Final = 30


def operation_table(
    operations: Iterable[Operation],
    columns: int | None = None,
    *,
    short_ids: bool = False,
    marks: Sequence[str] | None = None,
    paint: Paint = plain,
) -> list[str]:
    """Return a line for each operation, below one with the heads of the columns.

    Args:
        operations: Snapshots, as in the wire protocol.
        columns: Columns of the terminal; None cuts nothing.
        short_ids: Whether only the beginning of a UUID is shown.
        marks: What stands before each id.
        paint: Colours the states.
    """
    rows = [_cells(one, short_id=short_ids) for one in operations]
    if marks is not None:
        rows = [(mark + row[0], *row[1:]) for mark, row in zip(marks, rows, strict=True)]
    rows = [HEAD, *rows]
    widths = [_column_width(cells, number) for number, cells in enumerate(zip(*rows, strict=True))]
    lines = [_line(row, widths) for row in rows]
    if columns is not None:
        lines = [truncate_to_width(one, columns) for one in lines]
    return [_painted(line, row, widths[0], paint) for line, row in zip(lines, rows, strict=True)]


def state_of(operation: Operation) -> str:
    """Return the state of an operation: that of its life cycle."""
    return str(operation.get("state") or operation.get("status") or "")


def moment_of(operation: Operation) -> float:
    """Return when it ended; of one that has not, when it started, or was sent. Epoch seconds."""
    for name in ("finished_at", "started_at", "received_at", "queued_at"):
        found = operation.get(name)
        if isinstance(found, (int, float)) and found > 0:
            return float(found)
    return 0.0


def description_of(operation: Operation) -> str:
    """Return what a person wants to know of its state: figures and message, or the error."""
    if state_of(operation) in {"error", "cancelled"}:
        return ": ".join(
            str(operation[name]) for name in ("error_type", "error") if operation.get(name)
        )
    shown = [] if state_of(operation) == "completed" else figures(operation)
    message = str(operation.get("message") or "")
    return ", ".join([*shown, message] if message else shown)


def _cells(operation: Operation, *, short_id: bool) -> tuple[str, ...]:
    shown_id = str(operation["operation_id"])
    if short_id:
        workflow_id = workflow_id_of(shown_id)
        prefix = shown_id.removesuffix(workflow_id) if workflow_id else ""
        shown_id = prefix + short_name(shown_id.removeprefix(prefix))
    done = f"{percent(operation):3d}%"
    cells = (
        shown_id,
        state_of(operation),
        "...%" if operation.get("indeterminate") else done,
        clock(moment_of(operation)) if moment_of(operation) else "",
        str(operation.get("operation_type") or ""),
        description_of(operation),
    )
    return tuple(map(escape_control, cells))


def _painted(line: str, row: Sequence[str], id_width: int, paint: Paint) -> str:
    """Return a line with its state coloured, if that is on it."""
    state = row[1]
    at = len(row[0]) + max(0, id_width - width(row[0])) + 2
    end = at + len(state)
    return line[:at] + paint(state, state) + line[end:] if line[at:end] == state else line


def _column_width(cells: Sequence[str], number: int) -> int:
    widest = max(map(width, cells))
    limits = {0: _MAX_ID_WIDTH, 4: _MAX_TYPE_WIDTH}
    return min(widest, limits.get(number, widest))


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    padded = (
        cell + " " * (wide - width(cell)) for cell, wide in zip(row[:-1], widths[:-1], strict=True)
    )
    return "  ".join([*padded, row[-1]]).rstrip()
