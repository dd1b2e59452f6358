"""Random canvases, how Celery runs them, and what is to be said of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

from hypothesis import strategies as st

MAX_TASKS = 40


@dataclass
class Node:
    """A task, a chain or a group."""

    kind: str
    id: str = ""
    parts: list[Node] = field(default_factory=list)

    @property
    def tasks(self):
        return [self] if self.kind == "task" else [one for part in self.parts for one in part.tasks]

    @property
    def held(self):
        """The id that the caller gets."""
        return self.parts[-1].held if self.kind == "chain" else self.id

    def plan_nodes(self):
        """The nodes of its plan, as tuples of :class:`.PlanNode`."""
        found = []

        def add(node, parent):
            index = len(found)
            found.append((node.kind, parent, node.id, f"tasks.{node.id}"))
            for part in node.parts:
                add(part, index)

        add(self, -1)
        return found


def canvases(max_tasks=MAX_TASKS):
    """A canvas that is no single task."""
    tree = st.recursive(
        st.just(None),
        lambda part: st.tuples(st.booleans(), st.lists(part, min_size=1, max_size=4)),
        max_leaves=max_tasks,
    )
    return st.tuples(st.booleans(), st.lists(tree, min_size=1, max_size=4)).map(_named)


def _named(tree, numbers=None):
    """Make nodes of a tree: None for a task, whether it is a chain and its parts for another."""
    numbers = numbers or count()
    if tree is None:
        return Node("task", f"t{next(numbers)}")
    is_chain, parts = tree
    group_id = "" if is_chain else f"g{next(numbers)}"
    kind = "chain" if is_chain else "group"
    return Node(kind, group_id, [_named(part, numbers) for part in parts])


class Running:
    """How Celery runs a canvas.

    Args:
        canvas: The canvas.
        failing: Ids of the tasks that fail.
    """

    def __init__(self, canvas, failing):
        self.canvas = canvas
        self.failing = failing
        self.ended = {}
        """Whether a task succeeded, by its id."""

    def ready(self):
        """The tasks that may run now."""
        return [one for one in self._ready(self.canvas) if one not in self.ended]

    def _ready(self, node):
        if node.kind == "task":
            return [node.id]
        if node.kind == "group":
            return [one for part in node.parts for one in self._ready(part)]
        for part in node.parts:
            if self.outcome(part) is None:
                return self._ready(part)
            if self.outcome(part) is False:
                return []
        return []

    def outcome(self, node=None):
        """Whether it succeeded; None as long as it is not over."""
        node = node or self.canvas
        if node.kind == "task":
            return self.ended.get(node.id)
        outcomes = [self.outcome(part) for part in node.parts]
        if node.kind == "chain":
            if False in outcomes:
                return False
            return True if outcomes[-1] else None
        return None if None in outcomes else all(outcomes)

    def end(self, task_id):
        self.ended[task_id] = task_id not in self.failing
