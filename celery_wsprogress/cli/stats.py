"""The command ``stats``: print the statistics of the sidecar, once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from celery_wsprogress.cli import client_options
from celery_wsprogress.cli.event_lines import table

if TYPE_CHECKING:
    from celery_wsprogress.client.reconnecting_client import Token


@click.command(epilog=client_options.EPILOG)
@client_options.options
@click.pass_context
def stats(ctx: click.Context, url: str, token: Token, *, as_json: bool) -> None:
    """Print the statistics of the sidecar: clients, operations, subscriptions, events."""
    ctx.exit(client_options.run(_stats(url, token, as_json=as_json)))


async def _stats(url: str, token: Token, *, as_json: bool) -> int:
    async with client_options.client(url, token) as client:
        found = (await client.send_command("get_stats"))["stats"]
    click.echo(json.dumps(found) if as_json else "\n".join(table(found.items())))
    return client_options.COMPLETED
