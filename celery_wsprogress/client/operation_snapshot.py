"""How an operation stands, as the client gives it. Pure."""

from __future__ import annotations

from typing import Any, TypeAlias

from celery_wsprogress.client.frame_fields import FrameFields


class OperationSnapshot(FrameFields):
    """How an operation stands: the snapshot of the wire protocol.

    A ``dict`` with its fields as attributes, of which these are the most used. What does not apply
    is None.
    """

    operation_id: str
    operation_type: str
    """The name of the task."""
    state: str
    """``queued``, ``scheduled``, ``received``, ``running``, ``retrying``, ``replaced``,
    ``completed``, ``error`` or ``cancelled``."""
    status: str
    """What the last status said; from the end on ``completed`` or ``error``."""
    progress: float
    """From 0.0 to 1.0."""
    message: str
    details: dict[str, Any]
    metadata: dict[str, Any]
    tags: list[str]
    event_count: int
    current: float | None
    total: float | None
    unit: str | None
    rate: float | None
    """Units a second."""
    eta: float | None
    """Seconds."""
    started_at: float
    """Epoch seconds, as the other times."""
    starts_at: float | None
    finished_at: float | None
    duration: float | None
    """Seconds."""
    attempt: int | None
    max_attempts: int | None
    worker: str | None
    queue: str | None
    error: str | None
    error_type: str | None


Operation: TypeAlias = OperationSnapshot
"""Its public name. (Inside of the package, an operation is what the hub keeps.)"""
