"""The operations of one ``watch``, until all of them have ended."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from celery_wsprogress.cli import client_options
from celery_wsprogress.printable import escape_control

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from celery_wsprogress.cli.printer import Printer
    from celery_wsprogress.client import Client
    from celery_wsprogress.client.reconnecting_client import Token


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

    async def run(self, url: str, token: Token, seconds: float | None) -> int:
        """Watch until all have ended or the time is over; return the exit code."""
        try:
            async with asyncio.timeout(seconds):
                async with client_options.client(url, token, self._printer) as client:
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
        replies = await self._subscribe(client)
        self._connected = True
        client_options.warn_of_broker_error(self._printer, replies)
        self._warn_of_unknown(replies)
        refreshing = asyncio.create_task(self._keep_fresh(client))
        try:
            async for event in client:
                self._printer.event(event)
                self._on_event(event)
                if all(self._end_types.values()):
                    await self._finish(client)
                    return
        finally:
            refreshing.cancel()

    async def _subscribe(self, client: Client) -> list[dict[str, Any]]:
        return await client.subscribe(*self._end_types)

    async def _refresh(self, _client: Client) -> None:
        self._printer.refresh(time.time())

    async def _finish(self, _client: Client) -> None:
        """Do what is left to do when all have ended."""

    async def _keep_fresh(self, client: Client) -> None:
        """Refresh what is shown as time goes on, until it is cancelled."""
        while True:
            await self._refresh(client)
            await asyncio.sleep(self._printer.refresh_interval)

    def _warn_of_unknown(self, replies: list[dict[str, Any]]) -> None:
        """Warn of unknown operations: the id may be wrong, or the task not sent yet."""
        for reply in replies:
            # The reply for several does not say which are known: their first events do.
            self._unknown.update(reply.get("operation_ids") or ())
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
