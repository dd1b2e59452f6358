"""The plans of workflows in the log of a test's broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from celery_wsprogress.protocol.events import Plan, Status
from celery_wsprogress.protocol.workflow_ids import is_workflow, workflow_operation_id
from support.conditions import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celery_wsprogress.protocol.events import LogEvent
    from celery_wsprogress.protocol.plans import PlanData, PlanNode
    from support.event_log import LogReader


class WholePlan(NamedTuple):
    """All parts of one plan."""

    parts: Sequence[PlanData]
    nodes: Sequence[PlanNode]

    @property
    def shape(self) -> object:
        """The tree: names of tasks; chains as lists, groups as tuples."""
        return self.subtree(0)

    def subtree(self, index: int) -> object:
        """The tree below a node."""
        node = self.nodes[index]
        inside = [self.subtree(i) for i, one in enumerate(self.nodes) if one.parent == index]
        if node.kind == "task":
            assert not inside
            return node.name.rpartition(".")[2]
        return inside if node.kind == "chain" else tuple(inside)

    @property
    def task_ids(self) -> list[str]:
        """The ids of its tasks."""
        return [node.id for node in self.nodes if node.kind == "task"]


def all_events(log: LogReader) -> list[LogEvent]:
    """All events, in log order."""
    return [event for batch in log.batches() for event in batch.events]


def joined(parts: Sequence[PlanData]) -> WholePlan:
    """The plan of these parts, of which none is missing or there twice."""
    nodes: list[PlanNode] = []
    for part in parts:
        assert part.first == len(nodes)
        nodes += part.nodes
    assert all(node.parent < index for index, node in enumerate(nodes))
    return WholePlan(parts, nodes)


def plans_in(log: LogReader) -> dict[str, WholePlan]:
    """The plans in the log by the id of their operation."""
    found: dict[str, list[PlanData]] = {}
    for event in all_events(log):
        if isinstance(event, Plan):
            assert is_workflow(event.operation_id)
            found.setdefault(event.operation_id, []).append(event.data)
    return {operation_id: joined(parts) for operation_id, parts in found.items()}


def plan_of(log: LogReader, workflow_id: str) -> WholePlan:
    """The plan of a workflow, once it is in the log."""
    operation_id = workflow_operation_id(workflow_id)
    return eventually(lambda: plans_in(log).get(operation_id), what=f"the plan of {workflow_id}")


def queued_ids(log: LogReader) -> list[str]:
    """The ids of the tasks whose messages were published, in log order."""
    return [
        event.operation_id
        for event in all_events(log)
        if isinstance(event, Status) and event.data.status == "queued"
    ]
