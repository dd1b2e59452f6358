"""Every operation that is held, and who watches what.

The hub is the one place where the log meets the clients. :meth:`Hub.accept` takes a batch,
folds its events and offers them to the sessions that watch; :meth:`Hub.watch` begins a
subscription. Both are plain calls without a pause in between, so no event falls between a
snapshot and what follows it, and none comes twice.

What is held is bounded by count, bytes and age. Finished operations go first, then those that
no worker has started, then the ones that have been silent longest. Watching does not hold an
operation: a session that watches an id nobody has heard of, or one that went, is told when
it appears.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.events import Completed, Error, Event, Progress, Status
from celery_wsprogress.history import Entry, History, Kind, Position
from celery_wsprogress.operation import Operation, State, Verdict
from celery_wsprogress.session import Watch
from celery_wsprogress.wire import encode_event_frame

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from celery_wsprogress.session import Session
    from celery_wsprogress.wire import Batch

MAX_WRITERS: Final = 10_000
"""Writers whose counters are remembered; the one that was silent longest is forgotten."""


_LIVES: Final = ("finished", "waiting", "running")
"""In the order in which they are let go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the hub may hold. Ages are in seconds."""

    max_finished: int = 1_000
    max_waiting: int = 100_000
    max_age: float = 86_400.0
    max_history_bytes: int = 256_000_000


@dataclass(slots=True)
class Held:
    """One operation with its history."""

    operation: Operation
    number: int
    """Counted over all operations ever held; the newest has the highest."""
    heard: float = 0.0
    """When its last event was taken, by the sidecar's clock."""
    history: History = field(default_factory=History)


@dataclass(slots=True)
class Hub:
    """The sidecar's knowledge.

    Runs in: the event loop. Pure: the time is passed in, epoch seconds.
    """

    limits: Limits = field(default_factory=Limits)
    counts: Counter[str] = field(default_factory=Counter)
    """Of events and batches, for statistics: ``events``, ``delivered``, ``behind``, ``over``,
    ``malformed``, ``repeats`` (batches written twice) and ``gaps`` (batches missing)."""
    total: int = 0
    """Operations ever held."""
    _held: dict[str, Held] = field(default_factory=dict)
    _by_life: dict[str, OrderedDict[str, Held]] = field(
        default_factory=lambda: {life: OrderedDict() for life in _LIVES}
    )
    _bytes: int = 0
    _seq: int = 0
    _writers: OrderedDict[str, int] = field(default_factory=OrderedDict)
    _watchers: dict[str, set[Session]] = field(default_factory=dict)
    _everything: set[Session] = field(default_factory=set)
    _epoch: str = ""
    _first: Position | None = None

    # From the log.

    def accept(self, batch: Batch, *, epoch: str, position: str, now: float) -> set[Session]:
        """Take a batch from the log.

        Args:
            batch: What :func:`~celery_wsprogress.wire.decode_batch` returned.
            epoch: The log's epoch.
            position: Where the batch stands in the log.
            now: The time.

        Returns:
            The sessions that have something to send now.
        """
        if not self._is_next(batch):
            self.counts["repeats"] += 1
            return set()
        if epoch != self._epoch:
            self._epoch, self._first = epoch, None
        numbers = position_numbers(position)
        touched: set[Session] = set()
        self.counts["malformed"] += batch.malformed
        for index, event in enumerate(batch.events):
            place = Position(numbers, index)
            self._first = self._first or place
            touched |= self._accept_event(event, f"{epoch}.{position}.{index}", place, now)
        return touched

    def _is_next(self, batch: Batch) -> bool:
        last = self._writers.get(batch.writer)
        if last is not None and batch.counter <= last:
            return False
        if last is not None and batch.counter > last + 1:
            self.counts["gaps"] += 1
        self._writers[batch.writer] = batch.counter
        self._writers.move_to_end(batch.writer)
        if len(self._writers) > MAX_WRITERS:
            self._writers.popitem(last=False)
        return True

    def _accept_event(
        self, event: Event, event_id: str, place: Position, now: float
    ) -> AbstractSet[Session]:
        self.counts["events"] += 1
        held = self._held.get(event.operation_id) or self._hold(event)
        run_before = held.operation.run
        verdict, event = held.operation.fold(event)
        if verdict is Verdict.DELIVER:
            self._append(held, event, event_id, place, opens=held.operation.run is not run_before)
        self.counts[_COUNTED[verdict]] += 1
        held.heard = now
        self._file(held)
        self._evict()
        return self._offer(held) if verdict is Verdict.DELIVER else _NOBODY

    def _hold(self, event: Event) -> Held:
        self.total += 1
        held = Held(Operation(event.operation_id, heard_at=event.timestamp), self.total)
        self._held[event.operation_id] = held
        return held

    def _append(
        self, held: Held, event: Event, event_id: str, place: Position, *, opens: bool
    ) -> None:
        """Put the event, as a frame, into the operation's history."""
        self._seq += 1
        operation, history = held.operation, held.history
        operation.event_count += 1
        operation.last_event_id = event_id
        if opens:
            history.start = self._seq
        frame = encode_event_frame(event, event_id)
        before = history.size
        history.append(Entry(self._seq, place, _kind(event), event.run, frame))
        self._bytes += history.size - before

    def _offer(self, held: Held) -> AbstractSet[Session]:
        operation_id = held.operation.operation_id
        sessions = self._watchers.get(operation_id, _NOBODY) | self._everything
        for session in sessions:
            session.offer(operation_id, held.history, self._seq)
        return sessions

    # What is held, and for how long.

    def _file(self, held: Held) -> None:
        """Move it to the end of the line of its likes: the front is silent longest."""
        operation_id = held.operation.operation_id
        for life, line in self._by_life.items():
            if life == _LIFE[held.operation.state]:
                line[operation_id] = held
                line.move_to_end(operation_id)
            else:
                line.pop(operation_id, None)

    def _evict(self) -> None:
        finished, waiting = self._by_life["finished"], self._by_life["waiting"]
        while len(finished) > self.limits.max_finished:
            self._forget(next(iter(finished)))
        while len(waiting) > self.limits.max_waiting:
            self._forget(next(iter(waiting)))
        while self._bytes > self.limits.max_history_bytes and len(self._held) > 1:
            self._forget(next(iter(self._oldest_first())))

    def expire(self, now: float) -> None:
        """Let go of what has been silent for too long. Called now and then."""
        for line in self._by_life.values():
            while line:
                operation_id, held = next(iter(line.items()))
                if now - held.heard < self.limits.max_age:
                    break
                self._forget(operation_id)

    def _oldest_first(self) -> Iterator[str]:
        for life in _LIVES:
            yield from self._by_life[life]

    def _forget(self, operation_id: str) -> None:
        held = self._held.pop(operation_id)
        self._bytes -= held.history.size
        for line in self._by_life.values():
            line.pop(operation_id, None)

    # For the clients.

    def watch(
        self, session: Session, operation_id: str, *, replay: str | None, since: str | None
    ) -> bool:
        """Begin to watch an operation; what is to be replayed follows the reply.

        Args:
            session: Who.
            operation_id: What.
            replay: ``all``, ``last`` or ``none``; None for what fits: everything the
                session has not seen.
            since: The last ``event_id`` the client saw, or None.

        Returns:
            With ``since``: whether exactly what is missing follows.
        """
        again = session.everything or operation_id in session.subscribed
        session.subscribed.add(operation_id)
        self._watchers.setdefault(operation_id, set()).add(session)
        if again and since is None and replay is None:
            session.watches.setdefault(operation_id, Watch(self._seq))
            return False
        held = self._held.get(operation_id)
        if held is None:
            session.watch(operation_id, None, Watch(0))
            return False
        cursor = self._cursor(held.history, replay=replay, since=since)
        watch = Watch(max(cursor, held.history.dropped), standing=replay == "last")
        session.watch(operation_id, held.history, watch)
        return since is not None and self._recovers(held.history, since)

    def _cursor(self, history: History, *, replay: str | None, since: str | None) -> int:
        """Where a subscription begins to read.

        Behind the last event it saw where that is of this epoch, else where the current run
        begins, or now.
        """
        if since is not None:
            epoch, place = parse_event_id(since)
            if place is not None and epoch == self._epoch:
                return history.cursor_at(place)
        return self._seq if replay in {"none", "last"} else history.start - 1

    def _recovers(self, history: History, since: str) -> bool:
        epoch, place = parse_event_id(since)
        if place is None or epoch != self._epoch or self._first is None or place < self._first:
            return False
        return history.dropped_position is None or place >= history.dropped_position

    def watch_everything(self, session: Session, *, replay: str) -> None:
        """Begin to watch every operation.

        Args:
            session: Who.
            replay: ``last``: how things stand with each operation that has not ended;
                ``all``: the current run of every operation held; ``none``: news only.
        """
        again = session.everything
        session.everything = True
        self._everything.add(session)
        if again or replay == "none":
            return
        for operation_id, held in self._held.items():
            if operation_id in session.watches:
                continue
            if replay == "all":
                cursor = max(held.history.start - 1, held.history.dropped)
                session.watch(operation_id, held.history, Watch(cursor))
            elif not held.operation.state.ended:
                watch = Watch(self._seq, standing=True)
                session.watch(operation_id, held.history, watch)

    def unwatch(self, session: Session, operation_id: str) -> None:
        """Stop watching an operation; nothing happens when it was not watched."""
        session.unwatch(operation_id)
        watchers = self._watchers.get(operation_id)
        if watchers is not None:
            watchers.discard(session)
            if not watchers:
                del self._watchers[operation_id]

    def unwatch_everything(self, session: Session) -> None:
        """Stop watching what is not watched by its id."""
        self._everything.discard(session)
        session.unwatch_everything()

    def leave(self, session: Session) -> None:
        """Forget a session whose connection is gone."""
        self.unwatch_everything(session)
        for operation_id in list(session.watches):
            self.unwatch(session, operation_id)

    def get(self, operation_id: str) -> dict[str, Any] | None:
        """The operation's snapshot, or None when nobody has heard of it."""
        held = self._held.get(operation_id)
        return held.operation.snapshot() if held else None

    def newest_first(self, before: int | None = None) -> Iterator[Held]:
        """What is held, newest first, of numbers below ``before``."""
        for held in reversed(self._held.values()):
            if before is None or held.number < before:
                yield held

    def stats(self) -> dict[str, int]:
        """Figures for ``get_stats``, all integers."""
        active = len(self._by_life["waiting"]) + len(self._by_life["running"])
        watches = sum(len(sessions) for sessions in self._watchers.values())
        return {
            "active_operations": active,
            "total_operations": self.total,
            "subscriptions": watches + len(self._everything),
            "held_operations": len(self._held),
            "history_bytes": self._bytes,
            **{f"{name}_total": self.counts[name] for name in _COUNTS},
        }


def parse_event_id(event_id: str) -> tuple[str, Position | None]:
    """Take an ``event_id`` apart; the position is None when it is none of ours."""
    epoch, _, rest = event_id.partition(".")
    position, _, index = rest.rpartition(".")
    try:
        return epoch, Position(position_numbers(position), int(index))
    except ValueError:
        return epoch, None


def position_numbers(position: str) -> tuple[int, ...]:
    """A position of the log as numbers that compare: ``1735734005456-0``, or ``17``.

    Raises:
        ValueError: it is no position.
    """
    return tuple(int(part) for part in position.split("-"))


_LIFE: Final = {
    State.QUEUED: "waiting",
    State.RECEIVED: "waiting",
    State.RUNNING: "running",
    State.RETRYING: "running",
    State.COMPLETED: "finished",
    State.ERROR: "finished",
    State.CANCELLED: "finished",
}

_COUNTED: Final = {Verdict.DELIVER: "delivered", Verdict.BEHIND: "behind", Verdict.OVER: "over"}
_COUNTS: Final = ("events", "delivered", "behind", "over", "malformed", "repeats", "gaps")
_NOBODY: Final[frozenset[Any]] = frozenset()


def _kind(event: Event) -> Kind:
    if isinstance(event, Progress):
        return Kind.PROGRESS
    if isinstance(event, (Completed, Error)):
        return Kind.END
    return Kind.STATUS if isinstance(event, Status) else Kind.LINE
