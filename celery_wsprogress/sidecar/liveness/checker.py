"""Who is silent, and what is to be made of it.

A run gives signs: whatever it says, and what its process says of it now and then. One that has
given none for half of ``lost_after`` is said to be stalled. One that still gives none at the end
of it is asked for at Celery's result backend, if there is one; what that knows is its end, and
otherwise it is lost. What is concluded goes into the log and means something when it is read
back, here and in every other sidecar: so all of them agree, and nobody is given up by a sidecar
that cannot hear.

Silence counts only while the log is heard: from the moment when everything that is in it was
read, to the moment when the broker is gone.
"""

from __future__ import annotations

import logging
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias

from celery_wsprogress.operations.states import FOLLOWED, State
from celery_wsprogress.protocol.batches import DEFAULT_HEARTBEAT_INTERVAL
from celery_wsprogress.sidecar.liveness import inferred_events
from celery_wsprogress.sidecar.liveness.inferred_events import SilentRun
from celery_wsprogress.sidecar.liveness.result_lookup import UNAVAILABLE_RESULT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from celery_wsprogress.hub.store import OperationStore
    from celery_wsprogress.protocol.events import Event
    from celery_wsprogress.sidecar.liveness.result_lookup import Answer

logger = logging.getLogger(__name__)

BACKEND_PATIENCE_FACTOR: Final = 2.0
"""Times ``lost_after`` that a backend which cannot be asked, or does not answer, is waited for."""


MAX_SUCCESSOR_PATIENCE_FACTOR: Final = 5.0
"""Times ``lost_after`` after which the backend is asked again about a run that was replaced: what
follows may end without a word, where a step of a chain is given up as a whole."""

MISSED_HEARTBEATS: Final = 3.0
"""Times the interval of its process's signs that a run may be silent, whatever ``lost_after``
says: what is concluded here holds for every sidecar."""

MAX_LOGGED_RUNS: Final = 100
"""Workers that are named in the log because they speak too seldom for ``lost_after``."""

MAX_QUEUED_LOOKUPS: Final = 20
"""Messages that wait in their queue about which the backend is asked in one look: there may be
very many of these."""

_WAITING: Final = (State.RECEIVED, *FOLLOWED)

Ask: TypeAlias = "Callable[[str, Callable[[Answer], None]], None]"


class LivenessChecker:
    """Watches over the running operations.

    Runs in: the event loop. Pure: times are passed in, ``now`` by the clock of
    :meth:`Hub.accept <celery_wsprogress.hub.hub.Hub.accept>`.

    Args:
        store: The operations.
        lost_after: Seconds of silence.
        conclude: Appends events to the log.
        ask: Asks the result backend about an operation and calls back, in the event loop; None
            where there is none.
    """

    def __init__(
        self,
        store: OperationStore,
        lost_after: float,
        conclude: Callable[[Sequence[Event]], None],
        ask: Ask | None = None,
    ) -> None:
        self._store = store
        self._lost_after = lost_after
        self._conclude = conclude
        self._ask = ask
        self._heard_since: float | None = None
        self._looked_at = float("-inf")
        self._again_at: dict[str, float] = {}
        """When an operation about which something was concluded is looked at again."""
        self._named: set[str] = set()

    @property
    def interval(self) -> float:
        """Seconds between two looks."""
        return min(5.0, self._lost_after / 12)

    def listen(self, now: float) -> None:
        """The log is heard from now on."""
        self._heard_since = now

    def pause(self) -> None:
        """The log is not heard any more."""
        self._heard_since = None

    def look(self, now: float, epoch_now: float) -> None:
        """Look for silent runs.

        Args:
            now: The time.
            epoch_now: The same moment in epoch seconds, for the events.
        """
        late = now - self._looked_at > 3 * self.interval
        self._looked_at = now
        if self._heard_since is None:
            return
        if late:
            # This process was suspended, or much too busy: it is the one that was silent.
            self._heard_since = now
        self._again_at = {one: at for one, at in self._again_at.items() if at > now}
        for silence in self._silent(State.RUNNING, now, epoch_now):
            self._handle_silent(silence, now)
        if self._ask is not None:
            for state in _WAITING:
                for silence in self._silent(state, now, epoch_now):
                    self._ask_early(self._ask, silence, now)
            for silence in islice(self._queued(now, epoch_now), MAX_QUEUED_LOOKUPS):
                self._ask_queued(self._ask, silence, now)

    def _queued(self, now: float, epoch_now: float) -> Iterator[SilentRun]:
        """Messages of which nobody has heard for long, and that are not waited for already."""
        for record in self._store.silent(State.QUEUED, now - self._lost_after):
            operation = record.operation
            if operation.run is None or operation.operation_id in self._again_at:
                continue
            # The process that published it gives no signs.
            seconds = now - max(self._heard_since or 0.0, record.last_event_at)
            if seconds >= self._lost_after:
                yield SilentRun(operation, operation.run, seconds, epoch_now)

    def _silent(self, state: State, now: float, epoch_now: float) -> Iterator[SilentRun]:
        """Operations that may have been silent for long, and are not waited for already."""
        # What was concluded of an operation counts as heard, and is no sign of its run.
        for record in self._store.silent(state, now - self._lost_after / 3):
            operation = record.operation
            # A run without a name can give no sign: who writes such events says its end himself.
            if operation.run is None or not operation.run.id:
                continue
            if operation.operation_id not in self._again_at:
                since = max(self._heard_since or 0.0, record.last_heartbeat_at)
                yield SilentRun(operation, operation.run, now - since, epoch_now)

    def _patience_with(self, silence: SilentRun) -> float:
        """Seconds of silence after which this run is given up."""
        every = silence.run.every or DEFAULT_HEARTBEAT_INTERVAL
        patience = max(self._lost_after, MISSED_HEARTBEATS * every)
        if patience > self._lost_after:
            self._name_slow(silence.operation.worker or "", every, patience)
        return patience

    def _name_slow(self, worker: str, every: float, patience: float) -> None:
        if worker in self._named or len(self._named) >= MAX_LOGGED_RUNS:
            return
        self._named.add(worker)
        logger.warning(
            "%s gives a sign of life every %g seconds (its sign_interval), too seldom for "
            "lost_after = %g here: its runs are given up after %g seconds. Raise lost_after, or "
            "lower that sign_interval",
            f"Worker {worker}" if worker else "A process that owns operations",
            every,
            self._lost_after,
            patience,
        )

    def _handle_silent(self, silence: SilentRun, now: float) -> None:
        """Conclude what is to be concluded of a run that should be running."""
        if silence.seconds < self._lost_after / 2:
            return
        patience = self._patience_with(silence)
        if silence.seconds < patience / 2:
            return
        if not silence.run.stalled:
            self._conclude([inferred_events.stalled(silence)])
        elif silence.seconds < patience:
            return
        elif self._ask is None or silence.seconds >= BACKEND_PATIENCE_FACTOR * patience:
            self._conclude([inferred_events.given_up(silence)])
        else:
            self._ask(silence.operation.operation_id, partial(self._take, silence))
        # The log may not have taken it, or the backend not answer.
        self._again_at[silence.operation.operation_id] = now + patience / 6

    def _take(self, silence: SilentRun, answer: Answer) -> None:
        if silence.operation.run is not silence.run or not silence.run.silent:
            return
        if answer.outcome is not None:
            self._conclude(inferred_events.told(silence, answer.outcome))
        elif answer is not UNAVAILABLE_RESULT:
            self._conclude([inferred_events.given_up(silence)])

    def _ask_early(self, ask: Ask, silence: SilentRun, now: float) -> None:
        """Ask about a run that was received, or that another one follows, and not a word since.

        It waits for its turn, as a rule, and its message is safe. But a process may have died
        with its first word unsaid and its success stored, of which Celery says nothing.
        """
        if silence.seconds < self._lost_after:
            return
        ask(silence.operation.operation_id, partial(self._on_early_answer, silence))
        # Each time when it has waited twice as long: there may be many of these.
        pause = silence.seconds
        if silence.run.state is State.REPLACED:
            pause = min(pause, MAX_SUCCESSOR_PATIENCE_FACTOR * self._lost_after)
        self._again_at[silence.operation.operation_id] = now + pause

    def _ask_queued(self, ask: Ask, silence: SilentRun, now: float) -> None:
        """Ask about a message that no worker has told of: it may never have got to one that does.

        A worker that knows neither its task nor this package throws it away without a word, and
        stores ``NotRegistered`` (celery/worker/consumer/consumer.py, ``on_unknown_task``).
        """
        ask(silence.operation.operation_id, partial(self._on_queued_answer, silence))
        self._again_at[silence.operation.operation_id] = now + silence.seconds

    def _on_queued_answer(self, silence: SilentRun, answer: Answer) -> None:
        waits = silence.operation.run is silence.run and silence.run.state is State.QUEUED
        if waits and answer.outcome is not None:
            self._conclude(inferred_events.told(silence, answer.outcome))

    def _on_early_answer(self, silence: SilentRun, answer: Answer) -> None:
        waits = silence.operation.run is silence.run and silence.run.state in _WAITING
        if waits and answer.outcome is not None:
            self._conclude(inferred_events.told(silence, answer.outcome))
