"""The command ``monitor``: show every operation until Ctrl-C."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from celery_wsprogress.cli import client_options
from celery_wsprogress.cli.printer import Printer

if TYPE_CHECKING:
    from celery_wsprogress.client.reconnecting_client import Token


@click.command(epilog=client_options.EPILOG)
@client_options.options
@click.pass_context
def monitor(ctx: click.Context, url: str, token: Token, *, as_json: bool) -> None:
    """Show every operation, until Ctrl-C.

    It begins with the state of the operations that have not ended. If the sidecar has a key, the
    token must grant everything (`*`).
    """
    printer = Printer(as_json=as_json)
    ctx.exit(client_options.run(_monitor(url, token, printer)))


async def _monitor(url: str, token: Token, printer: Printer) -> int:
    async with client_options.client(url, token, printer) as client:
        client_options.warn_of_broker_error(printer, await client.subscribe("*"))
        async for event in client:
            printer.event(event)
    return client_options.COMPLETED
