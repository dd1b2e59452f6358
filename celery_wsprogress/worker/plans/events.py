"""The events of a plan: its nodes, divided into parts that fit into a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET, Struct, structs

from celery_wsprogress.protocol import batches, jsonable
from celery_wsprogress.protocol.events import Plan
from celery_wsprogress.protocol.plans import MAX_PART_NODES, PlanData
from celery_wsprogress.protocol.workflow_ids import workflow_operation_id
from celery_wsprogress.worker.publishing.queue_entries import EncodedEvent, Priority
from celery_wsprogress.worker.run_info import RunInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from celery_wsprogress.protocol.plans import PlanNode


class PlanHead(Struct, frozen=True, kw_only=True, gc=False):
    """What the first part of a plan says of the workflow."""

    workflow_id: str
    operation_type: str
    parent_id: str = ""
    metadata: dict[str, Any] = {}
    tags: tuple[str, ...] = ()
    sub: str = ""


def encode_plan(
    head: PlanHead, timestamp: float, nodes: Sequence[PlanNode], tasks: int
) -> list[EncodedEvent]:
    """Encode a plan.

    Args:
        head: The workflow.
        timestamp: Epoch seconds.
        nodes: All nodes.
        tasks: Number of tasks, as far as it is known.
    """
    first = PlanData(
        nodes=list(nodes[:MAX_PART_NODES]),
        tasks=tasks,
        operation_type=head.operation_type,
        parent_id=head.parent_id or UNSET,
        metadata=head.metadata or UNSET,
        tags=list(head.tags) or UNSET,
    )
    parts = [first]
    parts += (
        PlanData(nodes=list(nodes[start : start + MAX_PART_NODES]), first=start)
        for start in range(MAX_PART_NODES, len(nodes), MAX_PART_NODES)
    )
    return [event for part in parts for event in _encode(head, timestamp, part)]


def encode_count(head: PlanHead, timestamp: float, listed: int, tasks: int) -> EncodedEvent:
    """Encode a last part that has no nodes, and says how many tasks there are.

    Args:
        head: The workflow.
        timestamp: Epoch seconds.
        listed: Number of nodes in the parts before.
        tasks: Number of tasks.
    """
    [event] = _encode(head, timestamp, PlanData(nodes=[], first=listed, tasks=tasks))
    return event


def _encode(head: PlanHead, timestamp: float, part: PlanData) -> Iterator[EncodedEvent]:
    operation_id = workflow_operation_id(head.workflow_id)
    plan = Plan(operation_id=operation_id, timestamp=timestamp, sub=head.sub, data=part)
    text = batches.encode_event(plan)
    if len(text) > jsonable.MAX_EVENT_BYTES and len(part.nodes) > 1:
        # Long names, or ids of the user.
        middle = len(part.nodes) // 2
        yield from _encode(head, timestamp, structs.replace(part, nodes=part.nodes[:middle]))
        rest = PlanData(nodes=part.nodes[middle:], first=part.first + middle)
        yield from _encode(head, timestamp, rest)
    else:
        yield EncodedEvent(Priority.LIFECYCLE, text, RunInfo(operation_id, head.operation_type))
