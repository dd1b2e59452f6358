"""The hub: all operations of a sidecar, their subscriptions, and the deliveries.

:meth:`Hub.process_batch` folds the events of a batch into their operations;
:meth:`Hub.take_deliveries` returns the sessions that get them. Subscriptions begin and end in
:attr:`Hub.subscriptions`. No method awaits, so no event falls between a snapshot and the events
after it, and none is delivered twice. :mod:`celery_wsprogress.sidecar` calls all of these.

Pure: times are passed in. Runs in: the event loop.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from celery_wsprogress.hub.deliveries import Deliveries, Delivery, DueProgress
from celery_wsprogress.hub.history_page import results_of
from celery_wsprogress.hub.hub_stats import stats_of
from celery_wsprogress.hub.log_cursor import LogCursor
from celery_wsprogress.hub.store import OperationStore
from celery_wsprogress.hub.subscriptions import Subscriptions
from celery_wsprogress.hub.workflows import Workflows
from celery_wsprogress.operations.resumption import resume
from celery_wsprogress.operations.states import Verdict, reopens
from celery_wsprogress.operations.workflow_nodes import Change
from celery_wsprogress.protocol.batch_numbers import Arrival
from celery_wsprogress.protocol.event_ids import SYNTHETIC_SUFFIX, derived_event_id
from celery_wsprogress.protocol.events import STARTED, Event, LogEvent, Plan, Progress, Status
from celery_wsprogress.protocol.workflow_ids import (
    WORKFLOW_PREFIX,
    is_workflow,
    workflow_id_of,
    workflow_operation_id,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celery_wsprogress.hub.consequences import Consequence
    from celery_wsprogress.hub.operation_record import OperationRecord
    from celery_wsprogress.operations.runs import Run
    from celery_wsprogress.protocol.batches import Batch

# Read for each event: on CPython 3.11 an attribute of an Enum costs ten times what a name costs.
_DELIVER: Final = Verdict.DELIVER
_ENDED: Final = Verdict.ENDED


@dataclass(slots=True)
class Hub:
    """All operations of a sidecar and their subscriptions."""

    store: OperationStore = field(default_factory=OperationStore)
    counts: Counter[str] = field(default_factory=Counter)
    """Numbers of events: ``events``, ``delivered``, ``behind``, ``over``, ``resumed``,
    ``malformed``; of batches: ``repeats`` (written twice) and ``gaps`` (missing), ``bytes`` of
    all; of questions of clients about unknown operations: ``lookups_refused``; of operations that
    clients resumed: ``recovered``, ``not_recovered``."""
    progress_interval: float = 0.0
    """Minimum seconds between two progress events of one operation, for all sessions."""
    events_read: Counter[type[LogEvent]] = field(default_factory=Counter)
    """Numbers of events read, by type."""
    _log: LogCursor = field(default_factory=LogCursor)
    subscriptions: Subscriptions = field(init=False)
    workflows: Workflows = field(init=False)
    deliveries: Deliveries = field(init=False)
    _heartbeat_interval: float = 0.0
    """Seconds between two heartbeats of the writer whose batch is being processed."""

    def __post_init__(self) -> None:
        self.workflows = Workflows(self.store)
        self.store.on_workflow_evicted = self.workflows.forget
        self.subscriptions = Subscriptions(self.store, self._log)
        self.deliveries = Deliveries(
            self.store, self.subscriptions.index, self.progress_interval, self._progress_of
        )
        self.store.evicted.on_forgotten = self._close_slow_readers

    # From the log.

    def process_batch(self, batch: Batch, *, epoch: str, position: str, now: float) -> None:
        """Fold the events and heartbeats of a batch into their operations.

        Args:
            batch: The next batch of the log.
            epoch: The epoch of the log.
            position: The position of the batch in the log.
            now: Seconds of the monotonic clock.
        """
        arrival = self._log.arrival_of(batch)
        self.counts["gaps"] += arrival is Arrival.AHEAD
        if arrival is Arrival.REPEAT:
            self.counts["repeats"] += 1
            return
        if epoch != self._log.epoch:
            self._log.start_epoch(epoch)
            self.subscriptions.start_epoch()
        at = self._log.advance(position)
        self.counts["malformed"] += batch.malformed
        self.counts["events"] += len(batch.events)
        self.events_read.update(map(type, batch.events))
        self._heartbeat_interval = batch.every
        for index, event in enumerate(batch.events):
            if isinstance(event, Plan):
                self._process_plan(event, at.event_id(index), now)
            elif event.operation_id.startswith(WORKFLOW_PREFIX):
                # Nobody writes these: they follow from plans and from events of tasks.
                self.counts["over"] += 1
            else:
                self._process(event, at.event_id(index), now)
        for index, (operation_id, run) in enumerate(batch.alive, len(batch.events)):
            record = self.store.get(operation_id)
            current = None if record is None else record.operation.run
            if record is not None and current is not None and current.id == run:
                record.last_heartbeat_at = now
                current.heartbeat_interval = batch.every
                self.deliveries.add_held_back(record, now)
                if current.mark_alive(batch.at):
                    self._resume(record, current, batch.at, at.event_id(index), now)
                self.store.touch(record, now)

    def _process_plan(self, plan: Plan, event_id: str, now: float) -> None:
        change = Change(plan.timestamp, event_id, self._log.epoch_number)
        self._conclude(self.workflows.add_part(plan, change), change, event_id, now)
        shown = self.store.get(plan.operation_id)
        if shown is None:
            # It has ended, and was evicted.
            self.workflows.forget(plan.operation_id)
        else:
            self.store.set_plan_size(shown, self.workflows.size_of(plan.operation_id))

    def _process(self, event: Event, event_id: str, now: float) -> None:
        record = self.store.get(event.operation_id) or self._create(event)
        if record is None:
            return
        operation, run = record.operation, event.run
        before = operation.runs.current
        is_current = before is not None and before.id == run
        is_progress = isinstance(event, Progress)
        if not (is_current and is_progress):
            self.deliveries.add_held_back(record, now)
        # What a sidecar inferred was not reported by the run itself, and `queued` is of no run.
        reported = bool(run) and not event.inferred
        if reported and before is not None and is_current and before.mark_alive(event.timestamp):
            self._resume(record, before, event.timestamp, event_id, now)
        verdict, event = operation.fold(event)
        current = operation.runs.current
        if reported and current is not None and current.id == run:
            record.last_heartbeat_at = now
            current.heartbeat_interval = self._heartbeat_interval
        self.counts[_COUNTED[verdict]] += 1
        if verdict is _DELIVER:
            if current is not before:
                record.history.run_start_seq = record.history.newest + 1
            epoch_number = self._log.epoch_number
            if is_progress:
                self.deliveries.add_progress(record, event, event_id, epoch_number, now)
            else:
                self.deliveries.add(record, event, event_id, epoch_number)
        self.store.touch(record, now)
        # What a superseded run says is not of its operation, nor of a workflow.
        if isinstance(event, Status):
            record.note_status(event, now)
            self._report(record, event, event_id, now)
        elif record.places and verdict is not _ENDED:
            self._report(record, event, event_id, now)

    def _report(self, record: OperationRecord, event: Event, event_id: str, now: float) -> None:
        """Report an event to the workflows that its operation is a step of."""
        change = Change(event.timestamp, event_id, self._log.epoch_number)
        follows = self.workflows.report(record, event, change)
        if follows:
            self._conclude(follows, change, derived_event_id(event_id), now)
        if not record.places and self.subscriptions.awaits_workflow(record.operation_id):
            self._show_single(record)

    def show_workflow(self, operation_id: str) -> None:
        """Show a task as the workflow with this operation id, if it is held, and part of none."""
        record = self.store.get(workflow_id_of(operation_id) or "")
        if record is not None:
            self._show_single(record)

    def _show_single(self, record: OperationRecord) -> None:
        """Show a task that is no part of a workflow as one, since a client asks for that."""
        entries, operation_id = record.history.after(0), record.operation_id
        is_single = not (record.places or record.operation.is_step or is_workflow(operation_id))
        # There may be a plan that does not name it.
        is_shown = self.store.get(workflow_operation_id(operation_id)) is not None
        if not entries or not is_single or is_shown:
            return
        events = self.workflows.add_single(record)
        shown = self.store.create(events[0].operation_id, record.operation.first_seen_at)
        self._place(shown)
        for event in events:
            shown.operation.fold(event)
        for entry, result in results_of(record.history):
            told = structs.replace(result, operation_id=shown.operation_id, run=events[-1].run)
            event_id = derived_event_id(result.event_id)
            self.deliveries.add(shown, told, event_id, entry.epoch_number)
        event_id = derived_event_id(record.history.last_event_id)
        self.deliveries.add(shown, events[-1], event_id, entries[-1].epoch_number)
        self.store.touch(shown, record.last_event_at)

    def _conclude(
        self, follows: Iterable[Consequence], change: Change, first_event_id: str, now: float
    ) -> None:
        """Process what follows from an event for workflows; each gets events from this id on."""
        event_id, before = first_event_id, ""
        for operation_id, consequence in follows:
            # A workflow may have to say two things, such as that it has started and how far it is.
            again = operation_id == before
            previous, before = event_id, operation_id
            event_id = derived_event_id(previous) if again else first_event_id
            if consequence is not None:
                self._process(consequence, event_id, now)
                continue
            workflow, record = self.workflows.get(operation_id), self.store.get(operation_id)
            if workflow is not None and record is not None:
                if again:
                    workflow.change = change._replace(event_id=previous)
                self.deliveries.add_workflow_progress(record, now)

    def _create(self, event: Event) -> OperationRecord | None:
        """Create the record of an operation; None for an event that begins none."""
        operation_id = event.operation_id
        is_late = self.store.was_evicted_finished(operation_id) and not reopens(event)
        # Nobody writes events of a workflow, and one without a plan may just have been evicted.
        if is_late or (is_workflow(operation_id) and self.workflows.get(operation_id) is None):
            self.counts["over"] += 1
            return None
        record = self.store.create(operation_id, event.timestamp)
        self._place(record)
        return record

    def _place(self, record: OperationRecord) -> None:
        """Find the workflows of a new record, and whether its id was watched before."""
        self.workflows.place(record)
        # One that was evicted may have been watched for its tag, which the new one may not have.
        index, operation = self.subscriptions.index, record.operation
        operation.rights_vary = index.may_lack_rights(record.operation_id)

    def _progress_of(self, record: OperationRecord) -> DueProgress | None:
        """Make the progress of a workflow; None if it has ended."""
        made = self.workflows.progress_of(record.operation_id)
        if made is None or record.operation.fold(made[0])[0] is not _DELIVER:
            return None
        event, change = made
        return DueProgress(event, derived_event_id(change.event_id), change.epoch_number)

    def _resume(
        self, record: OperationRecord, run: Run, timestamp: float, event_id: str, now: float
    ) -> None:
        """Deliver the event that resumes the current run."""
        event = resume(record.operation, run, timestamp)
        self.counts["resumed"] += 1
        if event.data.status == STARTED:
            record.history.run_start_seq = record.history.newest + 1
        event_id += SYNTHETIC_SUFFIX
        self.deliveries.add(record, event, event_id, self._log.epoch_number)
        self._report(record, event, event_id, now)

    @property
    def next_due(self) -> float | None:
        """Monotonic time at which to call :meth:`flush_due`; None if nothing is held back."""
        return self.deliveries.next_due

    def flush_due(self, now: float) -> None:
        """Deliver the progress that was held back until now."""
        self.deliveries.add_due(now)

    def take_deliveries(self) -> list[Delivery]:
        """Return the deliveries since the last call, for operations with a subscription."""
        return self.deliveries.take()

    def _close_slow_readers(self, record: OperationRecord) -> None:
        """Close the sessions that have not read an evicted operation whose memory is needed."""
        for session in self.subscriptions.index.of(record):
            if record.operation_id in session.reading():
                session.too_slow = True
                session.clear()
                session.writer.close_too_slow()

    # For commands.

    def get(self, operation_id: str) -> dict[str, Any] | None:
        """Return the snapshot of an operation; None if it is not held."""
        record = self.store.get(operation_id)
        return record.snapshot() if record else None

    def stats(self) -> dict[str, int]:
        """Return the figures for ``get_stats``."""
        return stats_of(self.store, len(self.subscriptions.index), self.counts)


_COUNTED: Final = {Verdict.DELIVER: "delivered", Verdict.STALE: "behind", Verdict.ENDED: "over"}
