"""The liveness checker: it finds silent runs and concludes what has become of them.

A run is alive while events of it or heartbeats of its process arrive. After half of ``lost_after``
without either it is stalled. After all of it Celery's result backend is asked, if there is one: the
outcome it knows is the end of the run, and otherwise the run is lost. Nothing is concluded from a
lookup that was not made. A backend that does not answer is asked again, for ten minutes at least
(:data:`MIN_OUTAGE`). Conclusions are written to
the log and take effect when they are read back, here and in every other sidecar. So all of them
agree, and a sidecar that cannot read the log gives up nothing.

Silence counts only while the log is read: from the moment when all of it has been read to the
moment when the broker is lost.
"""

from __future__ import annotations

import logging
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Final, TypeAlias, TypeGuard

from celery_wsprogress.operations.states import FOLLOWED, WAITING, State
from celery_wsprogress.printable import escape_control
from celery_wsprogress.protocol.batches import DEFAULT_HEARTBEAT_INTERVAL
from celery_wsprogress.sidecar.liveness import inferred_events
from celery_wsprogress.sidecar.liveness.inferred_events import SilentRun
from celery_wsprogress.sidecar.liveness.pending_lookups import Urgency
from celery_wsprogress.sidecar.liveness.result_lookup import NOT_ASKED, UNAVAILABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from celery_wsprogress.hub.store import OperationStore
    from celery_wsprogress.operations.runs import Run
    from celery_wsprogress.protocol.events import Event
    from celery_wsprogress.sidecar.liveness.result_lookup import LookupResult

logger = logging.getLogger(__name__)

OUTAGE_FACTOR: Final = 2.0
"""Times ``lost_after`` after which a run is given up although the backend does not answer."""

MIN_OUTAGE: Final = 600.0
"""Seconds of silence before which no run is given up although the backend does not answer."""

MAX_SUCCESSOR_WAIT_FACTOR: Final = 5.0
"""Times ``lost_after`` after which the backend is asked again about a run that was replaced: what
follows may end without an event, where a step of a chain is given up as a whole."""

MISSED_HEARTBEATS: Final = 3.0
"""Intervals of its process's heartbeats that a run may be silent, whatever ``lost_after`` is: a
conclusion holds for every sidecar."""

MAX_LOGGED_RUNS: Final = 100
"""Workers that a warning names, because their heartbeats are too rare for ``lost_after``."""

MAX_QUEUED_LOOKUPS: Final = 20
"""Messages waiting in their queue that one check asks the backend about: there may be very many."""

_WAITING: Final = (*WAITING, *FOLLOWED)

_QUEUED: Final = (State.QUEUED, State.SCHEDULED)
"""States of a message that no worker has received, if its run has no id."""

Request: TypeAlias = "Callable[[str, Callable[[LookupResult], None], Urgency], None]"


class LivenessChecker:
    """Checks the operations that have not ended.

    Runs in: the event loop. Pure: times are passed in, ``now`` of the clock that
    :meth:`Hub.process_batch <celery_wsprogress.hub.hub.Hub.process_batch>` gets.

    Args:
        store: The operations.
        lost_after: Seconds of silence.
        conclude: Appends events to the log.
        request: Asks the result backend about an operation and calls back, in the event loop; None
            where there is none.
    """

    def __init__(
        self,
        store: OperationStore,
        lost_after: float,
        conclude: Callable[[Sequence[Event]], None],
        request: Request | None = None,
    ) -> None:
        self._store = store
        self._lost_after = lost_after
        self._conclude = conclude
        self._request = request
        self._reading_since: float | None = None
        self._checked_at = float("-inf")
        self._next_check_at: dict[str, float] = {}
        """The times of the next check, by operation id, of operations with an inferred event."""
        self._next_expiry_at: dict[str, float] = {}
        """The same, of operations that were concluded to have expired."""
        self._logged_workers: set[str] = set()

    @property
    def interval(self) -> float:
        """Seconds between two checks."""
        return min(5.0, self._lost_after / 12)

    def resume(self, now: float) -> None:
        """Count silence from now on: the log is read."""
        self._reading_since = now

    def pause(self) -> None:
        """Stop counting silence: the log cannot be read."""
        self._reading_since = None

    def check(self, now: float, timestamp: float) -> None:
        """Find silent runs, and conclude what there is to conclude.

        Args:
            now: The monotonic time.
            timestamp: The same moment in epoch seconds, for the events.
        """
        late = now - self._checked_at > 3 * self.interval
        self._checked_at = now
        if self._reading_since is None:
            return
        if late:
            # This process was suspended, or much too busy: it is the one that was silent.
            self._reading_since = now
        self._next_check_at = {one: at for one, at in self._next_check_at.items() if at > now}
        self._next_expiry_at = {one: at for one, at in self._next_expiry_at.items() if at > now}
        for silence in self._silent(State.RUNNING, now, timestamp):
            self._handle_silent(silence, now)
        for silence in self._expired(now, timestamp):
            self._conclude([inferred_events.expired(silence)])
            # The log may not have taken it.
            self._next_expiry_at[silence.operation.operation_id] = now + self._lost_after / 6
        if self._request is not None:
            for state in _WAITING:
                for silence in self._silent(state, now, timestamp):
                    self._ask_about_waiting(self._request, silence, now)
            for silence in islice(self._queued(now, timestamp), MAX_QUEUED_LOOKUPS):
                self._ask_queued(self._request, silence, now)

    def _expired(self, now: float, timestamp: float) -> Iterator[SilentRun]:
        """Yield messages that no worker has received, ``lost_after`` after they have expired.

        RabbitMQ deletes them and tells nobody: Celery publishes them with a time to live
        (celery/app/base.py, 5.7, ``send_task``). A worker that receives one revokes it.
        """
        since = now - self._lost_after
        states = (*_QUEUED, State.RETRYING)
        for record in chain.from_iterable(self._store.silent(one, since) for one in states):
            operation, run = record.operation, record.operation.run
            if operation.expires_at is None or operation.operation_id in self._next_expiry_at:
                continue
            if run is None or operation.runs.waiting or (run.id and run.state in WAITING):
                continue
            # Both times are of one clock, which need not be that of this machine.
            lifetime = operation.expires_at - (run.last_seen_at or operation.queued_at or 0.0)
            seconds = now - max(self._reading_since or 0.0, record.last_event_at)
            if seconds >= lifetime + self._lost_after:
                yield SilentRun(operation, run, seconds, timestamp)

    def _queued(self, now: float, timestamp: float) -> Iterator[SilentRun]:
        """Yield messages without an event for ``lost_after`` that are due to be asked about."""
        since = now - self._lost_after
        for record in chain.from_iterable(self._store.silent(one, since) for one in _QUEUED):
            operation = record.operation
            if not _is_unreceived(operation.run) or operation.operation_id in self._next_check_at:
                continue
            if record.workflow is not None:
                continue
            # The process that published it sends no heartbeats for it.
            seconds = now - max(self._reading_since or 0.0, record.last_event_at)
            if seconds >= self._lost_after:
                yield SilentRun(operation, operation.run, seconds, timestamp)

    def _silent(self, state: State, now: float, timestamp: float) -> Iterator[SilentRun]:
        """Yield runs without a heartbeat for a third of ``lost_after``, unless checked lately."""
        # A conclusion is an event of the operation, but no sign of life of its run.
        for record in self._store.silent(state, now - self._lost_after / 3):
            operation = record.operation
            # A run without an id has no heartbeats: whoever writes such events writes its end. And
            # of a workflow its tasks say everything.
            if operation.run is None or not operation.run.id or record.workflow is not None:
                continue
            if operation.operation_id not in self._next_check_at:
                since = max(self._reading_since or 0.0, record.last_heartbeat_at)
                yield SilentRun(operation, operation.run, now - since, timestamp)

    def _timeout_of(self, silence: SilentRun) -> float:
        """Return the seconds of silence after which this run is given up."""
        every = silence.run.heartbeat_interval or DEFAULT_HEARTBEAT_INTERVAL
        timeout = max(self._lost_after, MISSED_HEARTBEATS * every)
        if timeout > self._lost_after:
            self._warn_of_slow_heartbeat(silence.operation.worker or "", every, timeout)
        return timeout

    def _warn_of_slow_heartbeat(self, worker: str, every: float, timeout: float) -> None:
        if worker in self._logged_workers or len(self._logged_workers) >= MAX_LOGGED_RUNS:
            return
        self._logged_workers.add(worker)
        logger.warning(
            "%s gives a sign of life every %g seconds (its sign_interval), too seldom for "
            "lost_after = %g here: its runs are given up after %g seconds. Raise lost_after, or "
            "lower that sign_interval",
            f"Worker {escape_control(worker, 200)}" if worker else "A process that owns operations",
            every,
            self._lost_after,
            timeout,
        )

    def _handle_silent(self, silence: SilentRun, now: float) -> None:
        """Conclude that a running run is stalled, ask the backend about it, or give it up."""
        if silence.seconds < self._lost_after / 2:
            return
        timeout = self._timeout_of(silence)
        if silence.seconds < timeout / 2:
            return
        if not silence.run.stalled:
            self._conclude([inferred_events.stalled(silence)])
        elif silence.seconds < timeout:
            return
        elif self._request is None:
            self._conclude([inferred_events.given_up(silence)])
        else:
            answer = partial(self._on_answer, silence, max(OUTAGE_FACTOR * timeout, MIN_OUTAGE))
            self._request(silence.operation.operation_id, answer, Urgency.SILENT)
        # The log may not have taken it, or the backend not answer.
        self._next_check_at[silence.operation.operation_id] = now + timeout / 6

    def _on_answer(self, silence: SilentRun, max_outage: float, result: LookupResult) -> None:
        """Conclude what follows from a lookup, or nothing if it was not made or not answered.

        Args:
            silence: The silent run.
            max_outage: Seconds of silence after which a backend that does not answer counts as one
                that knows nothing.
            result: What the backend knows.
        """
        if silence.operation.run is not silence.run or not silence.run.silent:
            return
        if result.outcome is not None:
            self._conclude(inferred_events.ended(silence, result.outcome))
        elif result is NOT_ASKED or (result is UNAVAILABLE and silence.seconds < max_outage):
            return
        else:
            self._conclude([inferred_events.given_up(silence)])

    def _ask_about_waiting(self, request: Request, silence: SilentRun, now: float) -> None:
        """Ask about a run that was received, or that another one follows, and not a word since.

        It waits for its turn, as a rule, and its message is safe. But a process may have died
        with its first word unsaid and its success stored, of which Celery says nothing.
        """
        if silence.seconds < self._lost_after:
            return
        answer = partial(self._on_waiting_answer, silence)
        request(silence.operation.operation_id, answer, Urgency.WAITING)
        # Each time when it has waited twice as long: there may be many of these.
        pause = silence.seconds
        if silence.run.state is State.REPLACED:
            pause = min(pause, MAX_SUCCESSOR_WAIT_FACTOR * self._lost_after)
        self._next_check_at[silence.operation.operation_id] = now + pause

    def _ask_queued(self, request: Request, silence: SilentRun, now: float) -> None:
        """Ask about a message without an event of a worker: it may never have reached one of ours.

        A worker that knows neither its task nor this package discards it without an event, and
        stores ``NotRegistered`` (celery/worker/consumer/consumer.py, ``on_unknown_task``).
        """
        answer = partial(self._on_queued_answer, silence)
        request(silence.operation.operation_id, answer, Urgency.WAITING)
        self._next_check_at[silence.operation.operation_id] = now + silence.seconds

    def _on_queued_answer(self, silence: SilentRun, result: LookupResult) -> None:
        waits = silence.operation.run is silence.run and _is_unreceived(silence.run)
        if waits and result.outcome is not None:
            self._conclude(inferred_events.ended(silence, result.outcome))

    def _on_waiting_answer(self, silence: SilentRun, result: LookupResult) -> None:
        waits = silence.operation.run is silence.run and silence.run.state in _WAITING
        if waits and result.outcome is not None:
            self._conclude(inferred_events.ended(silence, result.outcome))


def _is_unreceived(run: Run | None) -> TypeGuard[Run]:
    """Return whether no worker has said that it has the message."""
    return run is not None and not run.id and run.state in _QUEUED
