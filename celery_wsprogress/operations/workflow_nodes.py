"""The nodes of a workflow: a step for each task, and the chains and groups around them.

A change of a step changes the blocks around it, from the inside out, as far as it matters. A chain
has completed when its last part has, and has failed when any part has: the parts behind it never
run. A group is over when all its parts are, and has failed if any part has.

Pure.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Iterable


class StepState(IntEnum):
    """The state of a step or a block. The names, in small letters, are those on the wire."""

    WAITING = 0
    RUNNING = 1
    COMPLETED = 2
    ERROR = 3
    CANCELLED = 4
    SKIPPED = 5
    """It never runs, because a step before it failed."""


ENDED: Final = frozenset({StepState.COMPLETED, StepState.ERROR, StepState.CANCELLED})
"""The states of a workflow that is over."""


STATE_NAMES: Final = tuple(state.name.lower() for state in StepState)
"""The names of the states on the wire."""


# Read for each event: on CPython 3.11 an attribute of an Enum costs ten times what a name costs.
_WAITING: Final = StepState.WAITING
_RUNNING: Final = StepState.RUNNING
_COMPLETED: Final = StepState.COMPLETED
_ERROR: Final = StepState.ERROR
_CANCELLED: Final = StepState.CANCELLED
_SKIPPED: Final = StepState.SKIPPED


class Node(Struct, eq=False):
    """What steps and blocks have in common."""

    parent: Block | Step | None
    """What contains it. Of a task that a step has started it is that step."""
    id: str
    """Id of the task or the group; empty for a chain."""
    state: StepState = _WAITING


class Step(Node, kw_only=True):
    """One task."""

    name: str
    weight: float = 1.0
    fraction: float = 0.0
    """Its progress. It does not go back when the task is tried again."""


class Block(Node, kw_only=True):
    """A chain or a group."""

    is_chain: bool
    size: int = 0
    """Number of its parts."""
    counts: list[int] = field(default_factory=lambda: [0] * len(StepState))
    """Numbers of its parts by state."""
    last: Node | None = None
    """The last part that is known."""

    def resolve(self, unlisted: int) -> StepState:
        """Return its state, from the states of its parts.

        Args:
            unlisted: Number of tasks of the workflow of which nothing is known yet: they may be
                members of a group.
        """
        counts = self.counts
        # A part that is skipped says nothing: the one that failed before it does.
        completed, cancelled, failed = counts[_COMPLETED], counts[_CANCELLED], counts[_ERROR]
        if self.is_chain:
            if self.last is not None and self.last.state is _COMPLETED:
                return _COMPLETED
            if completed and completed + counts[_SKIPPED] == self.size:
                # What failed is not in the plan: a task was added to the header of a chord.
                return _ERROR
            is_over = failed + cancelled > 0
        else:
            is_over = completed + cancelled + failed == self.size + unlisted
        if is_over:
            return _ERROR if failed else _CANCELLED if cancelled else _COMPLETED
        return _WAITING if counts[_WAITING] + counts[_SKIPPED] == self.size else _RUNNING


class Failure(Struct, frozen=True):
    """Why a task ended without success."""

    error: str
    error_type: str
    is_silent: bool = False
    """Whether no worker says what that means for the tasks behind it."""


class Change(NamedTuple):
    """An event that has changed the progress of a workflow."""

    timestamp: float
    event_id: str
    epoch_number: int
    """Of the log."""


def place(node: Node, parent: Block | None, unlisted: int) -> None:
    """Make a node the last part of a block."""
    node.parent = parent
    if parent is not None:
        parent.size += 1
        parent.counts[node.state] += 1
        parent.last = node
        settle(parent, unlisted)


def unlink(nodes: Iterable[Node]) -> None:
    """Let nodes be freed as soon as nobody needs them: a part and its block refer to each other."""
    for node in nodes:
        node.parent = None


def settle(block: Block, unlisted: int) -> None:
    """Work out the state of a block anew."""
    change(block, block.resolve(unlisted), unlisted)


def change(node: Node, state: StepState, unlisted: int) -> None:
    """Change the state of a node, and of the blocks around it."""
    # A loop, since a plan of a stranger may be nested as deep as it has nodes.
    while state is not node.state:
        before, node.state = node.state, state
        parent = node.parent
        if not isinstance(parent, Block):
            return
        parent.counts[before] -= 1
        parent.counts[state] += 1
        node, state = parent, parent.resolve(unlisted)
