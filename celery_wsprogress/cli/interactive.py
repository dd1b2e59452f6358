"""The command ``interactive``: type commands at a prompt, and see events as they come."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from celery_wsprogress.cli import client_options
from celery_wsprogress.cli.colors import painter
from celery_wsprogress.cli.event_lines import table
from celery_wsprogress.cli.operation_table import operation_table
from celery_wsprogress.cli.printer import Printer, is_terminal, terminal_columns
from celery_wsprogress.cli.stdin import read_lines
from celery_wsprogress.errors import CommandError
from celery_wsprogress.printable import escape_control

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from celery_wsprogress.client import Client
    from celery_wsprogress.client.reconnecting_client import Token

PROMPT: Final = "> "

LIST_LIMIT: Final = 20
"""Operations that `list` shows."""

HELP: Final = (
    ("subscribe ID", "watch an operation; * is all of them"),
    ("unsubscribe ID", "stop watching it"),
    ("list", f"list the newest {LIST_LIMIT} operations"),
    ("get ID", "show an operation"),
    ("cancel ID", "ask for it to be cancelled"),
    ("stats", "show the statistics of the sidecar"),
    ("help", "show this list"),
    ("quit", "quit; so does Ctrl-D"),
)


@click.command(epilog=client_options.EPILOG)
@client_options.options
@click.pass_context
def interactive(ctx: click.Context, url: str, token: Token, *, as_json: bool) -> None:
    """Type commands, and see events as they come.

    The commands are: subscribe ID, unsubscribe ID, list, get ID, cancel ID, stats, help, quit.
    They can also come from a pipe, one per line; the end of the input ends the program.
    """
    prompt = PROMPT if is_terminal(sys.stdin) else ""
    printer = Printer(as_json=as_json, prompt=prompt)
    try:
        ctx.exit(client_options.run(_interactive(url, token, printer)))
    finally:
        printer.close()


async def _interactive(url: str, token: Token, printer: Printer) -> int:
    async with client_options.client(url, token, printer) as client:
        prompting = Repl(client, printer).run()
        await client_options.run_until_one_ends(prompting, _show(client, printer))
    return client_options.COMPLETED


async def _show(client: Client, printer: Printer) -> None:
    async for event in client:
        printer.event(event)


class Repl:
    """Reads commands and prints their results, until EOF or `quit`."""

    def __init__(self, client: Client, printer: Printer) -> None:
        self._client = client
        self._printer = printer
        self._commands: dict[str, Callable[[str], Awaitable[None]]] = {
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "list": self._list,
            "get": self._get,
            "cancel": self._cancel,
            "stats": self._stats,
            "help": self._help,
        }

    async def run(self) -> None:
        """Run the commands, line by line."""
        if self._printer.prompts:
            self._printer.print_line("Connected. Type help for the commands, quit to end.")
        async for line in read_lines():
            name, _, argument = line.strip().partition(" ")
            if name in {"quit", "exit"}:
                self._printer.stop_prompting()
                return
            await self._answer(name, argument.strip())

    async def _answer(self, name: str, argument: str) -> None:
        command = self._commands.get(name)
        if not name:
            self._printer.show_prompt()
        elif command is None:
            self._printer.warn(f"Unknown command: {escape_control(name)}; type help")
        elif name in {"subscribe", "unsubscribe", "get", "cancel"} and not argument:
            self._printer.warn(f"{name} what? Type: {name} ID")
        else:
            try:
                await command(argument)
            except CommandError as exc:
                self._printer.warn(escape_control(str(exc)))

    async def _subscribe(self, operation_id: str) -> None:
        (reply,) = await self._client.subscribe(operation_id)
        unknown = operation_id != "*" and reply.get("operation") is None
        self._print(reply, [f"subscribed{' (nothing is known of it yet)' if unknown else ''}"])

    async def _unsubscribe(self, operation_id: str) -> None:
        (reply,) = await self._client.unsubscribe(operation_id)
        self._print(reply, ["unsubscribed"])

    async def _list(self, _: str) -> None:
        reply = await self._client.send_command("list_operations", limit=LIST_LIMIT)
        rows = operation_table(reply["operations"], terminal_columns(sys.stdout), paint=painter())
        self._print(reply, rows if reply["operations"] else ["no operations"])

    async def _get(self, operation_id: str) -> None:
        reply = await self._client.send_command("get_operation", operation_id=operation_id)
        found = reply["operation"] or {}
        known = ((name, value) for name, value in found.items() if value not in (None, "", {}, []))
        self._print(reply, table(known) or ["nothing is known of it"])

    async def _cancel(self, operation_id: str) -> None:
        reply = await self._client.cancel(operation_id)
        self._print(reply, [escape_control(str(reply.get("status")))])

    async def _stats(self, _: str) -> None:
        reply = await self._client.send_command("get_stats")
        self._print(reply, table(reply["stats"].items()))

    async def _help(self, _: str) -> None:
        for line in table(HELP):
            self._printer.print_line(line)

    def _print(self, reply: dict[str, Any], lines: list[str]) -> None:
        for line in [json.dumps(reply)] if self._printer.as_json else lines:
            self._printer.print_line(line)
