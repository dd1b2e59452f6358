"""The first frame of a connection: ``connected``."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from celery_wsprogress.hub.commands import FEATURES
from celery_wsprogress.protocol.batches import VERSION
from celery_wsprogress.protocol.messages import MAX_COMMAND_BYTES
from celery_wsprogress.version import __version__

if TYPE_CHECKING:
    from celery_wsprogress.access.permissions import Permit
    from celery_wsprogress.settings import ServeSettings


def welcome(
    client_id: int, permit: Permit, settings: ServeSettings, broker_error: str
) -> dict[str, Any]:
    """Return the frame.

    Args:
        client_id: The number of the client.
        permit: Its rights.
        settings: How the sidecar serves.
        broker_error: Why the log cannot be read at present; empty if it can.
    """
    timestamp = time.time()
    may_cancel = settings.needs_tokens or settings.allow_cancel
    data = {
        "message": "Connected to celery-wsprogress",
        "client_id": client_id,
        "timestamp": datetime.fromtimestamp(timestamp, UTC).isoformat(),
        "protocol": VERSION,
        "server": f"celery-wsprogress/{__version__}",
        "heartbeat": settings.heartbeat,
        "auth_required": not permit.is_authenticated(timestamp),
        "features": FEATURES + (("cancel",) if may_cancel else ()),
        **({"broker_error": broker_error} if broker_error else {}),
        "limits": {
            "command_bytes": MAX_COMMAND_BYTES,
            "subscriptions": settings.max_subscriptions,
        },
    }
    return {
        "event_type": "connected",
        "operation_id": "system",
        "timestamp": timestamp,
        "data": data,
    }
