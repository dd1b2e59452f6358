"""The command ``size``: estimate what a load needs, from measured costs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from celery_wsprogress.cli.event_lines import table
from celery_wsprogress.cli.size_estimate import (
    COSTS,
    DECODE,
    MAX_LOAD,
    Load,
    decode_time,
    estimate,
)
from celery_wsprogress.settings import ServeSettings

if TYPE_CHECKING:
    from celery_wsprogress.cli.size_estimate import Estimate

EPILOG = """\
The costs behind it, and how they were measured, are in the documentation: From one machine to many.
"""


@click.command(epilog=EPILOG)
@click.option("--tasks", type=click.IntRange(0), required=True, help="Tasks that run at a time.")
@click.option(
    "--updates",
    type=click.FloatRange(0, 1_000),
    default=1.0,
    show_default=True,
    help="Progress events of each task per second. Workers send at most 10, as they are set.",
)
@click.option(
    "--watchers",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Clients that are connected, each of which watches one task.",
)
@click.option(
    "--share",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    help="The part of them whose task runs.",
)
@click.option(
    "--duration",
    type=click.FloatRange(0.001),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Time that a task takes.",
)
@click.option(
    "--here",
    is_flag=True,
    help="For processors as this machine has; else as that of the documentation.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def size(ctx: click.Context, /, *, here: bool, as_json: bool, **load: Any) -> None:
    """Estimate how many sidecar processes a load needs, their memory, and the broker's traffic.

    It exits with 1 where one log is too much for a core.
    """
    asked = Load(**load, held=ServeSettings().max_finished)
    costs = COSTS.times(decode_time() / DECODE) if here else COSTS
    found = estimate(asked, costs)
    click.echo(json.dumps(found._asdict()) if as_json else "\n".join(_lines(found)))
    if found.processes is None:
        click.echo(
            f"A process needs {found.busy:.1f} cores to read the log, and can use {MAX_LOAD}. "
            "Let tasks report more rarely (wsprogress_progress_interval), or give projects an "
            "exchange each (wsprogress_exchange).",
            err=True,
        )
        ctx.exit(1)


def _lines(found: Estimate) -> list[str]:
    processes = "-" if found.processes is None else f"{found.processes:,}"
    return table(
        [
            ("sidecar processes, a core each", processes),
            ("busy, each", f"{100 * found.busy:.0f} %"),
            ("memory, each", _megabytes(found.memory)),
            ("events read, each", f"{found.events:,.0f} /s"),
            ("frames to clients", f"{found.deliveries:,.0f} /s"),
            ("to the broker", f"{_megabytes(found.log_in)}/s"),
            ("from the broker", f"{_megabytes(found.log_out)}/s"),
            ("to clients", f"{_megabytes(found.to_clients)}/s"),
        ]
    )


def _megabytes(size: float) -> str:
    return f"{size / 1e6:,.1f} MB"
