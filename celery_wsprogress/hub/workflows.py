"""The workflows of a hub: their plans, their steps, and the events of their operations.

The hub calls :meth:`Workflows.add_part` for each part of a plan that it reads, and
:meth:`Workflows.report` after each event of a step. They return what follows for the operations of
workflows. It follows from the log alone, so every sidecar concludes the same.

Pure. Runs in: the event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import UNSET, structs

from celery_wsprogress.hub.consequences import Consequence, follow, tell_progress
from celery_wsprogress.hub.sent_canvases import SentCanvases
from celery_wsprogress.hub.step_reports import report_step
from celery_wsprogress.hub.unplanned_tasks import UnplannedTasks
from celery_wsprogress.operations import workflow_events
from celery_wsprogress.operations.workflow import Place, Workflow
from celery_wsprogress.operations.workflow_nodes import (
    ENDED,
    Block,
    Change,
    Step,
    StepState,
    unlink,
)
from celery_wsprogress.protocol.events import Event, Progress, Result
from celery_wsprogress.protocol.workflow_ids import is_workflow, workflow_id_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celery_wsprogress.hub.operation_record import OperationRecord
    from celery_wsprogress.hub.store import OperationStore
    from celery_wsprogress.operations.operation import Operation
    from celery_wsprogress.protocol.events import Plan

# Read for each event: on CPython 3.11 an attribute of an Enum costs ten times what a name costs.
_WAITING: Final = StepState.WAITING
_RUNNING: Final = StepState.RUNNING


class Workflows:
    """The workflows of a hub, by the ids of their tasks.

    Args:
        store: The operations, where the steps of a workflow are found.
    """

    def __init__(self, store: OperationStore) -> None:
        self._store = store
        self._by_id: dict[str, Workflow] = {}
        self._places: dict[str, tuple[Place, ...]] = {}
        """By the id of a task: one that a step has started is in several workflows."""
        self._groups: dict[str, tuple[Workflow, Block]] = {}
        """The groups by their id: a plan may not name all their members."""
        self._sent = SentCanvases()
        self._unplanned = UnplannedTasks()

    def get(self, operation_id: str) -> Workflow | None:
        """Return the workflow of an operation; None if it is none, or is not held."""
        workflow_id = workflow_id_of(operation_id)
        return None if workflow_id is None else self._by_id.get(workflow_id)

    def size_of(self, operation_id: str) -> int:
        """Return the bytes of a workflow."""
        workflow = self.get(operation_id)
        return 0 if workflow is None else workflow.size

    def progress_of(self, operation_id: str) -> tuple[Progress, Change] | None:
        """Return the progress of a workflow as it is now, and what has changed it last.

        None if it is not held any more, or nothing has changed it since the last call.
        """
        workflow = self.get(operation_id)
        if workflow is None or workflow.change is None:
            return None
        change, workflow.change = workflow.change, None
        newest = workflow.newest and self._store.get(workflow.newest.id)
        message = workflow_events.message_of(newest.operation) if newest else ""
        return workflow_events.progress(workflow, change.timestamp, message), change

    def forget(self, operation_id: str) -> None:
        """Forget a workflow whose operation is not held any more."""
        workflow = self.get(operation_id)
        if workflow is None:
            return
        del self._by_id[workflow.id]
        self._sent.set_starter(workflow, "")
        unlink((*workflow.planned, *workflow.unplanned.values()))
        for task_id in workflow.steps:
            self._set_places(
                task_id,
                tuple(one for one in self._places[task_id] if one.workflow is not workflow),
            )
        for group_id in workflow.groups:
            # A group that is in two plans is of the first.
            if self._groups.get(group_id, (None,))[0] is workflow:
                del self._groups[group_id]

    def _set_places(self, task_id: str, places: tuple[Place, ...]) -> None:
        if places:
            self._places[task_id] = places
        else:
            del self._places[task_id]
        record = self._store.get(task_id)
        if record is not None:
            self.place(record)

    def place(self, record: OperationRecord) -> None:
        """Look up the steps of an operation, which is new here or has become a step."""
        record.workflow = self.get(record.operation_id)
        places = self._places.get(record.operation_id, ())
        if places is not record.places:
            operation, known = record.operation, workflow_events.sub_of(record.places)
            record.places = places
            operation.workflow_ids = tuple(one.workflow.id for one in places)
            if operation.sub is None or operation.sub == known:
                operation.sub = workflow_events.sub_of(places)
                operation.rights_vary |= known is not None and operation.sub != known
            record.selector_version = -1

    def add_part(self, plan: Plan, change: Change) -> list[Consequence]:
        """Add a part of a plan, and return what follows; ``change`` is the same event."""
        workflow_id = workflow_id_of(plan.operation_id)
        if not workflow_id:
            return []
        known = self._by_id.get(workflow_id)
        if known is not None and workflow_events.is_sent_again(known, plan):
            workflow, known = self._send_again(known, plan.timestamp), None
        else:
            workflow = known or self._create(workflow_id)
        workflow.sub = workflow.sub or plan.sub or None
        steps = workflow.add_part(plan.data)
        for group_id, block in workflow.groups.items():
            self._groups.setdefault(group_id, (workflow, block))
        if plan.data.parent_id is not UNSET:
            self._sent.set_starter(workflow, plan.data.parent_id)
        around = self._add_to_workflows_around(workflow, steps)
        for step in steps:
            self._add_place(Place(workflow, step))
            self._add_canvases_of(workflow, step)
        groups = workflow.groups if workflow.unlisted else ()
        around += self._add_unplanned([*groups, *(step.id for step in steps)])
        follows: list[Consequence] = []
        if known is None:
            queued = workflow_events.queued(workflow, plan.timestamp, plan.data)
            follows.append((workflow.operation_id, queued))
        for one in dict.fromkeys((workflow, *around)):
            follows += follow(one, change, changed=True)
        return follows

    def add_single(self, record: OperationRecord) -> list[Event]:
        """Show a task that is no part of a workflow as one of a single step.

        Returns:
            The events that take the operation of the workflow to where the task is.
        """
        operation = record.operation
        workflow = self._create(operation.operation_id)
        step = workflow.add_started(None, operation.operation_id, operation.operation_type)
        self._add_place(Place(workflow, step))
        workflow.announced = workflow.state
        return workflow_events.of_single(workflow, operation)

    def _send_again(self, ended: Workflow, timestamp: float) -> Workflow:
        """Begin a workflow anew whose id is that of one which has ended, sent at this time."""
        self.forget(ended.operation_id)
        workflow = self._create(ended.id)
        workflow.run_number = workflow.first_run = ended.run_number + 1
        held = self._store.get(ended.id)
        # A plan may be read behind what its tasks have done.
        if held is not None and (held.operation.finished_at or timestamp) < timestamp:
            run = held.operation.run
            workflow.past_run = "" if run is None else run.id
        shown = self._store.get(ended.operation_id)
        assert shown is not None  # noqa: S101 - a workflow is forgotten with its record
        self.place(shown)
        return workflow

    def _create(self, workflow_id: str) -> Workflow:
        workflow = self._by_id[workflow_id] = Workflow(workflow_id)
        return workflow

    def _add_to_workflows_around(self, workflow: Workflow, steps: list[Step]) -> list[Workflow]:
        """Add the steps of a canvas to the workflows of the task that has sent it.

        That is the task which was running, or the one that was replaced by the canvas.
        """
        around: list[Workflow] = []
        for starter_id in {workflow.starter_id, workflow.id}:
            for other, starter in self._places.get(starter_id, ()):
                if other is not workflow:
                    around.append(other)
                    for step in steps:
                        self._add_started(other, starter, step.id, step.name)
        return around

    def _add_canvases_of(self, workflow: Workflow, step: Step) -> None:
        """Add the steps of the canvases that a step has sent, or is replaced by, to its workflow.

        Workers wrote these, and the caller its own plan: they may be read in any order.
        """
        canvases = self._sent.of(step.id)
        replacing = self._by_id.get(step.id)
        if replacing is not None and replacing is not workflow:
            canvases.append(replacing)
        for one in [one for canvas in canvases for one in canvas.steps.values()]:
            self._add_started(workflow, step, one.id, one.name)

    def _add_started(
        self, workflow: Workflow, starter: Step, task_id: str, name: str
    ) -> Step | None:
        if workflow.is_full or task_id in workflow.steps or workflow.announced in ENDED:
            return None
        step = workflow.add_started(starter, task_id, name)
        self._add_place(Place(workflow, step))
        return step

    def _add_place(self, place: Place) -> None:
        """Add a step to those of its task, and take over how that is by now."""
        task_id = place.step.id
        known = self._places.get(task_id, ())
        # The workflow whose plan names it is first: it says whose the task is.
        is_started = task_id in place.workflow.unplanned
        if not is_started:
            self._unplanned.remove(task_id)
        self._set_places(task_id, (*known, place) if is_started else (place, *known))
        record = self._store.get(task_id)
        if record is not None:
            report_step(place, record.operation)
        shown = self._store.get(place.workflow.operation_id)
        if shown is not None:
            self._store.set_plan_size(shown, place.workflow.size)

    def _add_unplanned(self, keys: Iterable[str]) -> list[Workflow]:
        """Add the tasks of these groups, and those that these tasks have started.

        Returns:
            The workflows that have them now.
        """
        joined, left = list[Workflow](), [*keys]
        while left:
            for task_id in self._unplanned.of(left.pop()):
                record = self._store.get(task_id)
                found = [] if record is None else self._join(record.operation)
                joined += found
                left += [task_id] if found else []
        return joined

    def _join(self, operation: Operation) -> list[Workflow]:
        """Make an operation a step of the workflows of its group or of the task that started it.

        For operations that no plan names: their own events do.
        """
        task_id, name = operation.operation_id, operation.operation_type
        if is_workflow(task_id):
            return []
        joined: list[Workflow] = []
        workflow, group = self._groups.get(operation.group_id or "", (None, None))
        is_new = workflow is not None and task_id not in workflow.steps
        if workflow is not None and group is not None and is_new and workflow.unlisted:
            self._add_place(Place(workflow, workflow.add_member(group, task_id, name)))
            joined.append(workflow)
        for other, starter in self._places.get(operation.parent_id or "", ()):
            step = self._add_started(other, starter, task_id, name)
            if step is not None:
                self._add_canvases_of(other, step)
                joined.append(other)
        self._unplanned.add(task_id, operation.parent_id, operation.group_id)
        return joined

    def report(self, record: OperationRecord, event: Event, change: Change) -> list[Consequence]:
        """Return what follows from an event of an operation, which it has folded.

        Args:
            record: The operation.
            event: The event.
            change: The same, for progress that is told later.
        """
        if not record.places:
            joined = self._join(record.operation)
            return [one for each in joined for one in follow(each, change, changed=True)]
        follows: list[Consequence] = []
        for place in record.places:
            workflow, step = place
            if type(event) is Progress and step.state is workflow.announced is _RUNNING:
                # Nearly all events come here, so nothing else is looked at.
                if workflow.advance(step, event.data.progress):
                    follows += tell_progress(workflow, change)
                continue
            changed = report_step(place, record.operation)
            if type(event) is Result and workflow.id == record.operation_id:
                told = structs.replace(event, operation_id=workflow.operation_id, run=workflow.run)
                follows.append((workflow.operation_id, told))
            follows += follow(workflow, change, changed=changed)
        return follows
