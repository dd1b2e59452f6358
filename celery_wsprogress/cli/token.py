"""The command ``token``: create a token, for tests and for programs in other languages."""

from __future__ import annotations

from typing import Any, Final

import click

from celery_wsprogress.access.grants import Right, View
from celery_wsprogress.access.issue import DEFAULT_EXPIRES_IN, create_token
from celery_wsprogress.cli.application import find_application
from celery_wsprogress.errors import ConfigurationError

EPILOG: Final = """\
The key is read from WSPROGRESS_KEYS (the first one) or WSPROGRESS_KEY, or with -A from
Celery's configuration, never from the command line.
"""


@click.command(epilog=EPILOG)
@click.argument("ops", nargs=-1, required=True)
@click.option(
    "-A",
    "--app",
    "app_path",
    envvar="WSPROGRESS_APP",
    metavar="APP",
    help="Celery application, as for `celery -A`.",
)
@click.option(
    "--expires-in",
    type=float,
    default=DEFAULT_EXPIRES_IN,
    show_default=True,
    metavar="SECONDS",
    help="Time until the token expires.",
)
@click.option(
    "--can",
    multiple=True,
    type=click.Choice([one.value for one in Right]),
    help="What it grants. Repeatable.  [default: watch, list, stats]",
)
@click.option(
    "--view",
    type=click.Choice([one.value for one in View]),
    help="What it shows of an operation.  [default: full]",
)
@click.option("--sub", metavar="NAME", help="Who holds it.")
@click.option("--jti", metavar="ID", help="Id of the token, to revoke it.")
@click.pass_context
def token(ctx: click.Context, /, app_path: str | None, can: tuple[str, ...], **claims: Any) -> None:
    """Create a token for operations and print it.

    OPS are ids of operations, or patterns: group:<group id>, root:<root id>, tag:<tag>,
    type:<glob of task names>; '*' is everything.
    """
    app = find_application(ctx, app_path)
    if app is not None:
        app.set_current()
    try:
        made = create_token(can=can or None, **claims)
    except ConfigurationError as exc:
        raise click.UsageError(str(exc)) from None
    click.echo(made)
