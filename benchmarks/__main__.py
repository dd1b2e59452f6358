"""``python -m benchmarks``: measure, print tables, keep the figures as JSON."""

from __future__ import annotations

import os
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from benchmarks import machine
from benchmarks.printing import as_text

if TYPE_CHECKING:
    from benchmarks.figures import Table

NAMES: Final = (
    "task_overhead",
    "delay",
    "fan_out",
    "many_operations",
    "ingest",
    "memory",
    "growth",
)
"""Each is a module with a function ``measure``."""

RESULTS: Final = Path(__file__).parent / "results"


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(NAMES), metavar="[NAME]...")
@click.option("--quick", is_flag=True, help="Fewer and shorter rounds; the figures wander more.")
def main(names: tuple[str, ...], quick: bool) -> None:
    """Measure: all, or what is named. Nothing else should run on the machine meanwhile."""
    machine.allow_many_files()
    machine.pin(os.getpid(), machine.LOAD)
    described = machine.description()
    click.echo("\n".join(f"{name}: {value}" for name, value in described.items()))
    for name in names or NAMES:
        began = time.monotonic()
        table: Table = import_module(f"benchmarks.{name}").measure(quick=quick)
        click.echo(f"\n{as_text(table)}\n  [{name}: {time.monotonic() - began:.0f} s]")
        RESULTS.mkdir(exist_ok=True)
        kept = {"machine": described, "table": table}
        text = msgspec.json.format(msgspec.json.encode(kept)).decode()
        (RESULTS / f"{name}.json").write_text(text + "\n")


main()
