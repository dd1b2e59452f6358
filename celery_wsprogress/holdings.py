"""What is held of the operations, and for how long: bounded by count, bytes and age.

Operations stand in three lines by where they are in their life, each with the one that has been
silent longest in front. Finished operations go first, then those that no worker has started,
then the running ones.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from celery_wsprogress.folding import Operation
from celery_wsprogress.history import Entry, History
from celery_wsprogress.lifecycle import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from celery_wsprogress.events import Progress
    from celery_wsprogress.positions import Place, Position
    from celery_wsprogress.session import Session

MAX_ENDED: Final = 50_000
"""Operations of which nothing is known any more but that they have ended."""

_LIVES: Final = ("finished", "waiting", "running")
"""In the order in which they are let go."""


_LIFE: Final = {
    State.QUEUED: "waiting",
    State.RECEIVED: "waiting",
    State.RUNNING: "running",
    State.RETRYING: "running",
    State.COMPLETED: "finished",
    State.ERROR: "finished",
    State.CANCELLED: "finished",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the hub may hold. Ages are in seconds."""

    max_finished: int = 1_000
    max_waiting: int = 100_000
    max_age: float = 86_400.0
    max_history_bytes: int = 256_000_000


class Late(NamedTuple):
    """A progress that waits for its time."""

    event: Progress
    place: Place
    number: int


@dataclass(slots=True)
class Held:
    """One operation with its history."""

    operation: Operation
    history: History
    number: int
    """Counted over all operations ever held; the newest has the highest."""
    line: OrderedDict[str, Held]
    """Its likes; that with the longest silence is in front."""
    going_on: str = ""
    """:attr:`Operation.going_on`, at hand: most events are compared with it."""
    heard: float = 0.0
    """When its last event was taken, by the clock of :meth:`Hub.accept`."""
    signed_at: float = 0.0
    """When its current run last gave a sign of life, by the same clock."""
    next_at: float = 0.0
    """When its next progress may be delivered, by the same clock."""
    late: Late | None = None
    """A progress that came sooner than that."""
    audience: Sequence[Session] | None = None
    """Who watches it. Worked out again where it is None, or :attr:`selections` is not the hub's."""
    offered_in: int = 0
    """The number of the batch in which it was offered to them last."""
    selections: int = 0
    """How often the hub's selectors had changed when :attr:`audience` was worked out."""


@dataclass(slots=True)
class Holdings:
    """The operations that are held."""

    limits: Limits = field(default_factory=Limits)
    total: int = 0
    """Operations ever held."""
    appended: int = 0
    """Entries ever added to a history."""
    history_bytes: int = 0
    """What the histories of all of them take."""
    gone: Position | None = None
    """The position of the newest event that went with its operation."""
    _held: dict[str, Held] = field(default_factory=dict)
    _ended: dict[str, None] = field(default_factory=dict)
    """The ids of those that had ended when they were let go, the newest last."""
    _lines: dict[str, OrderedDict[str, Held]] = field(
        default_factory=lambda: {life: OrderedDict() for life in _LIVES}
    )

    def __len__(self) -> int:
        return len(self._held)

    @property
    def active(self) -> int:
        """How many of them have not ended."""
        return len(self._lines["waiting"]) + len(self._lines["running"])

    def get(self, operation_id: str) -> Held | None:
        """The operation, if it is held."""
        return self._held.get(operation_id)

    def has_ended(self, operation_id: str) -> bool:
        """Whether it is not held any more, and had ended before.

        What was said before its end may still come, from a process that could not write for a
        while. It is not to be taken for the beginning of something.
        """
        return operation_id in self._ended

    def get_or_hold(self, operation_id: str, heard_at: float) -> Held:
        """The operation; it is held from now on if it was not."""
        held = self._held.get(operation_id)
        if held is None:
            self.total += 1
            self._ended.pop(operation_id, None)
            operation = Operation(operation_id, heard_at=heard_at)
            history = History(operation, self.gone, self.appended)
            line = self._lines[_LIFE[operation.state]]
            held = Held(operation, history, self.total, line)
            self._held[operation_id] = line[operation_id] = held
        return held

    def append(self, held: Held, entry: Entry) -> None:
        """Add to the history of an operation."""
        self.history_bytes += held.history.append(entry)
        self.appended += 1

    def heard(self, held: Held, now: float) -> None:
        """An event of the operation was taken: file it anew, and let go of what is too much."""
        line = self._lines[_LIFE[held.operation.state]]
        if held.line is not line:
            del held.line[held.operation.operation_id]
            line[held.operation.operation_id] = held
            held.line = line
        held.going_on = held.operation.going_on
        self.went_on(held, now)
        self._let_go(self._lines["finished"], self.limits.max_finished)
        self._let_go(self._lines["waiting"], self.limits.max_waiting)

    def went_on(self, held: Held, now: float) -> None:
        """An event was taken that left the operation where it is in its life."""
        held.heard = now
        held.line.move_to_end(held.operation.operation_id)
        while self.history_bytes > self.limits.max_history_bytes and len(self._held) > 1:
            self._forget(next(iter(self._oldest_first())))

    def _let_go(self, line: OrderedDict[str, Held], limit: int) -> None:
        while len(line) > limit:
            self._forget(next(iter(line)))

    def expire(self, now: float) -> None:
        """Let go of what has been silent for too long. Called now and then."""
        for line in self._lines.values():
            while line:
                operation_id, held = next(iter(line.items()))
                if now - held.heard < self.limits.max_age:
                    break
                self._forget(operation_id)

    def silent(self, state: State, since: float) -> list[Held]:
        """The operations in a state of which nothing was heard since then."""
        found = []
        for held in self._lines[_LIFE[state]].values():
            if held.heard > since:
                break
            if held.operation.state is state:
                found.append(held)
        return found

    def _oldest_first(self) -> Iterator[str]:
        for life in _LIVES:
            yield from self._lines[life]

    def _forget(self, operation_id: str) -> None:
        held = self._held.pop(operation_id)
        self.history_bytes -= held.history.size
        newest = held.history.position
        if newest is not None and (self.gone is None or newest > self.gone):
            self.gone = newest
        del held.line[operation_id]
        if held.operation.state.ended:
            self._ended[operation_id] = None
            if len(self._ended) > MAX_ENDED:
                del self._ended[next(iter(self._ended))]

    def newest_first(self, before: int | None = None) -> Iterator[Held]:
        """What is held, newest first, of numbers below ``before``."""
        for held in reversed(self._held.values()):
            if before is None or held.number < before:
                yield held

    def items(self) -> Iterator[tuple[str, Held]]:
        """The operations by their ids, oldest first. Nothing may be changed meanwhile."""
        yield from self._held.items()
