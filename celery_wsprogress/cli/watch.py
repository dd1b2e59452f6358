"""``watch``: one operation, or several, to their end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from celery_wsprogress.cli import client_options
from celery_wsprogress.cli.printer import Printer
from celery_wsprogress.printable import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from celery_wsprogress.client import Client


@click.command(epilog=client_options.EPILOG)
@click.argument("ids", nargs=-1, required=True, metavar="ID…")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Give up after so long, whatever is missing then.  [default: wait for ever]",
)
@client_options.options
@click.pass_context
def watch(
    ctx: click.Context,
    ids: tuple[str, ...],
    url: str,
    token_file: Path | None,
    *,
    as_json: bool,
    timeout: float | None,
) -> None:
    """Show operations until all of them have ended.

    An operation's id is the id of its Celery task. One that nobody has heard of yet is waited
    for; --timeout says how long.

    \b
    Exit code: 0 all completed, 1 at least one ended in error, 2 they could not be watched,
    3 they had not all ended within --timeout, 130 interrupted with Ctrl-C.
    """  # noqa: D301 - click wants the \b itself
    if "*" in ids or "" in ids:
        raise click.UsageError("An id names one operation; `monitor` shows all of them")
    printer = Printer(ids, as_json=as_json)
    watching = Watching(ids, printer)
    try:
        ctx.exit(client_options.run(watching.run(url, token_file, timeout)))
    finally:
        printer.close()


class Watching:
    """Operations on their way to their ends.

    Args:
        ids: Which.
        printer: Where what happens is shown.
    """

    def __init__(self, ids: Iterable[str], printer: Printer) -> None:
        self._ends: dict[str, str] = dict.fromkeys(ids, "")
        self._unknown: set[str] = set()
        self._printer = printer
        self._connected = False

    async def run(self, url: str, token_file: Path | None, seconds: float | None) -> int:
        """Watch to the last end, or until the time is over; gives the exit code."""
        try:
            async with asyncio.timeout(seconds):
                async with client_options.client(url, token_file, self._printer) as client:
                    await self._follow(client)
        except TimeoutError:
            if seconds is None:
                raise
            for line in self._missing(f"{seconds:g} s"):
                self._printer.note(line)
            return client_options.NOT_ENDED
        ended_well = set(self._ends.values()) == {"completed"}
        return client_options.COMPLETED if ended_well else client_options.ERROR

    async def _follow(self, client: Client) -> None:
        replies = await client.subscribe(*self._ends)
        self._connected = True
        client_options.mention_broker(self._printer, replies)
        self._mention_unknown(replies)
        async for event in client:
            self._printer.event(event)
            self._take(event)
            if all(self._ends.values()):
                return

    def _mention_unknown(self, replies: list[dict[str, Any]]) -> None:
        """Say that there is nothing yet: else a wrong id and a slow task look alike."""
        for reply in replies:
            if "operation_id" in reply and reply.get("operation") is None:
                one = str(reply["operation_id"])
                self._unknown.add(one)
                self._printer.note(f"Nothing is known of {clean(one)} yet; waiting")

    def _take(self, event: Mapping[str, Any]) -> None:
        """An operation that starts again after its end has not ended."""
        operation_id, kind = event.get("operation_id"), event.get("event_type")
        if not isinstance(operation_id, str) or operation_id not in self._ends:
            return
        self._unknown.discard(operation_id)
        data = event.get("data")
        if kind in {"completed", "error"}:
            self._ends[operation_id] = str(kind)
        elif kind == "status" and isinstance(data, dict) and data.get("status") == "started":
            self._ends[operation_id] = ""

    def _missing(self, time: str) -> list[str]:
        """A line for each that has not ended, with what may be the reason."""
        if not self._connected:
            return [f"There was no answer from the sidecar within {time}"]
        open_ones = [one for one, end in self._ends.items() if not end]
        return [
            f"Nothing was heard of {clean(one)} within {time}. Is this the id of a task with "
            "base=StreamingTask, and does its worker use the same broker?"
            if one in self._unknown
            else f"{clean(one)} has not ended within {time}"
            for one in open_ones
        ]
