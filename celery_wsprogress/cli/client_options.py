"""What the commands that watch have in common: options, a connection, exit codes."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import click

from celery_wsprogress.client import Change, Client, Connected, Lost
from celery_wsprogress.errors import CommandError, NoConnection
from celery_wsprogress.printable import clean
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
The address is also taken from WSPROGRESS_WS_URL. Where the sidecar has a key, the token is read
from --token-file or {TOKEN_VARIABLE}, never from the command line.
"""


class Refused(click.ClickException):
    """What keeps a command from its work, in one line."""

    exit_code = USAGE


def options(command: Command) -> Command:
    """Give a command ``--url``, ``--token-file`` and ``--json``."""
    for option in (
        click.option(
            "--json", "as_json", is_flag=True, help="Print JSON, one object a line, for pipes."
        ),
        click.option(
            "--token-file",
            type=click.Path(path_type=Path),
            metavar="PATH",
            help="Read the token from this file, again for each connection.",
        ),
        click.option(
            "--url",
            envvar="WSPROGRESS_WS_URL",
            default="ws://localhost:8765",
            show_default=True,
            metavar="URL",
            callback=_validate_url,
            help="Where the sidecar listens.",
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
        text = f"{masked(url)!r} is no address such as ws://localhost:8765"
        raise click.BadParameter(text, ctx, param, "--url")
    return url


def client(url: str, token_file: Path | None, printer: Printer | None = None) -> Client:
    """A client that says on the other stream when its connection goes and comes."""
    token = (lambda: _read(token_file)) if token_file else os.environ.get(TOKEN_VARIABLE) or None
    tell = _connection_reporter(printer) if printer else None
    # A terminal or a pipe may be slower than the tasks.
    return Client(url, token=token, on_change=tell, resync=True)


def _read(token_file: Path) -> str:
    try:
        return token_file.read_text().strip()
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is no text"
        raise Refused(f"Cannot read the token from {token_file}: {why}") from None


def _connection_reporter(printer: Printer) -> Callable[[Change], None]:
    """Once when it is lost, once when it is back, and nothing for attempts in between."""
    lost = False

    def tell(change: Change) -> None:
        nonlocal lost
        if isinstance(change, Lost):
            if not lost:
                printer.note("Connection lost; trying again until it is back")
            lost = True
        elif isinstance(change, Connected) and change.again:
            missed = "" if change.recovered else "; what the sidecar still holds follows"
            printer.note(f"Connected again{missed}")
            lost = False

    return tell


def mention_broker(printer: Printer, replies: Iterable[Mapping[str, Any]]) -> None:
    """Say that nothing can come for now, where a sidecar answers that it cannot read its broker."""
    for reply in replies:
        if error := reply.get("broker_error"):
            printer.note(f"The sidecar cannot read its broker: {clean(str(error), 500)}")
            return


def run(work: Coroutine[Any, Any, int]) -> int:
    """Run a command to its exit code.

    Raises:
        Refused: with the line that says what to check.
    """
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        return INTERRUPTED
    except NoConnection as exc:
        raise Refused(f"{_said(exc)}. {_what_to_check(exc)}") from None
    except CommandError as exc:
        raise Refused(f"{_said(exc)}{_about_tokens(exc)}") from None


def _said(exc: Exception) -> str:
    """An error's text; the half of it may be what somebody else's server says."""
    return clean(str(exc), 500)


def _what_to_check(exc: NoConnection) -> str:
    if exc.code is not None:
        return f"Is the token still good (--token-file, {TOKEN_VARIABLE})?"
    return "Does `celery-wsprogress serve` run there? Check --url or WSPROGRESS_WS_URL"


def _about_tokens(exc: CommandError) -> str:
    if exc.code not in {"unauthorized", "forbidden"}:
        return ""
    return f" (the token is taken from --token-file or {TOKEN_VARIABLE})"
