"""A workflow: the tasks of one canvas, folded from its plan and from what its tasks report.

The plan (:mod:`celery_wsprogress.protocol.plans`) is a tree of chains and groups with a step for
each task (:mod:`.workflow_nodes`). What a task reports changes its step and the blocks around it,
so a report costs the depth of the tree. A chord is a chain of a group and a body. The workflow has
completed when the task or the group has whose id the caller holds, and has failed when that cannot
complete any more.

Tasks that a step starts become steps, too. They count for the progress, not for the end.

Pure.
"""

from __future__ import annotations

from sys import getsizeof
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import UNSET, Struct, field

from celery_wsprogress.operations.workflow_nodes import (
    Block,
    Change,
    Failure,
    Node,
    Step,
    StepState,
    change,
    place,
    settle,
)
from celery_wsprogress.protocol.plans import MAX_PLAN_NODES
from celery_wsprogress.protocol.workflow_ids import workflow_operation_id

if TYPE_CHECKING:
    from celery_wsprogress.protocol.plans import PlanData, PlanNode

MAX_NODES: Final = 2 * MAX_PLAN_NODES
"""Maximum number of steps and blocks of a workflow. Further tasks that its steps start are left
out."""

MAX_FAILED: Final = 100
"""Maximum number of failed steps whose errors are kept."""

STEP_BYTES: Final = 400
"""Bytes of a step or a block with its places in the indexes, but without its id, on CPython
3.11."""

# Read for each event: on CPython 3.11 an attribute of an Enum costs ten times what a name costs.
_WAITING: Final = StepState.WAITING
_RUNNING: Final = StepState.RUNNING
_COMPLETED: Final = StepState.COMPLETED
_ERROR: Final = StepState.ERROR
_CANCELLED: Final = StepState.CANCELLED
_SKIPPED: Final = StepState.SKIPPED


class Workflow(Struct, eq=False):
    """The steps of one workflow.

    :meth:`add_part` and the other ``add_`` say what it consists of, :meth:`report` how a task is.
    """

    id: str
    """The id that the caller holds."""
    operation_id: str = ""
    """The id of the operation that shows it."""
    planned: list[Node] = field(default_factory=list)
    """The nodes of the plan, by their index there."""
    unplanned: dict[str, Step] = field(default_factory=dict)
    """The other steps: members of a group that the plan does not name, and started tasks."""
    steps: dict[str, Step] = field(default_factory=dict)
    """All steps by the id of their task."""
    groups: dict[str, Block] = field(default_factory=dict)
    """The groups of the plan by their id."""
    counts: list[int] = field(default_factory=lambda: [0] * len(StepState))
    """Numbers of steps by state."""
    failures: dict[str, Failure] = field(default_factory=dict)
    """Why steps failed, by the id of their task: the first :data:`MAX_FAILED`."""
    skipped_because: Failure | None = None
    """What a task that never ran was told of the failure before it."""
    newest: Step | None = None
    """The step that reported last."""
    change: Change | None = None
    """The newest change of its progress, until an event of its operation has told of it."""
    announced: StepState = _WAITING
    """The state that the events of its operation have said."""
    sub: str | None = None
    """Whose it is, as its caller has said. So are its tasks."""
    starter_id: str = ""
    """Id of the task that has sent the canvas, if a task did."""
    run_number: int = 1
    """1, and one more each time that it goes on after its end, or is sent again."""
    first_run: int = 1
    """The number of the run with which it began."""
    past_run: str = ""
    """The run of the task that the caller holds which ended before the workflow was sent again."""
    is_replanned: bool = False
    """Whether more than one plan of it was read."""
    _tasks: int = 0
    """Number of tasks that the plan counts."""
    _members: int = 0
    """Number of steps among these."""
    _names: dict[str, str] = field(default_factory=dict)
    """The names of the tasks: many steps have the same one."""
    _text_size: int = 0
    """Bytes of all ids and names."""
    _weight: float = 0.0
    _done: float = 0.0
    """Sum of what each step has done of its weight."""

    def __post_init__(self) -> None:
        """Make the id that follows from the other one."""
        self.operation_id = workflow_operation_id(self.id)

    @property
    def run(self) -> str:
        """The id of the run of its operation."""
        return f"workflow-{self.run_number}"

    @property
    def unlisted(self) -> int:
        """Number of tasks that the plan counts, and of which nothing is known yet."""
        return max(0, self._tasks - self._members)

    @property
    def total(self) -> int:
        """Number of its tasks."""
        return len(self.steps) + self.unlisted

    @property
    def failed(self) -> int:
        """Number of tasks that failed or were cancelled."""
        return self.counts[_ERROR] + self.counts[_CANCELLED]

    @property
    def progress(self) -> float:
        """The mean of the progress of its tasks, by weight: a fraction from 0.0 to 1.0."""
        weight = self._weight + self.unlisted
        return min(1.0, self._done / weight) if weight else 0.0

    @property
    def state(self) -> StepState:
        """Its state."""
        held = self.steps.get(self.id) or self.groups.get(self.id)
        root = self.planned[0].state if self.planned else _WAITING
        if held is None:
            return root
        is_unseen = root is _WAITING or (root is _RUNNING and self.unlisted > 0)
        if not self.planned or (is_unseen and held.state is _SKIPPED):
            # A single task; or what failed before it was not read, or is not listed.
            return _ERROR if held.state is _SKIPPED else held.state
        # What comes last in the plan that was read need not be what the caller holds.
        return _RUNNING if root is _COMPLETED and held.state is not _COMPLETED else root

    @property
    def size(self) -> int:
        """Bytes of memory."""
        return STEP_BYTES * (len(self.planned) + len(self.unplanned)) + self._text_size

    @property
    def is_full(self) -> bool:
        """Whether it takes no more steps."""
        return len(self.planned) + len(self.unplanned) >= MAX_NODES

    def add_part(self, part: PlanData) -> list[Step]:
        """Add a part of the plan, and return the steps that are new.

        A part behind one that was lost is ignored: its nodes have no place. Their tasks are counted
        all the same.

        A second plan is of a canvas that has replaced the task whose id the caller holds, which had
        been replaced before. Its tasks count as tasks that this one has started.
        """
        self.is_replanned |= part.first == 0 and len(part.nodes) > 0 and len(self.planned) > 0
        if self.is_replanned:
            return self._add_further(part)
        if part.tasks is not UNSET:
            self._tasks = part.tasks
        in_place = part.first == len(self.planned)
        nodes = part.nodes if in_place else ()
        new = [step for node in nodes if (step := self._add_node(node)) is not None]
        if part.tasks is not UNSET:
            for group in self.groups.values():
                settle(group, self.unlisted)
        return new

    def _add_further(self, part: PlanData) -> list[Step]:
        held, new = self.steps.get(self.id), list[Step]()
        for node in part.nodes if self.announced < _COMPLETED else ():
            if node.kind == "task" and node.id not in self.steps and not self.is_full:
                new.append(self.add_started(held, node.id, node.name, node.weight))
        return new

    def _add_node(self, node: PlanNode) -> Step | None:
        parent = self._block_at(node.parent)
        if node.kind != "task":
            block = Block(parent, node.id, is_chain=node.kind == "chain")
            self.planned.append(block)
            self._text_size += getsizeof(block.id)
            if not block.is_chain and node.id:
                self.groups.setdefault(node.id, block)
            place(block, parent, self.unlisted)
            return None
        known = self.steps.get(node.id)
        self._members += 1
        if known is not None and node.id not in self.unplanned:
            # The same id twice is one task, for Celery as well.
            self.planned.append(known)
            return None
        if known is not None:
            del self.unplanned[node.id]
            # The task has reported before the plan was read.
            self._weight += node.weight - known.weight
            self._done += known.fraction * (node.weight - known.weight)
            known.weight = node.weight
        step = known or self._new_step(node.id, node.name, node.weight)
        self.planned.append(step)
        place(step, parent, self.unlisted)
        return None if known else step

    def _block_at(self, index: int) -> Block | None:
        node = self.planned[index] if 0 <= index < len(self.planned) else None
        return node if isinstance(node, Block) else None

    def _new_step(self, task_id: str, name: str, weight: float = 1.0) -> Step:
        is_new = name not in self._names
        name = self._names.setdefault(name, name)
        self._text_size += getsizeof(task_id) + is_new * getsizeof(name)
        step = self.steps[task_id] = Step(None, task_id, name=name, weight=weight)
        self.counts[_WAITING] += 1
        self._weight += weight
        return step

    def add_member(self, group: Block, task_id: str, name: str) -> Step:
        """Add a member of a group that the plan counts and does not name."""
        step = self.unplanned[task_id] = self._new_step(task_id, name)
        self._members += 1
        place(step, group, self.unlisted)
        return step

    def add_started(
        self, starter: Step | None, task_id: str, name: str, weight: float = 1.0
    ) -> Step:
        """Add a task that a step has started; None for one that is all of the workflow."""
        step = self.unplanned[task_id] = self._new_step(task_id, name, weight)
        step.parent = starter
        return step

    def advance(self, step: Step, fraction: float) -> bool:
        """Record the progress of a step that runs; return whether that is news."""
        self.newest = step
        gain = fraction - step.fraction
        if gain <= 0.0:
            return False
        self._done += step.weight * gain
        step.fraction = fraction
        return True

    def report(
        self, step: Step, state: StepState, fraction: float, failure: Failure | None = None
    ) -> bool:
        """Record how a task is, and return whether that changes anything.

        Args:
            step: Its step.
            state: Its state. What has completed stays so.
            fraction: Its progress. A smaller one than before is ignored.
            failure: Why it failed, if it did.
        """
        before = step.state
        if before is _COMPLETED:
            return False
        newest = self.newest
        changed = self.advance(step, fraction)
        if state is not before:
            self.counts[before] -= 1
            self.counts[state] += 1
            self._note_failure(step, state, failure)
            change(step, state, self.unlisted)
            changed = True
        if state is _SKIPPED:
            # It has not reported itself.
            self.newest = newest
        return changed

    def _note_failure(self, step: Step, state: StepState, failure: Failure | None) -> None:
        if state is _SKIPPED:
            self.skipped_because = self.skipped_because or failure
        elif failure is None:
            self.failures.pop(step.id, None)
        elif len(self.failures) < MAX_FAILED:
            self.failures[step.id] = failure


class Place(NamedTuple):
    """A step, and the workflow that it is in."""

    workflow: Workflow
    step: Step
