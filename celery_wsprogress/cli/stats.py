"""``stats``: the sidecar's figures, once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from celery_wsprogress.cli import connecting
from celery_wsprogress.cli.lines import table

if TYPE_CHECKING:
    from pathlib import Path


@click.command(epilog=connecting.EPILOG)
@connecting.options
@click.pass_context
def stats(ctx: click.Context, url: str, token_file: Path | None, *, as_json: bool) -> None:
    """Print the sidecar's figures: clients, operations, subscriptions, events."""
    ctx.exit(connecting.run(_stats(url, token_file, as_json=as_json)))


async def _stats(url: str, token_file: Path | None, *, as_json: bool) -> int:
    async with connecting.client(url, token_file) as client:
        found = (await client.ask("get_stats"))["stats"]
    click.echo(json.dumps(found) if as_json else "\n".join(table(found.items())))
    return connecting.COMPLETED
