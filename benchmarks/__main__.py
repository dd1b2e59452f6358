"""``python -m benchmarks``: measure, print tables, keep the figures as JSON."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import click
import msgspec
from msgspec import structs

from benchmarks import NAMES, machine
from benchmarks.fresh_process import measured
from benchmarks.page import Kept, page
from benchmarks.tables import as_text

HERE: Final = Path(__file__).parent
RESULTS: Final = HERE / "results"
"""The latest figures, one file for each benchmark."""

KEPT: Final = HERE / "results.json"
"""The figures that the documentation shows."""

PAGE: Final = HERE.parent / "docs" / "explanation" / "performance.md"


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(NAMES))
@click.option("--quick", is_flag=True, help="Fewer and shorter rounds; the figures wander more.")
@click.option("--keep", is_flag=True, help="Show the figures in docs/explanation/performance.md.")
@click.option("--page", "only_page", is_flag=True, help="Only write that page again.")
def main(names: tuple[str, ...], quick: bool, keep: bool, only_page: bool) -> None:
    """Measure: all, or what is named. Nothing else should run on the machine meanwhile."""
    if not only_page:
        _measure(names or NAMES, quick=quick, keep=keep)
    if only_page or keep:
        kept = msgspec.json.decode(KEPT.read_bytes(), type=Kept)
        PAGE.write_text(page((HERE / "page.md").read_text(), kept))
        click.echo(f"Written: {PAGE}")


def _measure(names: tuple[str, ...], *, quick: bool, keep: bool) -> None:
    described = machine.description()
    kept = _kept(described) if keep else None
    today = time.strftime("%Y-%m-%d")
    click.echo("\n".join(f"{name}: {value}" for name, value in described.items()))
    for name in names:
        began = time.monotonic()
        table = structs.replace(measured(name, quick=quick), day=today)
        click.echo(f"\n{as_text(table)}\n  [{name}: {time.monotonic() - began:.0f} s]")
        _write(RESULTS / f"{name}.json", Kept(described, {name: table}))
        if kept is not None:
            kept.tables[name] = table
            _write(KEPT, kept)


def _kept(described: dict[str, str]) -> Kept:
    """Return the figures that were kept; none if they are of another machine."""
    if KEPT.exists():
        kept = msgspec.json.decode(KEPT.read_bytes(), type=Kept)
        if kept.machine == described:
            return kept
    return Kept(described, {})


def _write(path: Path, kept: Kept) -> None:
    path.parent.mkdir(exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(kept)).decode()
    path.write_text(text + "\n")


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
