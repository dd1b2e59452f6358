"""The command line: ``celery-wsprogress …``, and ``celery -A proj wsprogress …``.

Every ``celery …`` command and every worker imports this module through the entry point
``celery.commands``, so it imports only click. A command is imported when it runs.
"""

from __future__ import annotations

import importlib
from typing import Final

import click

#: The module of each command, which has a function of the module's name, and what it does.
_COMMANDS: Final = {
    "serve": ("celery_wsprogress.cli.serve", "Serve live progress of Celery tasks over WebSocket."),
    "watch": ("celery_wsprogress.cli.watch", "Show operations until all of them have ended."),
    "list": ("celery_wsprogress.cli.list_operations", "List operations, the newest first."),
    "history": ("celery_wsprogress.cli.history", "Print what has happened in an operation."),
    "cancel": ("celery_wsprogress.cli.cancel", "Ask the sidecar to cancel tasks."),
    "monitor": ("celery_wsprogress.cli.monitor", "Show every operation, until Ctrl-C."),
    "stats": ("celery_wsprogress.cli.stats", "Print the statistics of the sidecar."),
    "check": (
        "celery_wsprogress.cli.check",
        "Try everything between this machine, broker, workers and sidecar.",
    ),
    "size": ("celery_wsprogress.cli.size", "Estimate what a load needs: cores, memory, traffic."),
    "token": ("celery_wsprogress.cli.token", "Create a token for clients of the sidecar."),
    "fake": ("celery_wsprogress.cli.fake", "Serve recorded events, for those who write pages."),
    "interactive": (
        "celery_wsprogress.cli.interactive",
        "Type commands, and see events as they come.",
    ),
}


class LazyGroup(click.Group):
    """A group that imports a command when it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        path = _COMMANDS[cmd_name][0]
        command = getattr(importlib.import_module(path), path.rpartition(".")[2])
        assert isinstance(command, click.Command)  # noqa: S101 - the table names commands only
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, what) for name, (_, what) in _COMMANDS.items()])


@click.group(cls=LazyGroup)
def wsprogress() -> None:
    """Live progress of Celery tasks over WebSocket."""


@click.group(cls=LazyGroup, name="celery-wsprogress")
@click.version_option(package_name="celery-wsprogress", prog_name="celery-wsprogress")
def main() -> None:
    """Live progress of Celery tasks over WebSocket."""
