"""Shared by the client commands: their options, the client, exit codes and error messages."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import click

from celery_wsprogress.client import Client, Connected, ConnectionChange, Disconnected
from celery_wsprogress.errors import CommandError, NoConnection
from celery_wsprogress.printable import escape_control
from celery_wsprogress.urls import masked

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping

    from celery_wsprogress.cli.printer import Printer

T = TypeVar("T")
Command = TypeVar("Command", bound="Callable[..., Any]")

COMPLETED: Final = 0
ERROR: Final = 1
USAGE: Final = 2
NOT_ENDED: Final = 3
INTERRUPTED: Final = 130

TOKEN_VARIABLE: Final = "WSPROGRESS_TOKEN"  # noqa: S105 - the name of a variable

EPILOG: Final = f"""\
The URL can also be set in WSPROGRESS_WS_URL. If the sidecar has a key, give a token with
--token-file or in {TOKEN_VARIABLE}; there is no option for the token itself.
"""


class CommandFailed(click.ClickException):
    """A command failed before it could do its work; the message is one line."""

    exit_code = USAGE


def options(command: Command) -> Command:
    """Add ``--url``, ``--token-file`` and ``--json`` to a command."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per line."),
        click.option(
            "--token-file",
            type=click.Path(path_type=Path),
            metavar="PATH",
            help="File with the token. It is read again for each connection.",
        ),
        click.option(
            "--url",
            envvar="WSPROGRESS_WS_URL",
            default="ws://localhost:8765",
            show_default=True,
            metavar="URL",
            callback=_validate_url,
            help="URL of the sidecar.",
        ),
    ):
        command = option(command)
    return command


def _validate_url(ctx: click.Context, param: click.Parameter, url: str) -> str:
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"ws", "wss"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        text = f"{masked(url)!r} is not a URL such as ws://localhost:8765"
        raise click.BadParameter(text, ctx, param, "--url")
    return url


def client(url: str, token_file: Path | None, printer: Printer | None = None) -> Client:
    """Create a client that reports lost and restored connections on standard error."""
    token = (
        (lambda: _read_token(token_file)) if token_file else os.environ.get(TOKEN_VARIABLE) or None
    )
    report = _connection_reporter(printer) if printer else None
    # A terminal or a pipe may be slower than the tasks: then a snapshot is better than a close.
    return Client(url, token=token, on_change=report, resync=True)


def _read_token(token_file: Path) -> str:
    try:
        return token_file.read_text().strip()
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not a text file"
        raise CommandFailed(f"Cannot read the token from {token_file}: {reason}") from None


def _connection_reporter(printer: Printer) -> Callable[[ConnectionChange], None]:
    """Return a callback that reports a loss and a return once, and no attempt in between."""
    lost = False

    def report(change: ConnectionChange) -> None:
        nonlocal lost
        if isinstance(change, Disconnected):
            if not lost:
                printer.warn("Connection lost; trying again until it is back")
            lost = True
        elif isinstance(change, Connected) and change.reconnected:
            missed = "" if change.recovered else "; what the sidecar still holds follows"
            printer.warn(f"Connected again{missed}")
            lost = False

    return report


def warn_of_broker_error(printer: Printer, replies: Iterable[Mapping[str, Any]]) -> None:
    """Warn if a reply says that the sidecar cannot read its broker: then no event can come."""
    for reply in replies:
        if error := reply.get("broker_error"):
            printer.warn(f"The sidecar cannot read its broker: {escape_control(str(error), 500)}")
            return


def run(work: Coroutine[Any, Any, int]) -> int:
    """Run a command and return its exit code.

    Raises:
        CommandFailed: there is no connection, or the sidecar refused a command.
    """
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        return INTERRUPTED
    except NoConnection as exc:
        raise CommandFailed(f"{_text_of(exc)}. {_connection_hint(exc)}") from None
    except CommandError as exc:
        raise CommandFailed(f"{_text_of(exc)}{_token_hint(exc)}") from None


def _text_of(exc: Exception) -> str:
    """Return the message of an error, which may contain text of any server, as one line."""
    return escape_control(str(exc), 500)


def _connection_hint(exc: NoConnection) -> str:
    if exc.code is not None:
        return f"Is the token still valid (--token-file, {TOKEN_VARIABLE})?"
    return "Is `celery-wsprogress serve` running there? Check --url or WSPROGRESS_WS_URL"


def _token_hint(exc: CommandError) -> str:
    if exc.code not in {"unauthorized", "forbidden"}:
        return ""
    return f" (the token is read from --token-file or {TOKEN_VARIABLE})"
