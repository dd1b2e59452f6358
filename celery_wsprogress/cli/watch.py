"""``watch``: one operation, or several, to their end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from celery_wsprogress.cli import connecting
from celery_wsprogress.cli.lines import clean
from celery_wsprogress.cli.printing import Printer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


@click.command(epilog=connecting.EPILOG)
@click.argument("ids", nargs=-1, required=True, metavar="ID…")
@connecting.options
@click.pass_context
def watch(
    ctx: click.Context, ids: tuple[str, ...], url: str, token_file: Path | None, *, as_json: bool
) -> None:
    """Show operations until all of them have ended.

    An operation's id is the id of its Celery task. One that nobody has heard of yet is waited
    for.

    \b
    Exit code: 0 all completed, 1 at least one ended in error, 2 they could not be watched,
    130 interrupted with Ctrl-C.
    """  # noqa: D301 - click wants the \b itself
    if "*" in ids or "" in ids:
        raise click.UsageError("An id names one operation; `monitor` shows all of them")
    printer = Printer(ids, as_json=as_json)
    try:
        ctx.exit(connecting.run(_watch(dict.fromkeys(ids), url, token_file, printer)))
    finally:
        printer.close()


async def _watch(ids: Iterable[str], url: str, token_file: Path | None, printer: Printer) -> int:
    ends: dict[str, str] = dict.fromkeys(ids, "")
    async with connecting.client(url, token_file, printer) as client:
        replies = await client.subscribe(*ends)
        _mention_unknown(replies, printer)
        async for event in client:
            printer.event(event)
            _note_end(event, ends)
            if all(ends.values()):
                break
    return connecting.COMPLETED if set(ends.values()) == {"completed"} else connecting.ERROR


def _mention_unknown(replies: list[dict[str, Any]], printer: Printer) -> None:
    """Say that there is nothing yet: else a wrong id and a slow task look alike."""
    for reply in replies:
        if "operation_id" in reply and reply.get("operation") is None:
            printer.note(f"Nothing is known of {clean(reply['operation_id'])} yet; waiting")


def _note_end(event: Mapping[str, Any], ends: dict[str, str]) -> None:
    """An operation that starts again after its end has not ended."""
    operation_id, kind = event.get("operation_id"), event.get("event_type")
    if operation_id not in ends:
        return
    if kind in {"completed", "error"}:
        ends[operation_id] = kind
    elif kind == "status" and event["data"].get("status") == "started":
        ends[operation_id] = ""
