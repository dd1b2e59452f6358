"""The command ``history``: print what has happened in an operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from celery_wsprogress.cli import client_options
from celery_wsprogress.cli.printer import Printer
from celery_wsprogress.printable import escape_control
from celery_wsprogress.protocol.workflow_ids import workflow_operation_id

if TYPE_CHECKING:
    from celery_wsprogress.client.reconnecting_client import Token

MAX_EVENTS: Final = 1_000
"""Events of one reply; the maximum of the protocol, and about what a sidecar holds."""


@click.command(epilog=client_options.EPILOG)
@click.argument("operation_id", metavar="ID")
@click.option(
    "--workflow",
    "is_workflow",
    is_flag=True,
    help="The id is that of a workflow: of a chain, a group or a chord, as its caller holds it.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, MAX_EVENTS),
    default=MAX_EVENTS,
    show_default=True,
    help="Maximum number of events: the newest.",
)
@client_options.options
@click.pass_context
def history(
    ctx: click.Context,
    operation_id: str,
    url: str,
    token: Token,
    *,
    is_workflow: bool,
    limit: int,
    as_json: bool,
) -> None:
    """Print what has happened in an operation, and end.

    It prints the events that the sidecar holds, the oldest first, those of earlier attempts
    included. Of progress only the latest is held.

    \b
    Exit codes: 0 they were printed, 1 nothing is known of the operation, 2 the sidecar refused it
    or cannot be reached.
    """  # noqa: D301 - click wants the \b itself
    watched = workflow_operation_id(operation_id) if is_workflow else operation_id
    printer = Printer([watched], as_json=as_json, rewrite=False)
    ctx.exit(client_options.run(_history(watched, url, token, limit, printer)))


async def _history(watched: str, url: str, token: Token, limit: int, printer: Printer) -> int:
    async with client_options.client(url, token) as client:
        reply = await client.send_command("get_history", operation_id=watched, limit=limit)
    events: list[dict[str, Any]] = reply["events"]
    if not events:
        printer.warn(
            f"Nothing is known of {escape_control(watched)}. Is this the id of a task with "
            "base=StreamingTask? The sidecar forgets the oldest that have ended"
        )
        return client_options.ERROR
    if not reply["complete"]:
        printer.warn("There were more events before these")
    for event in events:
        printer.event(event)
    return client_options.COMPLETED
