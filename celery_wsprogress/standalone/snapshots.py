"""Snapshots of this process's operations, in the protocol's shape.

Used by :mod:`.manager`. The process that starts an operation can read it at once; a server, also
one in this process, knows it only when its events come back from the broker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery_wsprogress.operations.operation import Operation
from celery_wsprogress.operations.snapshot import snapshot_of
from celery_wsprogress.protocol import batches
from celery_wsprogress.protocol.events import Plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery_wsprogress.standalone.handle import OperationHandle


def handle_snapshot(
    handle: OperationHandle, served: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the snapshot of an operation.

    Args:
        handle: The operation, whose own events count.
        served: A server's snapshot under the same id, which adds ``rate``, ``eta`` and
            ``last_event_id``; None where there is none.
    """
    reports = handle.latest_events()
    operation = Operation(handle.operation_id, handle.began)
    for report in reports:
        event = batches.decode_event(report.event)
        if event is not None and not isinstance(event, Plan):
            operation.fold(event)
    own = {**snapshot_of(operation), "event_count": handle.count, "last_event_id": ""}
    if served is None or served["run"] != own["run"]:
        return own
    count = max(own["event_count"], served["event_count"])
    measures = {} if operation.state.ended else {name: served[name] for name in ("rate", "eta")}
    return {**own, **measures, "event_count": count, "last_event_id": served["last_event_id"]}


def is_newer(served: Mapping[str, Any] | None, handle: OperationHandle) -> bool:
    """Return whether a server's snapshot is of a later run, of another process, under the id."""
    if served is None or not handle.tracker.ended or served["run"] == handle.tracker.run.run_id:
        return False
    return bool(served["started_at"] > handle.began)
