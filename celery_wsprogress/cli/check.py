"""The command ``check``: try everything between this machine, broker, workers and sidecar."""

from __future__ import annotations

import json
import os
import sys
import textwrap
import uuid
from typing import TYPE_CHECKING, Any, Final

import click

from celery_wsprogress.cli import client_options
from celery_wsprogress.cli.application import import_tasks
from celery_wsprogress.cli.checks.configuration import check_configuration
from celery_wsprogress.cli.checks.findings import CheckVerdict, skipped
from celery_wsprogress.cli.colors import painter
from celery_wsprogress.cli.printer import terminal_columns
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.printable import escape_control
from celery_wsprogress.settings import ServeSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from celery_wsprogress.brokers import BrokerAddress
    from celery_wsprogress.cli.checks.findings import Finding
    from celery_wsprogress.cli.colors import Paint
    from celery_wsprogress.client.reconnecting_client import Token

_PART_WIDTH: Final = 15
_TEXT_COLUMN: Final = 8 + 1 + _PART_WIDTH + 2
_WIDE: Final = 60
"""Columns of a terminal in which what was found stands behind its part, line below line."""
_NARROW_INDENT: Final = 4


@click.command(epilog=client_options.EPILOG)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long each part may take.",
)
@client_options.options
@click.pass_context
def check(ctx: click.Context, url: str, token: Token, *, timeout: float, as_json: bool) -> None:
    """Try everything between this machine, broker, result backend, workers and sidecar.

    It reads the settings, connects to each of them as a worker does, and sends a synthetic
    operation (wsprogress.check, ended at once) through the broker to the sidecar. Nothing
    is changed, and no task is run. Run it where your tasks are called:

        celery -A proj wsprogress check

    \b
    Exit codes: 0 everything works, maybe with warnings, 1 something does not, 2 the command cannot
    be run.
    """  # noqa: D301 - click wants the \b itself
    app = ctx.meta[client_options.APP]
    if app is not None:
        # With its tasks: which of them are followed, depends on their classes.
        import_tasks(app)
    ctx.exit(client_options.run(_check(app, url, token, timeout, as_json=as_json)))


async def _check(app: Any, url: str, token: Token, timeout: float, *, as_json: bool) -> int:  # noqa: ASYNC109 - of each part
    verdicts, columns, paint = [], terminal_columns(sys.stdout), painter()
    async for finding in _findings(app, url, token, timeout):
        click.echo(_json(finding) if as_json else _text(finding, columns, paint))
        verdicts.append(finding.verdict)
    failures = verdicts.count(CheckVerdict.FAILED)
    if not as_json:
        click.echo(_summary(failures, verdicts.count(CheckVerdict.WARNING)))
    return client_options.ERROR if failures else client_options.COMPLETED


async def _findings(app: Any, url: str, token: Token, timeout: float) -> AsyncIterator[Finding]:  # noqa: ASYNC109 - as above
    from celery_wsprogress.cli.checks import backend, broker, sidecar, workers  # noqa: PLC0415 - see `serve`

    for finding in check_configuration(app):
        yield finding
    address, exchange, backend_url = _choose(app)
    if address is None:
        text = "name the application with -A, or the broker in WSPROGRESS_URL"
        yield skipped(broker.PART, text)
    else:
        for finding in broker.check_broker(address):
            yield finding
            if finding.verdict is CheckVerdict.FAILED:
                address = None
    operation_id = f"check-{uuid.uuid4()}"
    if app is None and backend_url is None:
        yield skipped(backend.PART, "name the application with -A")
    else:
        yield backend.check_backend(app, backend_url, operation_id, timeout)
    async for one in sidecar.check_sidecar(url, token, address, operation_id, timeout):
        yield one
    if app is None:
        yield skipped(workers.PART, "name the application with -A")
    elif address is None:
        yield skipped(workers.PART, "they are asked through the broker")
    else:
        for finding in workers.check_workers(app, exchange, timeout):
            yield finding


def _choose(app: Any) -> tuple[BrokerAddress | None, str, str | None]:
    """Return where to write events, their exchange, and the URL of another result backend.

    Without an address where the settings are wrong, which is told by then.
    """
    from celery_wsprogress.brokers.discovery import choose_broker  # noqa: PLC0415 - see `serve`

    try:
        settings = ServeSettings.read(app, os.environ)
        addresses = choose_broker(app, settings)
    except ConfigurationError:
        return None, "", None
    address = None if addresses is None else addresses.write
    return address, settings.exchange, settings.result_backend


def _text(finding: Finding, columns: int | None, paint: Paint) -> str:
    """Return a finding as lines: the verdict, and what to do below it.

    Args:
        finding: The finding.
        columns: Columns of the terminal; None breaks no line.
        paint: Colours the verdict.
    """
    word = finding.verdict.value
    shown = word.upper() if finding.verdict is CheckVerdict.FAILED else word
    verdict = f"{shown:<8}"
    line = f"{verdict} {finding.part:<{_PART_WIDTH}}  {escape_control(finding.text, 500)}"
    indent = " " * (_TEXT_COLUMN if columns is None or columns >= _WIDE else _NARROW_INDENT)
    lines = [line, indent + finding.advice] if finding.advice else [line]
    if columns is not None:
        wrapper = textwrap.TextWrapper(
            columns, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
        lines = [wrapper.fill(one) for one in lines]
    lines[0] = lines[0].replace(verdict, paint(verdict, word), 1)
    return "\n".join(lines)


def _json(finding: Finding) -> str:
    return json.dumps(finding._asdict())


def _summary(failures: int, warnings: int) -> str:
    parts = [
        f"{number} {word}{'s' if number > 1 else ''}"
        for number, word in ((failures, "failure"), (warnings, "warning"))
        if number
    ]
    return ", ".join(parts) if parts else "Everything works"
