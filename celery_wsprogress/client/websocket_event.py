"""The events that the client gives, and their types. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from celery_wsprogress.client.frame_fields import FrameFields


class EventType(StrEnum):
    """The types of events. Each equals its word on the wire: ``EventType.LOG == "log"``."""

    CONNECTED = "connected"
    STATUS = "status"
    PROGRESS = "progress"
    LOG = "log"
    CHUNK = "chunk"
    RESULT = "result"
    COMPLETED = "completed"
    ERROR = "error"
    SNAPSHOT = "snapshot"


_BY_WORD: Final = {str(one): one for one in EventType}


class WebSocketEvent(FrameFields):
    """An event of an operation, as the wire protocol has it.

    A ``dict`` with its fields as attributes: ``event.event_type`` is ``event["event_type"]``.
    """

    event_type: EventType
    """Its type. One that this version does not know stays a text."""
    operation_id: str
    timestamp: float
    """When it happened, in epoch seconds."""
    data: dict[str, Any]
    """What it says: the fields are those of its type in the wire protocol."""
    event_id: str
    """Its position in the log. Opaque."""
    run: str
    """The run that it belongs to."""
    operation: dict[str, Any] | None
    """Of a ``snapshot``: how the operation stands. It comes where events were missed."""

    def __init__(self, *fields: Any, **more: Any) -> None:
        super().__init__(*fields, **more)
        word = self.get("event_type")
        if isinstance(word, str) and word in _BY_WORD:
            self["event_type"] = _BY_WORD[word]

    @property
    def is_end(self) -> bool:
        """Whether the operation ends with it: ``completed`` or ``error``."""
        return self.get("event_type") in (EventType.COMPLETED, EventType.ERROR)
