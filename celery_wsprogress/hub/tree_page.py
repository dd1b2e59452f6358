"""The command ``get_tree``: the tasks of a workflow, and how they depend on each other. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.errors import CommandError
from celery_wsprogress.hub.list_page import MAX_PAGE_BYTES, parse_limit
from celery_wsprogress.operations.selector import Selector, SelectorField
from celery_wsprogress.operations.workflow_nodes import STATE_NAMES, Block, Node, Step
from celery_wsprogress.protocol.messages import encode_frame
from celery_wsprogress.protocol.whole_numbers import parse_whole_number
from celery_wsprogress.protocol.workflow_ids import workflow_operation_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery_wsprogress.hub.command_context import CommandContext
    from celery_wsprogress.hub.steps import Steps

NODES_PER_STEP: Final = 500
"""Nodes that one step of the command encodes: a millisecond."""


def get_tree(context: CommandContext) -> Steps[dict[str, Any]]:
    """Return the reply: a page of the nodes, each behind the one that contains it.

    Of a task that is no part of a workflow the tree has one node, and of an unknown one none.
    """
    workflow_id = context.text("workflow_id")
    context.check_may_select(Selector(SelectorField.STEPS, workflow_id))
    limit = parse_limit(context.fields.get("limit"))
    first = _parse_cursor(context.fields.get("cursor"))
    operation_id = workflow_operation_id(workflow_id)
    context.hub.show_workflow(operation_id)
    workflow = context.hub.workflows.get(operation_id)
    reply: dict[str, Any] = {"workflow_id": workflow_id, "total": 0, "nodes": [], "next": None}
    if workflow is None:
        return reply
    nodes = [*workflow.planned, *workflow.unplanned.values()]
    yield
    indexes = {id(node): index for index, node in enumerate(nodes)}
    yield
    shown, room = reply["nodes"], MAX_PAGE_BYTES
    reply["total"] = workflow.total
    for index in range(first, len(nodes)):
        node = _shown(nodes[index], index, indexes)
        room -= len(encode_frame(node))
        if len(shown) == limit or room < 0:
            reply["next"] = str(index)
            break
        shown.append(node)
        if len(shown) % NODES_PER_STEP == 0:
            yield
    return reply


def _shown(node: Node, index: int, indexes: Mapping[int, int]) -> dict[str, Any]:
    """Return the JSON object that shows a node."""
    shown: dict[str, Any] = {
        "index": index,
        "parent": indexes.get(id(node.parent)),
        "state": STATE_NAMES[node.state],
    }
    if isinstance(node, Step):
        return shown | {
            "kind": "task",
            "operation_id": node.id,
            "operation_type": node.name,
            "progress": node.fraction,
            "weight": node.weight,
        }
    assert isinstance(node, Block)  # noqa: S101 - there is no other kind
    group_id = None if node.is_chain else node.id
    return shown | {"kind": "chain" if node.is_chain else "group", "group_id": group_id}


def _parse_cursor(cursor: object) -> int:
    if cursor is None:
        return 0
    number = parse_whole_number(cursor) if isinstance(cursor, str) else None
    if number is None:
        raise CommandError("invalid_command", "`cursor` must be the `next` of a reply")
    return number
