"""Shared by the client commands: their options, the client, exit codes and error messages."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar
from urllib.parse import urlsplit

import click

from celery_wsprogress.cli import colors
from celery_wsprogress.cli.application import find_application
from celery_wsprogress.cli.named_sidecar import token_of, url_of
from celery_wsprogress.client import Client, Connected, ConnectionChange, Disconnected
from celery_wsprogress.client.target import TOKEN_VARIABLE
from celery_wsprogress.errors import CommandError, ConfigurationError, NoConnection
from celery_wsprogress.printable import escape_control
from celery_wsprogress.urls import masked

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping

    from celery_wsprogress.client.reconnecting_client import Token

T = TypeVar("T")
Command = TypeVar("Command", bound="Callable[..., Any]")

COMPLETED: Final = 0
ERROR: Final = 1
USAGE: Final = 2
NOT_ENDED: Final = 3
INTERRUPTED: Final = 130

APP: Final = "celery_wsprogress.app"
"""Where the context of a command holds the application."""

EPILOG: Final = f"""\
The URL can also be set in WSPROGRESS_WS_URL, the application in WSPROGRESS_APP. If the sidecar has
a key, give a token with --token-file or in {TOKEN_VARIABLE}; there is no option for the token
itself. With an application none is needed: one is made with its key, for everything.
"""


class Warns(Protocol):
    """What shows messages that are no events."""

    def warn(self, text: str, /) -> None:
        """Show a message."""


class CommandFailed(click.ClickException):
    """A command failed before it could do its work; the message is one line."""

    exit_code = USAGE


def options(command: Command) -> Command:
    """Add ``-A``, ``--url``, ``--token-file``, ``--color`` and ``--json`` to a command.

    It is called with ``url``, ``token`` and ``as_json``.
    """
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per line."),
        click.option(
            "--color",
            type=click.Choice(colors.CHOICES),
            default="auto",
            expose_value=False,
            is_eager=True,
            callback=lambda ctx, _param, choice: colors.choose(ctx, choice),
            help="Colours: auto is where the output is a terminal.  [env: NO_COLOR for none]",
        ),
        click.option(
            "--token-file",
            "token",
            type=click.Path(path_type=Path),
            metavar="PATH",
            callback=_choose_token,
            help="File with the token. It is read again for each connection.  "
            f"[env: {TOKEN_VARIABLE}, the token itself]",
        ),
        click.option(
            "--url",
            envvar="WSPROGRESS_WS_URL",
            show_envvar=True,
            metavar="URL",
            callback=_choose_url,
            help="URL of the sidecar.  [default: that of `serve` on this machine, "
            "ws://localhost:8765 unless WSPROGRESS_PORT, WSPROGRESS_HOST or the application "
            "have others]",
        ),
        click.option(
            "-A",
            "--app",
            envvar="WSPROGRESS_APP",
            show_envvar=True,
            metavar="APP",
            is_eager=True,
            expose_value=False,
            callback=_load_application,
            help="Celery application, as for `celery -A`: its settings name the sidecar and its "
            "key.",
        ),
    ):
        command = option(command)
    return command


def _load_application(ctx: click.Context, _param: click.Parameter, app_path: str | None) -> None:
    ctx.meta[APP] = find_application(ctx, app_path, tasks=False)


def _choose_url(ctx: click.Context, param: click.Parameter, url: str | None) -> str:
    if url is None:
        try:
            return url_of(ctx.meta[APP])
        except ConfigurationError as exc:
            raise click.UsageError(str(exc), ctx) from None
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"ws", "wss"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        text = f"{masked(url)!r} is not a URL such as ws://localhost:8765"
        raise click.BadParameter(text, ctx, param, "--url")
    return url


def _choose_token(ctx: click.Context, _param: click.Parameter, token_file: Path | None) -> Token:
    """Return the token of the file, else of the environment, else one made by the application."""
    if token_file is not None:
        return lambda: _read_token(token_file)
    if given := os.environ.get(TOKEN_VARIABLE):
        return given
    try:
        return token_of(ctx.meta[APP])
    except ConfigurationError as exc:
        raise click.UsageError(str(exc), ctx) from None


def client(url: str, token: Token, printer: Warns | None = None) -> Client:
    """Create a client that reports lost and restored connections on standard error."""
    report = _connection_reporter(printer) if printer else None
    # A terminal or a pipe may be slower than the tasks: then a snapshot is better than a close.
    return Client(url, token=token, on_change=report, resync=True)


def _read_token(token_file: Path) -> str:
    try:
        return token_file.read_text().strip()
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not a text file"
        raise CommandFailed(f"Cannot read the token from {token_file}: {reason}") from None


def _connection_reporter(printer: Warns) -> Callable[[ConnectionChange], None]:
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


def warn_of_broker_error(printer: Warns, replies: Iterable[Mapping[str, Any]]) -> None:
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


async def run_until_one_ends(*works: Coroutine[Any, Any, None]) -> None:
    """Run several at once until one of them has ended; the others are cancelled.

    What it raised is raised.
    """
    tasks = [asyncio.create_task(one) for one in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            one.result()
    finally:
        for one in tasks:
            one.cancel()


def _text_of(exc: Exception) -> str:
    """Return the message of an error, which may contain text of any server, as one line."""
    return escape_control(str(exc), 500)


def _connection_hint(exc: NoConnection) -> str:
    if "its broker is away" in exc.reason:
        return "Check the broker that `serve` was started with: celery -A … wsprogress check"
    if exc.code is not None:
        return f"Is the token still valid (--token-file, {TOKEN_VARIABLE})?"
    return "Is `celery-wsprogress serve` running there? Check --url or WSPROGRESS_WS_URL"


def _token_hint(exc: CommandError) -> str:
    if exc.code not in {"unauthorized", "forbidden"}:
        return ""
    return (
        f" (the token is read from --token-file or {TOKEN_VARIABLE}; with -A it is made with the "
        "key of the application, which must be the sidecar's: WSPROGRESS_KEY)"
    )
