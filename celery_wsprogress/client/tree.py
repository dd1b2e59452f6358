"""The tree of a workflow, fetched page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PAGE_SIZE: Final = 1_000
"""Nodes of one page; the maximum of the protocol."""


async def fetch_tree(
    send_command: Callable[..., Awaitable[dict[str, Any]]], workflow_id: str
) -> dict[str, Any]:
    """Return all pages of ``get_tree`` as one reply: ``workflow_id``, ``total`` and ``nodes``.

    Args:
        send_command: :meth:`.Client.send_command`.
        workflow_id: The id that the caller of the workflow holds.
    """
    nodes: list[dict[str, Any]] = []
    cursor = None
    while True:
        fields = {"workflow_id": workflow_id, "limit": PAGE_SIZE, "cursor": cursor}
        page = await send_command("get_tree", **fields)
        nodes += page["nodes"]
        cursor = page["next"]
        if cursor is None:
            return {"workflow_id": workflow_id, "total": page["total"], "nodes": nodes}
