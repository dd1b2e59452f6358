"""A bar of one operation, drawn from its events as HTML and as text. Pure."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.client.websocket_event import EventType
from celery_wsprogress.printable import escape_control

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery_wsprogress.client.websocket_event import WebSocketEvent

COLUMNS: Final = 30


class LiveBar:
    """How far an operation is, as its events tell.

    Args:
        operation_id: Its id, shown until anything is known of it.
    """

    def __init__(self, operation_id: str) -> None:
        self._progress: float | None = None
        """From 0.0 to 1.0; None while nobody knows."""
        self._status = "waiting"
        self._message = operation_id

    def apply(self, event: WebSocketEvent) -> None:
        """Take the next event."""
        data = event.data
        if event.event_type == EventType.SNAPSHOT:
            data = event.operation or {}
            self._apply_progress(data)
            self._apply_status(data)
        elif event.event_type == EventType.PROGRESS:
            self._apply_progress(data)
        elif event.event_type == EventType.STATUS:
            self._apply_status(data)
        elif event.event_type == EventType.COMPLETED:
            self._status = "completed"
            self._progress = self._progress if data.get("ignored") else 1.0
        elif event.event_type == EventType.ERROR:
            self._status = str(data.get("status", "error"))
            self.fail(f"{data.get('error_type')}: {data.get('error')}")

    def _apply_progress(self, data: Mapping[str, Any]) -> None:
        self._progress = None if data.get("indeterminate") else data.get("progress")
        self._message = str(data.get("message") or "")

    def _apply_status(self, data: Mapping[str, Any]) -> None:
        started = data.get("status") in {"started", "running"}
        self._status = "running" if started else str(data.get("status"))
        self._message = str(data.get("message") or data.get("operation_type") or self._message)

    def fail(self, reason: str) -> None:
        """Show why there is no progress any more."""
        self._message = reason
        self._progress = self._progress or 0.0

    def bundle(self) -> dict[str, str]:
        """Return it as the media types of Jupyter."""
        return {"text/plain": self._text(), "text/html": self._html()}

    def _text(self) -> str:
        filled = "#" * round(COLUMNS * (self._progress or 0.0))
        return f"[{filled:-<{COLUMNS}}] {self._label()}"

    def _html(self) -> str:
        value = "" if self._progress is None else f' value="{self._progress:.4f}"'
        label = escape(self._label())
        return f'<progress max="1"{value} style="width: 20em"></progress> {label}'

    def _label(self) -> str:
        percent = "" if self._progress is None else f"{self._progress:.0%} "
        message = f": {self._message}" if self._message else ""
        return escape_control(f"{percent}{self._status}{message}", 300)
