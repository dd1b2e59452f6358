"""The command ``watch``: show operations until all of them have ended."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import click

from celery_wsprogress.cli import client_options
from celery_wsprogress.cli.printer import Printer
from celery_wsprogress.printable import escape_control

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
    help="Stop after this time, with exit code 3 if not all have ended.  [default: no limit]",
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

    The id of an operation is the id of its Celery task. The command waits for operations that
    are not known yet, if you like only until --timeout.

    \b
    Exit codes: 0 all completed, 1 at least one failed, 2 they could not be watched,
    3 not all have ended within --timeout, 130 interrupted with Ctrl-C.
    """  # noqa: D301 - click wants the \b itself
    if "*" in ids or "" in ids:
        raise click.UsageError("An id names one operation; use `monitor` to see all of them")
    printer = Printer(ids, as_json=as_json)
    watched = WatchedOperations(ids, printer)
    try:
        ctx.exit(client_options.run(watched.run(url, token_file, timeout)))
    finally:
        printer.close()


class WatchedOperations:
    """The operations of one `watch`, and whether they have ended.

    Args:
        ids: Their ids.
        printer: Prints their events.
    """

    def __init__(self, ids: Iterable[str], printer: Printer) -> None:
        self._end_types: dict[str, str] = dict.fromkeys(ids, "")
        self._unknown: set[str] = set()
        self._printer = printer
        self._connected = False

    async def run(self, url: str, token_file: Path | None, seconds: float | None) -> int:
        """Watch until all have ended or the time is over; return the exit code."""
        try:
            async with asyncio.timeout(seconds):
                async with client_options.client(url, token_file, self._printer) as client:
                    await self._watch(client)
        except TimeoutError:
            if seconds is None:
                raise
            for line in self._describe_missing(f"{seconds:g} s"):
                self._printer.warn(line)
            return client_options.NOT_ENDED
        ended_well = set(self._end_types.values()) == {"completed"}
        return client_options.COMPLETED if ended_well else client_options.ERROR

    async def _watch(self, client: Client) -> None:
        replies = await client.subscribe(*self._end_types)
        self._connected = True
        client_options.warn_of_broker_error(self._printer, replies)
        self._warn_of_unknown(replies)
        countdown = asyncio.create_task(self._count_down())
        try:
            async for event in client:
                self._printer.event(event)
                self._on_event(event)
                if all(self._end_types.values()):
                    return
        finally:
            countdown.cancel()

    async def _count_down(self) -> None:
        while True:
            self._printer.count_down(time.time())
            await asyncio.sleep(1.0)

    def _warn_of_unknown(self, replies: list[dict[str, Any]]) -> None:
        """Warn of unknown operations: the id may be wrong, or the task not sent yet."""
        for reply in replies:
            if "operation_id" in reply and reply.get("operation") is None:
                one = str(reply["operation_id"])
                self._unknown.add(one)
                self._printer.warn(f"Nothing is known of {escape_control(one)} yet; waiting")

    def _on_event(self, event: Mapping[str, Any]) -> None:
        """Record the end of an operation, or that it was started again."""
        operation_id, kind = event.get("operation_id"), event.get("event_type")
        if not isinstance(operation_id, str) or operation_id not in self._end_types:
            return
        self._unknown.discard(operation_id)
        data = event.get("data")
        if kind in {"completed", "error"}:
            self._end_types[operation_id] = str(kind)
        elif kind == "status" and isinstance(data, dict) and data.get("status") == "started":
            self._end_types[operation_id] = ""

    def _describe_missing(self, time: str) -> list[str]:
        """Return a line for each operation that has not ended, with the likely reason."""
        if not self._connected:
            return [f"There was no answer from the sidecar within {time}"]
        open_ones = [one for one, end in self._end_types.items() if not end]
        return [
            f"Nothing was heard of {escape_control(one)} within {time}. Is this the id of a task "
            "with base=StreamingTask, and does its worker use the same broker?"
            if one in self._unknown
            else f"{escape_control(one)} has not ended within {time}"
            for one in open_ones
        ]
