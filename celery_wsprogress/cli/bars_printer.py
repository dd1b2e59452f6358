"""Print several operations to a terminal: a bar for each that runs, and lines above the bars."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.cli.event_lines import countdown_line, event_line
from celery_wsprogress.cli.printer import Printer
from celery_wsprogress.cli.progress_bar import progress_bar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Event = Mapping[str, Any]

REDRAW_INTERVAL: Final = 0.1
"""Seconds between two drawings of the bars."""


class BarsPrinter(Printer):
    """Prints several operations to a terminal.

    Below the lines stands a bar for each operation that runs, and a countdown for each that waits
    for its time, in the order of the ids. Its end takes it away.

    Args:
        ids: The operations.
    """

    refresh_interval = REDRAW_INTERVAL

    def __init__(self, ids: Iterable[str]) -> None:
        ids = list(dict.fromkeys(ids))
        super().__init__(ids)
        self._shown: dict[str, Event | None] = dict.fromkeys(ids)
        """The latest event of each operation that has a line of its own."""
        self._changed = False

    def refresh(self, now: float, /) -> None:
        """Draw the bars again, if any has changed or counts down.

        Args:
            now: Epoch seconds.
        """
        counts = any(one and one["event_type"] != "progress" for one in self._shown.values())
        if self._changed or counts:
            self._draw(now)

    def close(self) -> None:
        """Leave the bars as they are in the end."""
        if self._changed:
            self._draw(0.0)
        super().close()

    def _event(self, event: Event) -> None:
        operation_id, kind = str(event.get("operation_id")), event["event_type"]
        if kind == "progress":
            self._show(operation_id, event)
            return
        if kind in {"completed", "error"}:
            self._show(operation_id, None)
        elif kind == "status":
            data = event["data"]
            waits = "starts_at" in data
            if waits or data.get("status") == "started":
                self._show(operation_id, event if waits else None)
        self._draw(0.0)
        self.print_line(event_line(event, self._name(event), self._paint))

    def _show(self, operation_id: str, event: Event | None) -> None:
        self._shown[operation_id] = event
        self._changed = True

    def _draw(self, now: float) -> None:
        self._changed = False
        columns, rows = shutil.get_terminal_size()
        lines = [
            line
            for event in self._shown.values()
            if event is not None and (line := self._line(event, now, columns - 1))
        ]
        # The last row stays free, and one tells that there is more.
        room = max(1, rows - 2)
        if len(lines) > room:
            lines = [*lines[:room], f"  ... {len(lines) - room:,} more"]
        self._show_block(lines, columns)

    def _line(self, event: Event, now: float, columns: int) -> str:
        name = self._name(event)
        if event["event_type"] == "progress":
            return progress_bar(event, columns, name)
        return countdown_line(event, now, name) if now else ""
