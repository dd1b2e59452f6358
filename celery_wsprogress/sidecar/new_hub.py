"""The hub of a sidecar or of an ASGI application, with the limits that the settings have. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.hub.store import Limits, OperationStore

if TYPE_CHECKING:
    from celery_wsprogress.settings import ServeSettings


def new_hub(settings: ServeSettings) -> Hub:
    """Return a hub without operations."""
    limits = Limits(
        max_finished=settings.max_finished,
        max_waiting=settings.max_waiting,
        max_age=settings.max_age,
        max_history_bytes=settings.max_history_bytes,
    )
    return Hub(OperationStore(limits), progress_interval=1 / settings.max_rate)
