"""The command ``watch``: show operations until all of them have ended."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from celery_wsprogress.cli import client_options
from celery_wsprogress.cli.bars_printer import BarsPrinter
from celery_wsprogress.cli.printer import Printer, is_terminal
from celery_wsprogress.cli.watched_operations import WatchedOperations
from celery_wsprogress.cli.watched_workflows import WatchedWorkflows
from celery_wsprogress.cli.workflow_printer import WorkflowPrinter

if TYPE_CHECKING:
    from celery_wsprogress.client.reconnecting_client import Token


@click.command(epilog=client_options.EPILOG)
@click.argument("ids", nargs=-1, required=True, metavar="ID…")
@click.option(
    "--workflow",
    "as_workflow",
    is_flag=True,
    help="The ids are those of workflows: of a chain, a group or a chord, as their callers hold "
    "them. Show each as one operation, with its steps.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Stop after this time, with exit code 3 if not all have ended.  [default: no limit]",
)
@click.option(
    "--interval",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two lines of progress of an operation, in a pipe. The last one before "
    "anything else is always printed.",
)
@client_options.options
@click.pass_context
def watch(
    ctx: click.Context,
    ids: tuple[str, ...],
    url: str,
    token: Token,
    *,
    as_json: bool,
    as_workflow: bool,
    timeout: float | None,
    interval: float,
) -> None:
    """Show operations until all of them have ended.

    In a terminal each that runs has a bar, below the lines of what happens. In a pipe everything is
    a line.

    The id of an operation is the id of its Celery task. The command waits for operations that
    are not known yet, if you like only until --timeout.

    \b
    Exit codes: 0 all completed, 1 at least one failed, 2 they could not be watched,
    3 not all have ended within --timeout, 130 interrupted with Ctrl-C.
    """  # noqa: D301 - click wants the \b itself
    if "*" in ids or "" in ids:
        raise click.UsageError("An id names one operation; use `monitor` to see all of them")
    if as_workflow:
        printer, watched = _watched_workflows(ids, as_json)
    else:
        printer, watched = _watched(ids, interval, as_json=as_json)
    try:
        ctx.exit(client_options.run(watched.run(url, token, timeout)))
    finally:
        printer.close()


def _watched(
    ids: tuple[str, ...], interval: float, *, as_json: bool
) -> tuple[Printer, WatchedOperations]:
    if len(set(ids)) > 1 and is_terminal(sys.stdout) and not as_json:
        bars = BarsPrinter(ids)
        return bars, WatchedOperations(ids, bars)
    printer = Printer(ids, as_json=as_json, interval=interval)
    return printer, WatchedOperations(ids, printer)


def _watched_workflows(ids: tuple[str, ...], as_json: bool) -> tuple[Printer, WatchedOperations]:
    printer = WorkflowPrinter(ids, as_json=as_json)
    return printer, WatchedWorkflows(ids, printer)
