"""``python -m benchmarks``: run them all, print the tables, keep the figures as JSON."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

import click
import websockets

from benchmarks import noop_tasks, rebuild, slow_client

RESULTS = Path(__file__).parent / "results"


@click.command()
@click.option("--quick", is_flag=True, help="Fewer and shorter pairs; the figures wander more.")
def main(quick: bool) -> None:
    """Measure. Nothing else should run on the machine meanwhile."""
    machine = {
        "python": platform.python_version(),
        "websockets": websockets.__version__,
        "processors": os.cpu_count(),
        "machine": platform.platform(),
    }
    click.echo(
        f"Python {machine['python']}, websockets {machine['websockets']}, "
        f"{machine['processors']} processors, {machine['machine']}"
    )
    tasks = noop_tasks.measure(pairs=5 if quick else 20, tasks=500 if quick else 2000)
    _keep("noop_tasks", {**machine, **tasks})
    _keep("rebuild", {**machine, **rebuild.measure(runs=3 if quick else 5, batches=5_000)})
    _keep("slow_client", {**machine, **slow_client.measure(pairs=3 if quick else 10)})


def _keep(name: str, figures: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(figures, indent=2) + "\n")
    click.echo(
        f"Written to {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}"
    )


main()
