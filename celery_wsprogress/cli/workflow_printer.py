"""Print workflows with their steps, to a terminal or a pipe.

In a terminal each workflow is a bar with the steps indented below it, which are rewritten. In a
pipe every event of a workflow and its steps is a line, with the names of steps indented.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.cli.event_lines import event_line, short_names
from celery_wsprogress.cli.printer import Printer
from celery_wsprogress.cli.progress_bar import progress_bar
from celery_wsprogress.cli.step_tree import StepTree
from celery_wsprogress.protocol.workflow_ids import workflow_id_of, workflow_operation_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

REDRAW_INTERVAL: Final = 0.1
"""Seconds between two drawings of the steps."""


class WorkflowPrinter(Printer):
    """Prints workflows.

    Args:
        ids: The ids that their callers hold.
        as_json: Print each event as JSON, unchanged.
    """

    refresh_interval = REDRAW_INTERVAL

    def __init__(self, ids: Iterable[str], *, as_json: bool = False) -> None:
        ids = list(ids)
        super().__init__([workflow_operation_id(one) for one in ids], as_json=as_json)
        self._rewrites = self._terminal and not as_json
        self._trees = {one: StepTree() for one in ids}
        self._titles = short_names(ids) if len(ids) > 1 else dict.fromkeys(ids, "")
        self._bars: dict[str, Mapping[str, Any]] = {}
        """The latest progress of each workflow."""
        self._changed = False

    def load(self, workflow_id: str, tree: Mapping[str, Any]) -> None:
        """Take over the tree of a workflow."""
        self._trees[workflow_id].load(tree)
        self._changed = True

    def total(self, workflow_id: str) -> int:
        """Return the number of tasks in the tree of a workflow."""
        return self._trees[workflow_id].total

    def refresh(self, _now: float, /) -> None:
        """Draw the steps again, if any has changed."""
        if self._rewrites and self._changed:
            self._draw()

    def close(self) -> None:
        """Draw the steps as they are in the end, and leave them there."""
        if self._rewrites and self._trees:
            self._draw()
        super().close()

    def _event(self, event: Mapping[str, Any]) -> None:
        if self.as_json:
            super()._event(event)
            return
        workflow_id = workflow_id_of(str(event.get("operation_id")))
        if workflow_id in self._trees:
            self._workflow_event(workflow_id, event)
        else:
            self._step_event(event)

    def _workflow_event(self, workflow_id: str, event: Mapping[str, Any]) -> None:
        if not self._rewrites:
            super()._event(event)
        elif event["event_type"] == "progress":
            self._bars[workflow_id] = event
            self._changed = True
        else:
            self.print_line(event_line(event, self._titles[workflow_id], self._paint))

    def _step_event(self, event: Mapping[str, Any]) -> None:
        trees = [one for one in self._trees.values() if one.report(event)]
        self._changed = True
        kind = event["event_type"]
        # In a terminal the tree shows the rest.
        if self._rewrites and kind not in {"log", "error"}:
            return
        if kind == "progress" and not self._percent_changed(event):
            return
        label = trees[0].label(str(event["operation_id"])) if trees else ""
        name = label or f"  {self._name(event)}"
        self.print_line(event_line(event, name, self._paint))

    def _draw(self) -> None:
        self._changed = False
        columns, rows = shutil.get_terminal_size()
        lines: list[str] = []
        for workflow_id, tree in self._trees.items():
            lines += self._title(workflow_id, columns - 1)
            lines += tree.lines()
        # The last row stays free, and one tells that there is more.
        room = rows - 2
        if len(lines) > room:
            lines = [*lines[:room], f"  ... {len(lines) - room:,} more lines"]
        self._show_block(lines, columns)

    def _title(self, workflow_id: str, columns: int) -> list[str]:
        bar, title = self._bars.get(workflow_id), self._titles[workflow_id]
        if bar is None:
            return [title] if title else []
        return [progress_bar(bar, columns, title)]
