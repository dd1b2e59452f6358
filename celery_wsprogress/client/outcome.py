"""How an operation ended, from its events.

Runs in: the event loop of the client.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from celery_wsprogress.client.websocket_event import EventType
from celery_wsprogress.errors import NoConnection
from celery_wsprogress.urls import masked

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from celery_wsprogress.client.websocket_event import WebSocketEvent


@dataclass(frozen=True, slots=True)
class OperationOutcome:
    """How an operation ended. A task that failed raises nothing here."""

    operation_id: str
    state: str
    """``completed``, ``error`` or ``cancelled``."""
    result: Any
    """What it returned, as JSON; None where it failed, or its result does not leave the worker."""
    error: str | None
    """Why it failed."""
    error_type: str | None
    """The name of the exception."""
    duration: float | None
    """Seconds from its start."""
    event: WebSocketEvent
    """The event that ended it."""

    @property
    def completed(self) -> bool:
        """Whether it succeeded."""
        return self.state == "completed"


class OutcomeReader:
    """Reads the events of one operation until it has ended.

    Args:
        operation_id: Its id.
        url: Where they come from.
    """

    def __init__(self, operation_id: str, url: str) -> None:
        self._operation_id = operation_id
        self._url = masked(url)
        self._connected = False
        self._heard = False

    async def read(self, events: AsyncGenerator[WebSocketEvent, None]) -> OperationOutcome:
        """Read until the end, and return the outcome.

        Raises:
            NoConnection: the events cease before, because the client was closed.
        """
        self._connected = True
        result = None
        async with aclosing(events):
            async for event in events:
                self._heard = True
                if event.event_type == EventType.RESULT:
                    result = event.data.get("result")
                elif event.is_end:
                    return _outcome(event, result)
        raise NoConnection(self._url, "the client was closed")

    def describe_wait(self, seconds: float | None) -> str:
        """Return what did not happen within these seconds, with the likely reason."""
        within = f"within {seconds:g} s"
        if self._heard:
            return f"{self._operation_id} has not ended {within}"
        if not self._connected:
            return f"no answer from the sidecar at {self._url} {within}"
        return (
            f"nothing was heard of {self._operation_id} {within}: is this the id of a task with "
            "base=StreamingTask, and does its worker use the broker of the sidecar?"
        )


def _outcome(event: WebSocketEvent, result: Any) -> OperationOutcome:
    data = event.data
    failed = event.event_type == EventType.ERROR
    return OperationOutcome(
        operation_id=event.operation_id,
        state=str(data.get("status") or event.event_type),
        result=None if failed else result,
        error=data.get("error") if failed else None,
        error_type=data.get("error_type") if failed else None,
        duration=data.get("duration"),
        event=event,
    )
