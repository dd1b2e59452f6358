"""The nodes of a plan, from the signatures of a canvas."""

from __future__ import annotations

import functools
import logging
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.protocol import jsonable
from celery_wsprogress.protocol.events import MAX_ID_LENGTH
from celery_wsprogress.protocol.plans import MAX_PLAN_NODES, PlanNode
from celery_wsprogress.worker.plans import signatures
from celery_wsprogress.worker.run_info import HEADER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celery_wsprogress.protocol.plans import NodeKind

logger = logging.getLogger(__name__)

MAX_WEIGHT: Final = 1_000_000.0

_SHORT: Final = jsonable.MAX_NAME_BYTES // 6
"""Characters of a name that always fit."""


class PlanNodes:
    """Collects the nodes of a plan, up to :data:`.MAX_PLAN_NODES`; further tasks are counted.

    The parts of a chain come before what they contain, so that the end of a chain is listed
    although a group in it is large.
    """

    def __init__(self) -> None:
        self.nodes: list[PlanNode] = []
        self.tasks = 0
        """Number of tasks, also of those that are not listed."""
        self._blocks = 0

    @property
    def is_full(self) -> bool:
        """Whether further tasks are only counted."""
        return len(self.nodes) >= MAX_PLAN_NODES

    def add_chain(self, parts: Iterable[Any], parent: int = -1) -> list[tuple[int, Any]]:
        """Add a chain of tasks and groups (:func:`.signatures.parts_of`).

        Returns:
            The index of each of its groups, and the group, whose members are not added yet.
        """
        index = self.add_block("chain", parent)
        groups = []
        for part in parts:
            if signatures.is_group(part):
                groups.append((self.add_block("group", index, signatures.id_of(part)), part))
            else:
                self.add_task(part, index)
        return groups

    def add_block(self, kind: NodeKind, parent: int, group_id: str = "") -> int:
        """Add a chain or a group without its parts, and return its index; -1 where it is full."""
        if self.is_full:
            return -1
        self._blocks += 1
        self.nodes.append(PlanNode(kind, parent, group_id[:MAX_ID_LENGTH]))
        return len(self.nodes) - 1

    def add_task(self, signature: Any, parent: int) -> None:
        """Add a task."""
        options = signature["options"]
        self.tasks += 1
        task_id = options.get("task_id")
        # Without an id nobody would know the task again; and with a longer one no event is read.
        if (
            type(task_id) is str
            and 0 < len(task_id) <= MAX_ID_LENGTH
            and len(self.nodes) < MAX_PLAN_NODES
        ):
            name = signature["task"]
            if type(name) is not str or len(name) > _SHORT:
                name = jsonable.to_text(name, jsonable.MAX_NAME_BYTES)
            headers = options.get("headers")
            weight = weight_of(headers) if headers else 1.0
            self.nodes.append(PlanNode("task", parent, task_id, name, weight))

    def add_members(self, members: Iterable[Any], parent: int) -> None:
        """Add the members of a group, with all that they contain."""
        pending = [(parent, iter(members))]
        # No recursion: the canvas may be nested deeply.
        while pending:
            index, rest = pending[-1]
            for member in rest:
                if signatures.is_task(member):
                    self.add_task(member, index)
                    continue
                pending += self._add_composite(member, index)
                break
            else:
                pending.pop()

    def _add_composite(self, member: Any, parent: int) -> list[tuple[int, Any]]:
        parts = list(signatures.parts_of(member))
        if len(parts) > 1:
            groups = self.add_chain(parts, parent)
            return [(i, iter(signatures.members_of(group))) for i, group in reversed(groups)]
        if not parts:
            return []
        # Celery takes the members of a group in a group for members of the outer one.
        if signatures.is_group(parts[0]):
            return [(parent, iter(signatures.members_of(parts[0])))]
        self.add_task(parts[0], parent)
        return []

    def without_empty_blocks(self) -> list[PlanNode]:
        """Return the nodes without the blocks none of whose parts is listed."""
        if not self.is_full or self._blocks == 1:
            return self.nodes
        used = [node.kind == "task" for node in self.nodes]
        for index in range(len(self.nodes) - 1, 0, -1):
            # What contains a node comes before it.
            if used[index]:
                used[self.nodes[index].parent] = True
        places: dict[int, int] = {-1: -1}
        kept: list[PlanNode] = []
        for index, node in enumerate(self.nodes):
            if used[index]:
                places[index] = len(kept)
                kept.append(
                    PlanNode(node.kind, places[node.parent], node.id, node.name, node.weight)
                )
        return kept


def weight_of(headers: Any) -> float:
    """Return the weight of a task, from the headers of its signature or message; else 1."""
    header = headers.get(HEADER) if isinstance(headers, dict) else None
    weight = header.get("weight") if isinstance(header, dict) else None
    if weight is None:
        return 1.0
    # No other type: what `float()` makes of it may be code of the user.
    if type(weight) in {int, float} and 0 < weight <= MAX_WEIGHT and isfinite(weight):
        return float(weight)
    _warn_once(
        f"the weight of a task, in its header {HEADER!r}, must be a number above 0, and at most "
        f"{MAX_WEIGHT:.0f}; another one counts as 1"
    )
    return 1.0


@functools.cache
def _warn_once(sentence: str) -> None:
    logger.warning("%s", sentence)
