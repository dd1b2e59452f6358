"""Signs of life, as the hub takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery_wsprogress.operations.resumption import resume

if TYPE_CHECKING:
    from celery_wsprogress.operations.operation import Operation
    from celery_wsprogress.protocol.events import Status


def observe_heartbeat(operation: Operation, run: str, timestamp: float) -> Status | None:
    """Have a run give a sign of life; the event that is delivered for it, if one is."""
    current = operation.run
    if current is None or current.id != run or not current.mark_alive(timestamp):
        return None
    return resume(operation, current, timestamp)
