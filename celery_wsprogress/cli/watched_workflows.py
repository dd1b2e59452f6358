"""The workflows of one ``watch --workflow``, and their steps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.cli.watched_operations import WatchedOperations
from celery_wsprogress.errors import CommandError
from celery_wsprogress.printable import escape_control
from celery_wsprogress.protocol.workflow_ids import workflow_id_of, workflow_operation_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from celery_wsprogress.cli.workflow_printer import WorkflowPrinter
    from celery_wsprogress.client import Client

LOAD_INTERVAL: Final = 1.0
"""Minimum seconds between two fetches of the trees."""


class WatchedWorkflows(WatchedOperations):
    """The workflows of one `watch`, their steps, and whether they have ended.

    Args:
        ids: The ids that their callers hold.
        printer: Prints their events and their trees.
    """

    def __init__(self, ids: Iterable[str], printer: WorkflowPrinter) -> None:
        ids = list(dict.fromkeys(ids))
        super().__init__([workflow_operation_id(one) for one in ids], printer)
        self._trees = printer
        self._ids = ids
        self._loaded_at = 0.0
        self._stale = set(ids)
        """The workflows whose trees are to be fetched."""

    async def _subscribe(self, client: Client) -> list[dict[str, Any]]:
        # First the steps, then the workflow: its end is the last event.
        try:
            for one in self._ids:
                await client.subscribe_steps(one)
        except CommandError as exc:
            self._stale.clear()
            self._ids.clear()
            self._printer.warn(f"The steps may not be shown: {escape_control(str(exc), 500)}")
        replies = await super()._subscribe(client)
        await self._load(client)
        return replies

    async def _load(self, client: Client) -> None:
        stale, self._stale = self._stale, set()
        for one in sorted(stale):
            self._trees.load(one, await client.tree(one))
        self._loaded_at = time.monotonic()

    async def _refresh(self, client: Client) -> None:
        if self._stale and time.monotonic() - self._loaded_at >= LOAD_INTERVAL:
            await self._load(client)
        await super()._refresh(client)

    async def _finish(self, client: Client) -> None:
        self._stale.update(self._ids)
        await self._load(client)

    def _on_event(self, event: Mapping[str, Any]) -> None:
        super()._on_event(event)
        workflow_id = workflow_id_of(str(event.get("operation_id")))
        if workflow_id not in self._ids or event.get("event_type") != "progress":
            return
        details = event["data"].get("details")
        total = details.get("total") if isinstance(details, dict) else None
        if total != self._trees.total(workflow_id):
            self._stale.add(workflow_id)
