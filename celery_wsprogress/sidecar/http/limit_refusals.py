"""The answer to a client that is one too many, and what the log says of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from celery_wsprogress.sidecar.http.routes import service_unavailable

if TYPE_CHECKING:
    from celery_wsprogress.sidecar.connection import ProgressConnection
    from celery_wsprogress.sidecar.http.routes import HTTPAnswer

_SETTINGS: Final = {
    "connections": "max_connections",
    "address": "address_connections",
    "subject": "subject_connections",
}
"""The setting of each limit that :class:`.Admission` names."""
_FULL: Final = {
    "connections": "Too many connections",
    "address": "Too many connections of this address",
    "subject": "Too many connections of the holder of this token",
}


def refuse(limit: str, connection: ProgressConnection) -> HTTPAnswer:
    """Log that a client is refused because of a limit, and return its answer."""
    text = f"Refused a connection from {connection.who}: wsprogress_{_SETTINGS[limit]} is reached"
    connection.limits.log.write(limit, text, client=connection.address, level=logging.WARNING)
    return service_unavailable(_FULL[limit])
