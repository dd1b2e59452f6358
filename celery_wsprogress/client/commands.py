"""The commands of the client, as objects, and what their replies say. Pure."""

from __future__ import annotations

from typing import Any

from celery_wsprogress.client.resume_state import EVERYTHING, chunks


def commands_for(command: str, ids: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the commands for these ids. One alone has the base protocol's ``operation_id``."""
    single = [one for one in ids if one == EVERYTHING or len(ids) == 1]
    several = [one for one in ids if one not in single]
    return [
        *({"command": command, "operation_id": one} for one in single),
        *({"command": command, "operation_ids": some} for some in chunks(several)),
    ]


def has_recovered(reply: dict[str, Any]) -> bool:
    """Return whether a reply to ``subscribe`` says that no event was lost."""
    return all(reply.get("recovered", {}).values())
