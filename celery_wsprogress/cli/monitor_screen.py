"""The table of ``monitor`` in a terminal: what it draws, and what each key does."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.cli.colors import painter
from celery_wsprogress.cli.event_lines import truncate_to_width
from celery_wsprogress.cli.keys import BACKSPACE, DOWN, ENTER, ESCAPE, UP
from celery_wsprogress.cli.monitor_view import next_of
from celery_wsprogress.cli.operation_table import operation_table, state_of
from celery_wsprogress.cli.printer import erase_block
from celery_wsprogress.printable import escape_control

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from celery_wsprogress.cli.monitor_view import MonitorView

HELP: Final = "q quit  up/down select  c cancel  s sort  f states  / text  w workflows"
LISTENING: Final = "Listening. Nothing has happened yet: tasks with base=StreamingTask appear here."
NO_MATCH: Final = "No operation matches. Keys f and / change the filter."

_LINES_AROUND: Final = 5
"""Lines of the screen that are no rows: the title, the heads, two at the end and a free one."""


class MonitorScreen:
    """Draws the operations, and takes keys.

    Args:
        view: The filters and the order to begin with.
        url: The sidecar, without a password.
    """

    def __init__(self, view: MonitorView, url: str) -> None:
        self.view = view
        self.cancelled: str | None = None
        """The operation that is to be cancelled: the key was pressed twice."""
        self.closed = False
        """Whether it was asked to end."""
        self._url = url
        self._operations: Sequence[Mapping[str, Any]] = ()
        self._selected = ""
        self._paint = painter()
        self._typing = False
        self._asked = ""
        self._message = ""
        self._drawn = ""

    def warn(self, text: str) -> None:
        """Show a message until the next key."""
        self._message = text
        self.draw()

    def update(self, operations: Sequence[Mapping[str, Any]]) -> None:
        """Show these operations."""
        self._operations = operations
        self.draw()

    def press(self, key: str) -> None:
        """Do what a key says."""
        self._message = ""
        if self._typing:
            self._type(key)
        elif key == "c":
            self._cancel()
        else:
            self._asked = ""
            self._command(key)
        self.draw()

    def _command(self, key: str) -> None:
        view = self.view
        if key == "q":
            self.closed = True
        elif key in {UP, DOWN, "j", "k"}:
            self._move(1 if key in {DOWN, "j"} else -1)
        elif key == "s":
            view.sort = next_of(view.sort)
        elif key == "f":
            view.show = next_of(view.show)
        elif key == "w":
            view.folded = not view.folded
        elif key == "/":
            self._typing = True
        elif key == ESCAPE:
            view.text = ""

    def _type(self, key: str) -> None:
        if key in {ENTER, ESCAPE}:
            self._typing = False
        if key == ESCAPE:
            self.view.text = ""
        elif key == BACKSPACE:
            self.view.text = self.view.text[:-1]
        elif len(key) == 1:
            self.view.text += key

    def _move(self, step: int) -> None:
        ids = [str(one.operation["operation_id"]) for one in self.view.rows(self._operations)]
        if ids:
            at = ids.index(self._selected) + step if self._selected in ids else 0
            self._selected = ids[max(0, min(at, len(ids) - 1))]

    def _cancel(self) -> None:
        ids = {one["operation_id"] for one in self._operations}
        if self._selected not in ids:
            self._message = "Select an operation first, with the arrows"
        elif self._asked == self._selected:
            self.cancelled, self._asked = self._selected, ""
        else:
            self._asked = self._selected
            self._message = f"Press c again to cancel {self._selected}"

    def draw(self) -> None:
        """Draw all of it, in the place of what was drawn before."""
        columns, rows = shutil.get_terminal_size()
        # The last column stays free: some terminals begin a new line after it.
        wide = columns - 1
        table = self._table(max(1, rows - _LINES_AROUND), wide)
        lines = [_fitting(self._title(), wide), *table, "", _fitting(self._bottom(), wide)]
        drawn = "\n".join(lines)
        if drawn != self._drawn:
            self._write(erase_block(self._drawn) + drawn)
            self._drawn = drawn

    def close(self) -> None:
        """Leave it as it is."""
        self._write("\n")

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def _title(self) -> str:
        running = sum(state_of(one) == "running" for one in self._operations)
        view = self.view
        chosen = [f"sort: {view.sort}", f"states: {view.show}"]
        chosen += [f"type: {view.operation_type}"] if view.operation_type else []
        chosen += [f"tag: {view.tag}"] if view.tag else []
        chosen += [] if view.folded else ["workflows unfolded"]
        number = len(self._operations)
        counted = "1 operation" if number == 1 else f"{number:,} operations"
        return f"{counted}, {running:,} running  {'  '.join(chosen)}"

    def _table(self, room: int, columns: int) -> list[str]:
        rows = self.view.rows(self._operations)
        if not rows:
            said = [NO_MATCH] if self._operations else [LISTENING, f"  {self._url}"]
            return [_fitting(one, columns) for one in said]
        ids = [str(one.operation["operation_id"]) for one in rows]
        at = ids.index(self._selected) if self._selected in ids else 0
        first = max(0, at - room + 1)
        shown = rows[first : first + room]
        marks = [
            ("> " if row.operation["operation_id"] == self._selected else "  ")
            + ("  " if row.is_step else "")
            for row in shown
        ]
        operations = [one.operation for one in shown]
        return operation_table(operations, columns, short_ids=True, marks=marks, paint=self._paint)

    def _bottom(self) -> str:
        if self._typing:
            return f"/{self.view.text}_   (Enter keeps it, Esc removes it)"
        text = f"text: {self.view.text}   " if self.view.text else ""
        return self._message or f"{text}{HELP}"


def _fitting(text: str, columns: int) -> str:
    return truncate_to_width(escape_control(text), columns)
