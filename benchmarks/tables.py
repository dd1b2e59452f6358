"""Tables, on a terminal and as Markdown. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.figures import number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.figures import Figure, Table

HEAD = ("", "median", "10 % to 90 %", "target", "")


def as_text(table: Table) -> str:
    """The table for a terminal, its columns below each other."""
    rows = [HEAD, *_rows(table)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"{table.title} ({table.rounds})"]
    for name, *cells in rows:
        right = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        lines.append("  ".join(("", name.ljust(widths[0]), *right)).rstrip())
    return "\n".join(lines)


def as_markdown(table: Table) -> str:
    """The table for a page of the documentation."""
    rows = [HEAD, ("---", *["---:"] * (len(HEAD) - 1)), *_rows(table)]
    lines = (f"| {' | '.join(cells)} |" for cells in rows)
    taken = f"{table.rounds}; {table.day}" if table.day else table.rounds
    return "\n".join((*lines, "", f"({taken})", ""))


def _rows(table: Table) -> Iterator[tuple[str, ...]]:
    for one in table.figures:
        target = str(one.target) if one.target else ""
        shown = f"{number(one.spread.median)} {one.unit}"
        spread = f"{number(one.spread.low)} to {number(one.spread.high)}"
        yield one.name, shown, spread, target, _verdict(one)


def _verdict(one: Figure) -> str:
    if one.target is None:
        return ""
    return "missed" if one.is_missed else "held"
