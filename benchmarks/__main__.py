"""``python -m benchmarks``: run them all, print the tables, keep the figures as JSON."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import click

from benchmarks import noop_tasks

RESULTS = Path(__file__).parent / "results"


@click.command()
@click.option("--quick", is_flag=True, help="Fewer and shorter pairs; the figures wander more.")
def main(quick: bool) -> None:
    """Measure. Nothing else should run on the machine meanwhile."""
    machine = {"python": platform.python_version(), "machine": platform.platform()}
    click.echo(f"Python {machine['python']} on {machine['machine']}")
    figures = noop_tasks.measure(pairs=5 if quick else 20, tasks=500 if quick else 2000)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "noop_tasks.json"
    path.write_text(json.dumps({**machine, **figures}, indent=2) + "\n")
    click.echo(
        f"Written to {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}"
    )


main()
