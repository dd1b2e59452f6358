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

from typing import TYPE_CHECKING, Final

from celery_wsprogress.sidecar import conclusions
from celery_wsprogress.sidecar.backend import AWAY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from celery_wsprogress.events import Event
    from celery_wsprogress.holdings import Held, Holdings
    from celery_wsprogress.sidecar.backend import Answer

PATIENCE_WITH_BACKEND: Final = 2.0
"""Times ``lost_after`` that a backend which cannot be asked is waited for."""


class Liveness:
    """Watches over the running operations.

    Runs in: the event loop. Pure: times are passed in, ``now`` by the clock of
    :meth:`Hub.accept <celery_wsprogress.hub.Hub.accept>`.

    Args:
        holdings: The operations.
        lost_after: Seconds of silence.
        conclude: Appends events to the log.
        ask: Asks the result backend about an operation and calls back, in the event loop; None
            where there is none.
    """

    def __init__(
        self,
        holdings: Holdings,
        lost_after: float,
        conclude: Callable[[Sequence[Event]], None],
        ask: Callable[[str, Callable[[Answer], None]], None] | None = None,
    ) -> None:
        self._holdings = holdings
        self._lost_after = lost_after
        self._conclude = conclude
        self._ask = ask
        self._heard_since: float | None = None
        self._looked_at = float("-inf")
        self._again_at: dict[str, float] = {}
        """When an operation about which something was concluded is looked at again."""

    @property
    def interval(self) -> float:
        """Seconds between two looks."""
        return min(5.0, self._lost_after / 12)

    def listen(self, now: float) -> None:
        """The log is heard from now on."""
        self._heard_since = now

    def deafen(self) -> None:
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
        for held in list(self._holdings.running()):
            silence = self._silence(held, now)
            if silence >= self._lost_after / 2:
                self._consider(held, silence, now, epoch_now)

    def _silence(self, held: Held, now: float) -> float:
        since = self._heard_since
        return 0.0 if since is None else now - max(since, held.signed_at)

    def _consider(self, held: Held, silence: float, now: float, epoch_now: float) -> None:
        operation = held.operation
        run = operation.run
        # A run without a name can give no sign: whoever writes such events says its end itself.
        if run is None or not run.id or operation.operation_id in self._again_at:
            return
        if not run.stalled:
            self._conclude([conclusions.stalled(operation, epoch_now, silence)])
        elif silence < self._lost_after:
            return
        elif self._ask is None:
            self._conclude([conclusions.lost(operation, epoch_now, silence)])
        else:
            self._ask(
                operation.operation_id,
                lambda answer: self._take(held, run.id, answer, silence, epoch_now),
            )
        # The log may not have taken it, or the backend not answer.
        self._again_at[operation.operation_id] = now + self._lost_after / 6

    def _take(self, held: Held, run: str, answer: Answer, silence: float, epoch_now: float) -> None:
        operation = held.operation
        current = operation.run
        if current is None or current.id != run or not current.silent:
            return
        if answer.outcome is not None:
            self._conclude(conclusions.told(operation, epoch_now, answer.outcome))
        elif answer is not AWAY or silence >= PATIENCE_WITH_BACKEND * self._lost_after:
            self._conclude([conclusions.lost(operation, epoch_now, silence)])
