"""How this process's operations stand, in the shape of the protocol's snapshots.

Whoever begins an operation here can ask for it at once: a server, be it one of this process, hears
of it only when it comes back from the broker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery_wsprogress.operations.operation import Operation
from celery_wsprogress.protocol import batches

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery_wsprogress.standalone.handle import OperationHandle


def snapshot_of(life: OperationHandle, heard: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """How it stands: what was said of it here, and what only a server knows.

    Args:
        life: The operation.
        heard: The snapshot of a server, if one has heard of an operation of this id.
    """
    said = life.said_so_far()
    operation = Operation(life.operation_id, life.began)
    for report in said:
        event = batches.decode_event(report.event)
        if event is not None:
            operation.fold(event)
    own = {**operation.snapshot(), "event_count": life.count, "last_event_id": ""}
    if heard is None or heard["run"] != own["run"]:
        return own
    count = max(own["event_count"], heard["event_count"])
    measures = {} if operation.state.ended else {name: heard[name] for name in ("rate", "eta")}
    return {**own, **measures, "event_count": count, "last_event_id": heard["last_event_id"]}


def is_newer(heard: Mapping[str, Any] | None, life: OperationHandle) -> bool:
    """Whether a server has heard of a later run: of another process, under the same id."""
    if heard is None or not life.tracker.ended or heard["run"] == life.tracker.run.run:
        return False
    return bool(heard["started_at"] > life.began)
