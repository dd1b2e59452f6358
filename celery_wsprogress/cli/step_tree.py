"""The steps of a workflow in a terminal: a tree that follows their events, as indented lines.

Pure. :class:`.WorkflowPrinter` prints the lines.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.printable import escape_control

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MAX_PARTS: Final = 8
"""Parts of one chain or group that are shown; those that run or failed come first."""

_BAR_WIDTH: Final = 12
_MAX_NAME: Final = 40
_OVER: Final = frozenset({"completed", "error", "cancelled", "skipped"})
_BEFORE_START: Final = frozenset({"queued", "scheduled", "received"})
_WORDS: Final = {"completed": "done", "error": "failed"}
_RANKS: Final = {"running": 0, "error": 1, "cancelled": 2, "waiting": 3, "completed": 4}
"""Which parts of a large group are worth a line."""


@dataclass
class StepNode:
    """A task, a chain or a group."""

    kind: str
    name: str
    depth: int = 0
    state: str = "waiting"
    progress: float = 0.0
    sent: bool = False
    """Whether somebody has published the task. If not, it ends because another one failed."""
    parts: list[StepNode] = field(default_factory=list)

    def tasks(self) -> Iterator[StepNode]:
        """Give the tasks in it, itself as well."""
        # Without recursion: a tree may be as deep as it has nodes.
        nodes = [self]
        while nodes:
            node = nodes.pop()
            nodes += node.parts
            if node.kind == "task":
                yield node


class StepTree:
    """The tree of one workflow. Texts in it are those of any sidecar, and not escaped."""

    def __init__(self) -> None:
        self.total = 0
        """Number of tasks, as the sidecar said when the tree was loaded."""
        self._roots: list[StepNode] = []
        self._steps: dict[str, StepNode] = {}

    def load(self, tree: Mapping[str, Any]) -> None:
        """Take over what :meth:`.Client.tree` returned."""
        self.total = int(tree["total"])
        before, self._roots, self._steps = self._steps, [], {}
        nodes: dict[int, StepNode] = {}
        for one in tree["nodes"]:
            node = nodes[one["index"]] = _node(one)
            parent = nodes.get(-1 if one["parent"] is None else one["parent"])
            if parent is None:
                self._roots.append(node)
            else:
                node.depth = parent.depth + 1
                parent.parts.append(node)
            if node.kind == "task":
                task_id = str(one["operation_id"])
                self._steps[task_id] = node
                known = before.get(task_id)
                node.name = node.name or (known.name if known else "") or task_id
                node.sent = known is not None and known.sent

    def report(self, event: Mapping[str, Any]) -> bool:
        """Take over an event of a task; return whether it is one of the workflow."""
        node = self._steps.get(str(event.get("operation_id")))
        if node is None:
            return False
        data = event["data"]
        kind = event["event_type"]
        if kind == "status":
            _fold_status(node, data)
        elif kind == "progress":
            node.progress = max(node.progress, float(data["progress"]))
        elif kind == "completed":
            node.state, node.progress = "completed", 1.0
        elif kind == "error":
            never_ran = node.state == "waiting" and not node.sent
            failed = "cancelled" if data.get("status") == "cancelled" else "error"
            node.state = "skipped" if never_ran and failed == "error" else failed
        elif kind == "snapshot":
            _fold_snapshot(node, event["operation"])
        return True

    def label(self, operation_id: str) -> str:
        """Return the name of a task as it stands before its lines, indented; empty if unknown."""
        node = self._steps.get(operation_id)
        if node is None:
            return ""
        short = escape_control(node.name.rpartition(".")[2], _MAX_NAME)
        return "  " * max(1, node.depth) + short

    def lines(self) -> list[str]:
        """Return its lines. What contains everything has none: the bar stands for it."""
        roots = self._roots
        if len(roots) == 1 and roots[0].kind != "task":
            roots = roots[0].parts
        rows = [*_rows(roots)]
        wide = max((len(name) for name, _ in rows), default=0)
        return [f"{name:<{wide}}  {text}".rstrip() for name, text in rows]


def _node(one: Mapping[str, Any]) -> StepNode:
    kind = str(one["kind"])
    name = str(one.get("operation_type") or "") if kind == "task" else kind
    progress = float(one.get("progress") or 0.0)
    return StepNode(kind, name, state=str(one["state"]), progress=progress)


def _fold_status(node: StepNode, data: Mapping[str, Any]) -> None:
    node.sent = True
    node.name = str(data.get("operation_type") or node.name)
    if data["status"] not in _BEFORE_START:
        node.state = "running"


def _fold_snapshot(node: StepNode, operation: Mapping[str, Any]) -> None:
    node.sent = True
    state = str(operation["state"])
    begun = state in _OVER
    node.state = state if begun else "waiting" if state in _BEFORE_START else "running"
    node.progress = max(node.progress, float(operation["progress"]))


def _rows(nodes: Iterable[StepNode]) -> Iterator[tuple[str, str]]:
    """Give the name, indented, and the rest of each line."""
    waiting = [(node, 1) for node in _worth_a_line(nodes)][::-1]
    while waiting:
        node, level = waiting.pop()
        indent = "  " * level
        if isinstance(node, int):
            yield f"{indent}... {node:,} more", ""
            continue
        yield indent + escape_control(node.name, _MAX_NAME), _state(node)
        waiting += [(part, level + 1) for part in _worth_a_line(node.parts)][::-1]


def _worth_a_line(nodes: Iterable[StepNode]) -> list[StepNode | int]:
    """Return the parts to show, in their order, and the number of those that are left out."""
    parts = list(nodes)
    if len(parts) <= MAX_PARTS:
        return [*parts]
    places = sorted(range(len(parts)), key=lambda at: _RANKS.get(parts[at].state, 5))
    shown: list[StepNode | int] = [parts[at] for at in sorted(places[: MAX_PARTS - 1])]
    return [*shown, len(parts) - MAX_PARTS + 1]


def _state(node: StepNode) -> str:
    if node.kind != "task":
        tasks = [one.state for one in node.tasks()]
        return f"{sum(one in _OVER for one in tasks):,} of {len(tasks):,}"
    if node.state != "running":
        return _WORDS.get(node.state, escape_control(node.state))
    done = round(_BAR_WIDTH * node.progress)
    percent = int(node.progress * 100 + 1e-9)
    return f"{percent:3d}% [{'#' * done}{'.' * (_BAR_WIDTH - done)}]"
