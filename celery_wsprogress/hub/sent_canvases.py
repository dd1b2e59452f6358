"""The canvases that tasks have sent while they ran, by the task. Pure. Runs in: the event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from celery_wsprogress.operations.workflow import Workflow


class SentCanvases:
    """The workflows that have a starter, by its id, and by their own."""

    def __init__(self) -> None:
        self._by_starter: dict[str, dict[str, Workflow]] = {}

    def of(self, task_id: str) -> list[Workflow]:
        """Return the workflows that a task has sent."""
        return [*self._by_starter.get(task_id, {}).values()]

    def set_starter(self, workflow: Workflow, starter_id: str) -> None:
        """Note which task has sent a workflow; none if the id is empty."""
        among = self._by_starter.get(workflow.starter_id, {})
        among.pop(workflow.id, None)
        if not among:
            self._by_starter.pop(workflow.starter_id, None)
        workflow.starter_id = starter_id
        if starter_id:
            self._by_starter.setdefault(starter_id, {})[workflow.id] = workflow
