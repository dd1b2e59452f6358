"""The command ``cancel``: ask the sidecar to cancel tasks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from celery_wsprogress.cli import client_options
from celery_wsprogress.printable import escape_control

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery_wsprogress.client.reconnecting_client import Token


@click.command(epilog=client_options.EPILOG)
@click.argument("ids", nargs=-1, required=True, metavar="ID…")
@click.option(
    "--terminate",
    is_flag=True,
    help="End the process of a task that runs, where the worker's pool can.",
)
@click.option("--reason", default="", metavar="TEXT", help="Why; all who watch see it.")
@client_options.options
@click.pass_context
def cancel(
    ctx: click.Context,
    ids: tuple[str, ...],
    url: str,
    token: Token,
    *,
    terminate: bool,
    reason: str,
    as_json: bool,
) -> None:
    """Ask the sidecar to cancel tasks.

    It prints for each whether the workers were told, or that it has ended before. `watch` shows
    how it ends: a task that does not look whether it is cancelled goes on, unless its process is
    ended (--terminate).

    `workflow:ID` is a workflow, by the id that its caller holds: all its tasks that have not ended.

    If the sidecar has a key, the token must grant `cancel`; without a key it must be served with
    --allow-cancel.

    \b
    Exit codes: 0 the workers were told, 1 at least one task has ended before, 2 the sidecar
    refused it or cannot be reached.
    """  # noqa: D301 - click wants the \b itself
    ctx.exit(
        client_options.run(
            _cancel(ids, url, token, terminate=terminate, reason=reason, as_json=as_json)
        )
    )


async def _cancel(
    ids: tuple[str, ...],
    url: str,
    token: Token,
    *,
    terminate: bool,
    reason: str,
    as_json: bool,
) -> int:
    code = client_options.COMPLETED
    async with client_options.client(url, token) as client:
        for one in ids:
            reply = await client.cancel(one, terminate=terminate, reason=reason)
            click.echo(_line(one, reply, as_json=as_json))
            if reply.get("status") != "accepted":
                code = client_options.ERROR
    return code


def _line(operation_id: str, reply: Mapping[str, Any], *, as_json: bool) -> str:
    status, state = str(reply.get("status", "")), reply.get("state")
    if as_json:
        shown = {"operation_id": operation_id, "status": status}
        return json.dumps(shown if state is None else {**shown, "state": state})
    ended = "" if state is None else f" ({escape_control(str(state))})"
    return f"{escape_control(operation_id)}  {escape_control(status)}{ended}"
