"""``monitor``: every operation, until it is interrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from celery_wsprogress.cli import connecting
from celery_wsprogress.cli.printing import Printer

if TYPE_CHECKING:
    from pathlib import Path


@click.command(epilog=connecting.EPILOG)
@connecting.options
@click.pass_context
def monitor(ctx: click.Context, url: str, token_file: Path | None, *, as_json: bool) -> None:
    """Show every operation, until Ctrl-C.

    It begins with how things stand with those that have not ended. Where the sidecar has a key
    the token must grant everything (`*`).
    """
    printer = Printer(as_json=as_json)
    ctx.exit(connecting.run(_monitor(url, token_file, printer)))


async def _monitor(url: str, token_file: Path | None, printer: Printer) -> int:
    async with connecting.client(url, token_file, printer) as client:
        connecting.mention_broker(printer, await client.subscribe("*"))
        async for event in client:
            printer.event(event)
    return connecting.COMPLETED
