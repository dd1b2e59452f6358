"""What is held of the operations, and for how long: bounded by count, bytes and age.

Operations stand in three lines by where they are in their life, each with the one that has been
silent longest in front. Finished operations go first, then those that no worker has started,
then the running ones.

Finished operations are held :mod:`packed <celery_wsprogress.packing>`, but for the newest: those
are what late words are about, and what people look at.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Final, NamedTuple, Self
from weakref import WeakValueDictionary

from celery_wsprogress.folding import Operation
from celery_wsprogress.history import Entry, History
from celery_wsprogress.lifecycle import State
from celery_wsprogress.packing import Packed, label_of, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery_wsprogress.events import Progress
    from celery_wsprogress.positions import Place, Position
    from celery_wsprogress.session import Session

MAX_ENDED: Final = 50_000
"""Operations of which nothing is known any more but that they have ended."""

MAX_UNPACKED: Final = 100
"""Finished operations that are held as they are."""

MOVED_EVERY: Final = 10.0
"""Seconds in which an operation that goes on is filed anew once."""

MAX_AT_HAND: Final = 10_000
"""Operations that are found without a look into the table of all."""

PATIENCE: Final = 86_400.0
"""Seconds that what has not ended is held at least after its last event, or after the time it waits
for: its message may wait for long in a queue, and its worker may be away."""

_LIVES: Final = ("finished", "waiting", "running")
"""In the order in which they are let go."""


_LIFE: Final = {
    State.QUEUED: "waiting",
    State.RECEIVED: "waiting",
    State.RUNNING: "running",
    State.RETRYING: "running",
    State.REPLACED: "running",
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
    """Of what has ended; the rest is held for :data:`PATIENCE` at least."""
    max_history_bytes: int = 256_000_000


class Late(NamedTuple):
    """A progress that waits for its time."""

    event: Progress
    place: Place
    number: int


class Held(History):
    """The history of one operation, and what the hub notes beside it.

    One object, not two: each costs an event of an operation among many a place in memory that the
    processor has to look for.
    """

    __slots__ = (
        "audience",
        "filed",
        "going_on",
        "heard",
        "life",
        "number",
        "offered_in",
        "selections",
        "signed_at",
        "waits_until",
    )

    def __init__(self, operation: Operation, gone: Position | None = None, before: int = 0) -> None:
        super().__init__(operation, gone, before)
        self.number = 0
        """Counted over all operations ever held; the newest has the highest."""
        self.life = "waiting"
        """In which of the lines it stands."""
        self.going_on = ""
        """:attr:`Operation.going_on`, at hand: most events are compared with it."""
        self.heard = 0.0
        """When its last event was taken, by the clock of :meth:`Hub.accept`."""
        self.filed = 0.0
        """When it was put at the end of its line: no more than :data:`MOVED_EVERY` before that."""
        self.signed_at = 0.0
        """When its current run last gave a sign of life, by the same clock."""
        self.waits_until = 0.0
        """When it may start, or start again, at the earliest, by the same clock."""
        self.audience: tuple[Session, ...] | None = None
        """Who watches it. Worked out again where it is None, or :attr:`selections` is not the
        hub's."""
        self.offered_in = 0
        """The number of the batch in which it was offered to them last."""
        self.selections = 0
        """How often the hub's selectors had changed when :attr:`audience` was worked out."""


class Speaking(Held):
    """The history of an operation that says how far it is.

    It takes the place of the :class:`Held` that the operation was until it said so for the first
    time. So those that speak lie side by side in memory, of a size that the others do not have,
    however many others are held: a batch of their progress looks at few pages.
    """

    __slots__ = ("late", "told_at")

    def __init__(self, operation: Operation, gone: Position | None = None, before: int = 0) -> None:
        super().__init__(operation, gone, before)
        self.told_at = -inf
        """When a progress of it was delivered last, by the clock of :meth:`Hub.accept`."""
        self.late: Late | None = None
        """A progress that came too soon after that."""

    @classmethod
    def instead_of(cls, held: Held) -> Self:
        """What is all that the other one was; that one is not to be used any more."""
        speaking = cls(held.operation)
        for name in _OF_ALL:
            setattr(speaking, name, getattr(held, name))
        return speaking


_OF_ALL: Final = tuple({*History.__slots__, *Held.__slots__} - {"__weakref__"})


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
    _held: dict[str, Held | bytes] = field(default_factory=dict)
    """Those that are packed are bytes."""
    at_hand: dict[str, Speaking] = field(default_factory=dict)
    """Some of those that go on, to be looked for first: a small table, with keys that lie beside
    each other. In that of all, and in its keys, each look is at another place in memory."""
    _ended: OrderedDict[str, None] = field(default_factory=OrderedDict)
    """The ids of those that had ended when they were let go, the newest last."""
    _lines: dict[str, OrderedDict[str, None]] = field(
        default_factory=lambda: {life: OrderedDict() for life in _LIVES}
    )
    """The ids of those that are held; that with the longest silence is in front."""
    _unpacked: deque[str] = field(default_factory=deque)
    """The ids of those that are to be packed, the next one in front."""
    _in_use: WeakValueDictionary[str, Held] = field(default_factory=WeakValueDictionary)
    """Packed operations that somebody still reads: nobody gets a second history of one."""

    def __len__(self) -> int:
        return len(self._held)

    @property
    def active(self) -> int:
        """How many of them have not ended."""
        return len(self._lines["waiting"]) + len(self._lines["running"])

    def get(self, operation_id: str) -> Held | None:
        """The operation, if it is held."""
        held = self._held.get(operation_id)
        return self._unpack(operation_id, held) if isinstance(held, bytes) else held

    def holds(self, held: Held) -> bool:
        """Whether this one is still what is held of its operation."""
        return self._held.get(held.operation.operation_id) is held

    def has_ended(self, operation_id: str) -> bool:
        """Whether it is not held any more, and had ended before.

        What was said before its end may still come, from a process that could not write for a
        while. It is not to be taken for the beginning of something.
        """
        return operation_id in self._ended

    def get_or_hold(self, operation_id: str, heard_at: float) -> Held:
        """The operation; it is held from now on if it was not."""
        held = self.get(operation_id)
        if held is None:
            self.total += 1
            self._ended.pop(operation_id, None)
            operation = Operation(operation_id, heard_at=heard_at)
            held = Held(operation, self.gone, self.appended)
            held.number = self.total
            self._held[operation_id] = held
            self._lines[held.life][operation_id] = None
        return held

    def append(self, held: Held, entry: Entry) -> None:
        """Add to the history of an operation."""
        self.history_bytes += held.append(entry)
        self.appended += 1

    def heard(self, held: Held, now: float) -> None:
        """An event of the operation was taken: file it anew, and let go of what is too much."""
        held.going_on = held.operation.going_on
        self._file(held, now)
        self.went_on(held, now)
        self._let_go("finished", self.limits.max_finished)
        self._let_go("waiting", self.limits.max_waiting)

    def _file(self, held: Held, now: float) -> None:
        life = _LIFE[held.operation.state]
        if held.life == life:
            return
        operation_id = held.operation.operation_id
        del self._lines[held.life][operation_id]
        self._lines[life][operation_id] = None
        held.life, held.filed = life, now
        if life == "finished":
            self.at_hand.pop(operation_id, None)
            self._leave_unpacked(operation_id)

    def went_on(self, held: Held, now: float) -> None:
        """An event was taken that left the operation where it is in its life."""
        held.heard = now
        if now - held.filed >= MOVED_EVERY:
            held.filed = now
            self._lines[held.life].move_to_end(held.operation.operation_id)
        while self.history_bytes > self.limits.max_history_bytes and len(self._held) > 1:
            self._forget(next(iter(self._oldest_first())))

    def let_speak(self, held: Held) -> Speaking:
        """Have another one take its place, that takes progress."""
        speaking = Speaking.instead_of(held)
        self._held[held.operation.operation_id] = speaking
        return speaking

    def lay_at_hand(self, operation_id: str, held: Speaking) -> None:
        """Have an operation that goes on found in :attr:`at_hand` from now on."""
        if len(self.at_hand) >= MAX_AT_HAND:
            # Those that still go on will be back.
            self.at_hand.clear()
        self.at_hand[operation_id] = held

    def _let_go(self, life: str, limit: int) -> None:
        line = self._lines[life]
        while len(line) > limit:
            self._forget(next(iter(line)))

    def expire(self, now: float) -> None:
        """Let go of what has been silent for too long. Called now and then."""
        ended = self._lines["finished"]
        while ended and now - self._heard_of(next(iter(ended))) >= self.limits.max_age:
            self._forget(next(iter(ended)))
        age = max(self.limits.max_age, PATIENCE)
        for life in ("waiting", "running"):
            self._expire(self._lines[life], now, age)

    def _heard_of(self, operation_id: str) -> float:
        held = self._held[operation_id]
        return label_of(held).heard if isinstance(held, bytes) else held.heard

    def _expire(self, line: OrderedDict[str, None], now: float, age: float) -> None:
        """Let go of what has not ended, is silent for too long, and is not to be silent yet."""
        while line:
            operation_id = next(iter(line))
            held = self.get(operation_id)
            if held is None or now - max(held.heard, held.filed) < age:
                break
            if now - held.waits_until >= age:
                self._forget(operation_id)
            else:
                # Filed anew, so that it is looked at again only when another such age has passed:
                # there may be very many of these.
                held.filed = now
                line.move_to_end(operation_id)

    def silent(self, state: State, since: float) -> list[Held]:
        """The operations in a state, one before the end, of which nothing was heard since then."""
        found = []
        for operation_id in self._lines[_LIFE[state]]:
            held = self._held[operation_id]
            if isinstance(held, bytes) or held.filed > since:
                break
            if held.heard <= since and held.operation.state is state:
                found.append(held)
        return found

    def _oldest_first(self) -> Iterator[str]:
        for life in _LIVES:
            yield from self._lines[life]

    def _forget(self, operation_id: str) -> None:
        held = self._held.pop(operation_id)
        self.at_hand.pop(operation_id, None)
        if isinstance(held, bytes):
            life, size, newest = "finished", len(held), label_of(held).position
        else:
            life, size, newest = held.life, held.size, held.position
        self.history_bytes -= size
        if newest is not None and (self.gone is None or newest > self.gone):
            self.gone = newest
        del self._lines[life][operation_id]
        if life == "finished":
            self._ended[operation_id] = None
            if len(self._ended) > MAX_ENDED:
                self._ended.popitem(last=False)

    def oldest_first(self, *, ended: bool = True) -> Iterator[Held]:
        """The same as :meth:`newest_first`, the other way round."""
        for held in self._held.values():
            if isinstance(held, bytes):
                if ended:
                    yield self._unpacked_of(held)
            elif ended or held.life != "finished":
                yield held

    def newest_first(self, before: int | None = None, *, ended: bool = True) -> Iterator[Held]:
        """What is held, newest first; nothing may be changed, neither in it nor meanwhile.

        Args:
            before: Only those of numbers below.
            ended: Those too that have ended.
        """
        for held in reversed(self._held.values()):
            if isinstance(held, bytes):
                if ended and (before is None or label_of(held).number < before):
                    yield self._unpacked_of(held)
            elif (ended or held.life != "finished") and (before is None or held.number < before):
                yield held

    # Packed ones.

    def _leave_unpacked(self, operation_id: str) -> None:
        """Do not pack a finished operation yet, but the one of which that was said first."""
        self._unpacked.append(operation_id)
        if len(self._unpacked) > MAX_UNPACKED:
            self._pack(self._unpacked.popleft())

    def _pack(self, operation_id: str) -> None:
        held = self._held.get(operation_id)
        if held is None or isinstance(held, bytes) or held.life != "finished":
            return
        packed = pack(Packed(held.number, held.heard, held.position, held.operation, held.kept))
        if packed is not None:
            self._held[operation_id] = packed
            self._in_use[operation_id] = held
            self.history_bytes += len(packed) - held.size

    def _unpack(self, operation_id: str, packed: bytes) -> Held:
        self._held[operation_id] = held = self._unpacked_of(packed)
        self.history_bytes += held.size - len(packed)
        self._leave_unpacked(operation_id)
        return held

    def _unpacked_of(self, packed: bytes) -> Held:
        found = unpack(packed)
        operation_id = found.operation.operation_id
        held = self._in_use.get(operation_id)
        if held is None:
            kind = Held if found.kept.progress is None else Speaking
            self._in_use[operation_id] = held = kind.of(found.operation, found.kept)
            held.number, held.life = found.number, "finished"
            held.heard = held.filed = found.heard
        return held
