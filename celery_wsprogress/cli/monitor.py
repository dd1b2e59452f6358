"""The command ``monitor``: show every operation, until Ctrl-C.

In a terminal it is a table like that of ``top``, of the snapshots that the sidecar lists, asked for
once a second. In a pipe, and with ``--json``, every event is a line.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from celery_wsprogress.cli import client_options
from celery_wsprogress.cli.keys import pressed_keys
from celery_wsprogress.cli.monitor_screen import MonitorScreen
from celery_wsprogress.cli.monitor_view import MonitorView, Show, Sort
from celery_wsprogress.cli.printer import Printer, is_terminal
from celery_wsprogress.errors import CommandError
from celery_wsprogress.urls import masked

if TYPE_CHECKING:
    from celery_wsprogress.client import Client
    from celery_wsprogress.client.reconnecting_client import Token

REFRESH_INTERVAL: Final = 1.0
"""Seconds between two looks at the operations."""

MAX_LISTED: Final = 300
"""Operations of each list. The sidecar may hold many thousands."""

_LISTS: Final[tuple[dict[str, str], ...]] = ({}, {"state": "running"}, {"state": "retrying"})
"""What is asked for: the newest, and what runs, however old."""


@click.command(epilog=client_options.EPILOG)
@click.option(
    "--sort",
    type=click.Choice([one.value for one in Sort]),
    default=Sort.STATE.value,
    show_default=True,
    help="What comes first.",
)
@click.option(
    "--show",
    type=click.Choice([one.value for one in Show]),
    default=Show.ALL.value,
    show_default=True,
    help="Which states are shown.",
)
@click.option(
    "--type",
    "operation_type",
    default="",
    metavar="NAME",
    help="Only types that this is a part of, or a glob such as 'shop.*'.",
)
@click.option("--tag", default="", metavar="TAG", help="Only tags that this is a part of.")
@click.option(
    "--text", default="", metavar="WORDS", help="Only operations in which all words occur."
)
@client_options.options
@click.pass_context
def monitor(
    ctx: click.Context,
    /,
    url: str,
    token: Token,
    *,
    as_json: bool,
    sort: str,
    show: str,
    operation_type: str,
    tag: str,
    text: str,
) -> None:
    """Show every operation, until Ctrl-C.

    In a terminal it is a table of the newest operations, and of all that run: the keys at its
    bottom sort, filter, unfold workflows and cancel. In a pipe, and with --json, every event is a
    line; it begins with the state of the operations that have not ended.

    If the sidecar has a key, the token must grant everything (`*`).
    """
    if is_terminal(sys.stdout) and is_terminal(sys.stdin) and not as_json:
        view = MonitorView(Sort(sort), Show(show), operation_type, tag, text)
        screen = MonitorScreen(view, masked(url))
        try:
            ctx.exit(client_options.run(_show_table(url, token, screen)))
        finally:
            screen.close()
    if operation_type or tag or text or show != Show.ALL:
        raise click.UsageError("The filters are those of a terminal; in a pipe use `list`")
    printer = Printer(as_json=as_json)
    ctx.exit(client_options.run(_print_events(url, token, printer)))


async def _print_events(url: str, token: Token, printer: Printer) -> int:
    async with client_options.client(url, token, printer) as client:
        client_options.warn_of_broker_error(printer, await client.subscribe("*"))
        async for event in client:
            printer.event(event)
    return client_options.COMPLETED


async def _show_table(url: str, token: Token, screen: MonitorScreen) -> int:
    # First the keys: one that is pressed before they are read would be echoed, or lost.
    with pressed_keys() as keys:
        async with client_options.client(url, token, screen) as client:
            screen.update(await _fetch(client))
            client_options.warn_of_broker_error(screen, [await client.send_command("ping")])
            pressing = _press(client, screen, keys)
            await client_options.run_until_one_ends(_refresh(client, screen), pressing)
    return client_options.COMPLETED


async def _refresh(client: Client, screen: MonitorScreen) -> None:
    while True:
        await asyncio.sleep(REFRESH_INTERVAL)
        screen.update(await _fetch(client))


async def _fetch(client: Client) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for fields in _LISTS:
        page = await client.send_command("list_operations", limit=MAX_LISTED, **fields)
        found |= {one["operation_id"]: one for one in page["operations"]}
    return list(found.values())


async def _press(client: Client, screen: MonitorScreen, keys: asyncio.Queue[str]) -> None:
    while not screen.closed:
        screen.press(await keys.get())
        if screen.cancelled is not None:
            operation_id, screen.cancelled = screen.cancelled, None
            screen.warn(await _cancel(client, operation_id))


async def _cancel(client: Client, operation_id: str) -> str:
    """Ask for it, and return what came of it."""
    try:
        reply = await client.cancel(operation_id)
    except CommandError as exc:
        return str(exc)
    if reply.get("status") == "accepted":
        return f"The workers were told to cancel {operation_id}"
    return f"{operation_id} has ended before"
