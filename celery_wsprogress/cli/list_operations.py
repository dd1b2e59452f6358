"""The command ``list``: list operations, the newest first."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from celery_wsprogress.cli import client_options
from celery_wsprogress.cli.colors import painter
from celery_wsprogress.cli.operation_table import operation_table
from celery_wsprogress.cli.printer import terminal_columns
from celery_wsprogress.operations.states import State

if TYPE_CHECKING:
    from celery_wsprogress.client import Client
    from celery_wsprogress.client.reconnecting_client import Token

DEFAULT_LIMIT: Final = 20

PAGE_SIZE: Final = 1_000
"""Operations of one reply; the maximum of the protocol."""


@click.command("list", epilog=client_options.EPILOG)
@click.option(
    "--state",
    type=click.Choice([one.value for one in State]),
    help="Only operations in this state.",
)
@click.option(
    "--type",
    "operation_type",
    metavar="GLOB",
    help="Only operations of this type, such as shop.tasks.report or 'shop.*'.",
)
@click.option("--tag", metavar="TAG", help="Only operations with this tag.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=DEFAULT_LIMIT,
    show_default=True,
    help="Maximum number of operations; 0 lists all that match.",
)
@client_options.options
@click.pass_context
def list_operations(
    ctx: click.Context,
    /,
    url: str,
    token: Token,
    *,
    as_json: bool,
    limit: int,
    **filters: str | None,
) -> None:
    """List operations, the newest first.

    The sidecar has those that have not ended, and the latest of those that have. If it has a key,
    the token must grant everything (`*`), or what the filters select.
    """
    wanted = {name: value for name, value in filters.items() if value is not None}
    ctx.exit(client_options.run(_list(url, token, wanted, limit or None, as_json=as_json)))


async def _list(
    url: str, token: Token, filters: dict[str, str], limit: int | None, *, as_json: bool
) -> int:
    async with client_options.client(url, token) as client:
        found, more = await _fetch(client, filters, limit)
    if as_json:
        lines = [json.dumps(one) for one in found]
    else:
        lines = (
            operation_table(found, terminal_columns(sys.stdout), paint=painter()) if found else []
        )
    for line in lines:
        click.echo(line)
    if not found:
        click.echo("No operation matches" if filters else "There are no operations yet", err=True)
    elif more and not as_json:
        click.echo(f"There are more than {limit}; --limit 0 lists all", err=True)
    return client_options.COMPLETED


async def _fetch(
    client: Client, filters: dict[str, str], limit: int | None
) -> tuple[list[dict[str, Any]], bool]:
    """Return the operations, and whether there are more."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        size = PAGE_SIZE if limit is None else min(PAGE_SIZE, limit - len(found))
        page = await client.send_command("list_operations", **filters, limit=size, cursor=cursor)
        found += page["operations"]
        cursor = page["next"]
        if cursor is None or (limit is not None and len(found) >= limit):
            return found, cursor is not None
