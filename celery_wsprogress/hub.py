"""Every operation that is held, and who watches what.

The hub is the one place where the log meets the clients. :meth:`Hub.accept` takes a batch,
folds its events and offers them to the sessions that watch; :meth:`Hub.watch` begins a
subscription. Both are plain calls without a pause in between, so no event falls between a
snapshot and what follows it, and none comes twice.

Watching does not hold an operation: a session that watches an id nobody has heard of, or one
that :mod:`~celery_wsprogress.holdings` let go, is told when it appears.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from celery_wsprogress.counters import Arrival, Counters
from celery_wsprogress.events import (
    BACKEND_RUN,
    STARTED,
    Completed,
    Error,
    Event,
    Log,
    Progress,
    Result,
    Status,
)
from celery_wsprogress.framing import framed, text_of
from celery_wsprogress.history import Entry, Kind
from celery_wsprogress.holdings import Holdings, Late, Speaking
from celery_wsprogress.lifecycle import Step, Verdict, step_of
from celery_wsprogress.positions import Place, Position, parse_event_id
from celery_wsprogress.watch import Watch
from celery_wsprogress.wire import encode_event_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from celery_wsprogress.history import History
    from celery_wsprogress.holdings import Held
    from celery_wsprogress.selector import Selector
    from celery_wsprogress.session import Session
    from celery_wsprogress.wire import Batch

MAX_EVENT_ID_LENGTH: Final = 100
"""No event id of ours is longer; a client may send what it likes, and that is not kept."""


@dataclass(slots=True)
class Hub:
    """The sidecar's knowledge.

    Runs in: the event loop. Pure: the time is passed in.
    """

    holdings: Holdings = field(default_factory=Holdings)
    counts: Counter[str] = field(default_factory=Counter)
    """Of events and batches, for statistics: ``events``, ``delivered``, ``behind``, ``over``,
    ``malformed``, ``repeats`` (batches written twice) and ``gaps`` (batches missing)."""
    progress_interval: float = 0.0
    """Seconds between two progress events of one operation, for everyone: of those that come
    sooner the last one is delivered when it is time, or before the next event of another kind."""
    read: Counter[type[Event]] = field(default_factory=Counter)
    """Events read, by their type."""
    woken: list[Session] = field(default_factory=list)
    """The sessions that the last :meth:`accept` or :meth:`release` woke."""
    on_unknown: Callable[[str], None] | None = None
    """Called with an id that somebody begins to watch and nobody has heard of."""
    _batch: int = 0
    """Counts the batches."""
    _every: float = 0.0
    """Seconds between two signs of who wrote the batch that is taken."""
    _late: list[tuple[float, int, Speaking]] = field(default_factory=list)
    """A heap: when the late progress of an operation is to be delivered."""
    _counters: Counters = field(default_factory=Counters)
    _watchers: dict[str, dict[Session, None]] = field(default_factory=dict)
    """Those of an operation in the order in which they came: side by side in memory, mostly."""
    _selectors: dict[Selector, dict[Session, None]] = field(default_factory=dict)
    _selections: int = 0
    """Counts the changes of ``_selectors``, so that each operation asks them once a change."""
    _audiences: dict[tuple[Session, ...], tuple[Session, ...]] = field(default_factory=dict)
    """Of operations that are watched by selectors only, since that change."""
    _epoch: str = ""
    _epochs: dict[str, int] = field(default_factory=dict)
    """The epochs that were read, counted from 1: positions begin with that number, so that those
    of a later epoch are later."""
    _first: Position | None = None
    """Where the log begins that was read without a gap."""

    # From the log.

    def accept(self, batch: Batch, *, epoch: str, position: str, now: float) -> list[Session]:
        """Take a batch from the log.

        Args:
            batch: What :func:`~celery_wsprogress.wire.decode_batch` returned.
            epoch: The log's epoch.
            position: Where the batch stands in the log.
            now: Seconds of a clock that never goes back.

        Returns:
            The sessions that have something to send now and had not before.
        """
        woken: list[Session] = []
        self.woken = woken
        if not self._is_new(batch):
            self.counts["repeats"] += 1
            return woken
        if epoch != self._epoch:
            self._enter(epoch)
        place = Place(epoch, self._epochs[epoch], position)
        self._first = self._first or place.position(0)
        self._batch += 1
        self.counts["malformed"] += batch.malformed
        self.counts["events"] += len(batch.events)
        self.read.update(map(type, batch.events))
        self._every = batch.every
        at_hand, get, advanced = self.holdings.at_hand.get, self.holdings.get, 0
        for number, event in enumerate(batch.events):
            found = at_hand(event.operation_id)
            held = found or get(event.operation_id)
            if held and event.run == held.going_on and type(event) is Progress and event.run:
                speaking = found or self._lay_at_hand(event.operation_id, held)
                self._advance(speaking, event, place, number, now)
                advanced += 1
            else:
                self._accept_event(event, place, number, now)
        self.counts["delivered"] += advanced
        for number, (operation_id, run) in enumerate(batch.alive, len(batch.events)):
            held = get(operation_id)
            if held is not None and held.operation.runs_as(run):
                self._sign(held, now)
                self._release(held, now)
                self._hear(held, run, batch.at, place, number)
                self.holdings.heard(held, now)
        return woken

    def _enter(self, epoch: str) -> None:
        """Begin to read another epoch of the log; a client may have seen some of it already."""
        self._epochs[epoch] = len(self._epochs) + 1
        self._epoch, self._first = epoch, None
        for session in set().union(*self._watchers.values()):
            for watch in session.watches.values():
                seen = self._place(watch.since)
                if seen is not None:
                    watch.seen, watch.since = watch.seen or seen, None

    def _is_new(self, batch: Batch) -> bool:
        arrival = self._counters.take(batch.writer, batch.counter)
        if arrival is Arrival.AHEAD:
            self.counts["gaps"] += 1
            # Nobody knows of which operation something is missing.
            self._first = None
        return arrival is not Arrival.REPEAT

    def _lay_at_hand(self, operation_id: str, held: Held) -> Speaking:
        speaking = self._let_speak(held)
        self.holdings.lay_at_hand(operation_id, speaking)
        return speaking

    def _let_speak(self, held: Held) -> Speaking:
        """What takes the progress of an operation; who has yet to read it reads on there."""
        if isinstance(held, Speaking):
            return held
        speaking = self.holdings.let_speak(held)
        for session in self._gather(speaking):
            session.follow(held, speaking)
        return speaking

    def _advance(
        self, held: Speaking, event: Progress, place: Place, number: int, now: float
    ) -> None:
        """Take a progress of a run that goes on: nearly all events are such, and change little."""
        held.signed_at = now
        # The same text; this one lies where the rest of the event does.
        held.going_on = event.run
        due = held.told_at + self.progress_interval
        if now >= due and held.late is None:
            held.told_at = now
            self._deliver(held, event, place, place.event_id(number))
        else:
            held.advance(event.data)
            if held.late is None:
                heappush(self._late, (due, held.number, held))
            held.late = Late(event, place, number)
        self.holdings.went_on(held, now)

    def _accept_event(self, event: Event, place: Place, number: int, now: float) -> None:
        if self.holdings.has_ended(event.operation_id) and not _begins_anew(event):
            self.counts["over"] += 1
            return
        held = self.holdings.get_or_hold(event.operation_id, event.timestamp)
        self._release(held, now)
        # What a sidecar inferred is no word of the run itself, and `queued` is of none.
        spoken = bool(event.run) and not event.inferred
        if spoken:
            self._hear(held, event.run, event.timestamp, place, number)
        run_before = held.operation.run
        verdict, event = held.operation.fold(event)
        if spoken and held.operation.runs_as(event.run):
            self._sign(held, now)
        if isinstance(event, Status):
            # It may have said of what kind it is.
            held.audience = None
            held.waits_until = max(held.waits_until, now + _pause_after(event))
        if verdict is Verdict.DELIVER:
            if isinstance(event, Progress):
                held = self._let_speak(held)
            if held.operation.run is not run_before:
                held.start = held.newest + 1
            self._deliver(held, event, place, place.event_id(number))
        self.counts[_COUNTED[verdict]] += 1
        self.holdings.heard(held, now)

    @property
    def due(self) -> float | None:
        """When :meth:`release` is to be called; None where nothing waits for it."""
        return self._late[0][0] if self._late else None

    def release(self, now: float) -> list[Session]:
        """Deliver the progress that is late: its operation had said something just before it.

        Args:
            now: By the clock of :meth:`accept`.

        Returns:
            As :meth:`accept`.
        """
        woken: list[Session] = []
        self.woken = woken
        self._batch += 1
        while self._late and self._late[0][0] <= now:
            held = heappop(self._late)[2]
            # It may have been let go, or have come sooner: with what was said behind it.
            if self.holdings.holds(held) and held.told_at + self.progress_interval <= now:
                self._release(held, now)
        return woken

    def _release(self, held: Held, now: float) -> None:
        if isinstance(held, Speaking) and held.late is not None:
            event, place, number = held.late
            held.late, held.told_at = None, now
            self._deliver(held, event, place, place.event_id(number))

    def _sign(self, held: Held, now: float) -> None:
        """Take a sign of life of the current run of an operation."""
        held.signed_at = now
        if held.operation.run is not None:
            held.operation.run.every = self._every

    def _hear(self, held: Held, run: str, at: float, place: Place, number: int) -> None:
        """Take a sign of life of a run, and deliver what it means."""
        event = held.operation.hear(run, at)
        if event is None:
            return
        self.counts["resumed"] += 1
        if event.data.status == STARTED:
            held.start = held.newest + 1
        self._deliver(held, event, place, place.id_before(number))

    def _deliver(self, held: Held, event: Event, place: Place, event_id: str) -> None:
        """Put the event, as a frame, into the operation's history, and offer it."""
        frame = framed(encode_event_frame(event, event_id))
        kind = _KINDS[type(event)]
        if kind is Kind.PROGRESS:
            held.advance(frame)
        run = _same_text(held, event.run)
        entry = Entry(held.newest + 1, place.epoch_number, kind, run, frame)
        self.holdings.append(held, entry)
        self._offer(held)

    def _offer(self, held: Held) -> None:
        audience = held.audience
        if audience is None or held.selections != self._selections:
            audience = self._gather(held)
        if held.offered_in == self._batch:
            return
        held.offered_in = self._batch
        cursor = held.newest - 1
        for session in audience:
            if session.offer(held, cursor):
                self.woken.append(session)

    def _gather(self, held: Held) -> tuple[Session, ...]:
        """Work out who watches the operation, by its id or by a selector."""
        operation = held.operation
        by_id = self._watchers.get(operation.operation_id, _NOBODY)
        watching = dict(by_id)
        for what, who in self._selectors.items():
            if what.matches(operation):
                watching |= who
        audience = tuple(watching)
        held.selections = self._selections
        # Of those that nobody watches by their id many have the same.
        if not by_id:
            audience = self._audiences.setdefault(audience, audience)
        held.audience = audience
        return audience

    def _selects(self, session: Session, held: Held | None) -> bool:
        """Whether the session watches the operation by a selector."""
        return held is not None and any(one.matches(held.operation) for one in session.selectors)

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
        held = self.holdings.get(operation_id)
        again = operation_id in session.subscribed or self._selects(session, held)
        session.subscribed.add(operation_id)
        self._watchers.setdefault(operation_id, {})[session] = None
        if held is not None:
            held.audience = None
        if again and since is None and replay is None:
            return False
        place = self._place(since)
        if held is None:
            if self.on_unknown is not None:
                self.on_unknown(operation_id)
            # What is unsent of one that was let go still comes, from where the session was.
            if since is not None:
                watch = session.expect(operation_id)
                watch.seen, watch.since = place, _foreign(since, place)
            return self._recovers(place, self.holdings.gone)
        recovered = self._recovers(place, held.dropped_position)
        watch = self._begin(held, place, replay)
        watch.since = _foreign(since, place)
        if since is not None and not recovered and watch.seen is None:
            watch.fallen = watch.uncounted = session.resyncs
        session.watch(held, watch)
        return recovered

    def _begin(self, history: History, place: Position | None, replay: str | None) -> Watch:
        """Where a subscription begins to read.

        Behind the last event the client saw, where it is known where that stands; else where
        the current run begins, or now.
        """
        if place is None:
            now = replay in {"none", "last"}
            cursor = history.newest if now else history.start - 1
            return Watch(cursor, standing=replay == "last")
        watch = Watch(history.cursor_at(place))
        if history.position is not None and place > history.position:
            # This sidecar has not read as far as the one that the client comes from.
            watch.seen = place
        return watch

    def _place(self, event_id: str | None) -> Position | None:
        """Where an event stands in the log; None where it is of an epoch that was not read."""
        epoch, place = parse_event_id(event_id or "")
        number = self._epochs.get(epoch)
        if place is None or number is None:
            return None
        return place._replace(batch=(number, *place.batch))

    def _recovers(self, place: Position | None, gone: Position | None) -> bool:
        """Whether everything behind a place follows, of what was let go up to ``gone``."""
        if place is None or self._first is None or place < self._first:
            return False
        return gone is None or place >= gone

    def select(self, session: Session, selector: Selector, *, replay: str) -> None:
        """Begin to watch every operation that a selector matches, now or later.

        Args:
            session: Who.
            selector: What.
            replay: ``last``: how things stand with each of them that has not ended; ``all``:
                the current run of each that is held; ``none``: news only.
        """
        if selector in session.selectors:
            return
        fresh = (
            [] if replay == "none" else self._selected_by(selector, session, ended=replay == "all")
        )
        session.selectors.add(selector)
        self._selectors.setdefault(selector, {})[session] = None
        self._reselect()
        for history in fresh:
            if replay == "all":
                session.watch(history, Watch(history.start - 1))
            else:
                session.watch(history, Watch(history.newest, standing=True))

    def _selected_by(self, selector: Selector, session: Session, *, ended: bool) -> list[History]:
        """What a selector matches and the session does not watch yet, oldest first."""
        return [
            held
            for held in self.holdings.oldest_first(ended=ended)
            if selector.matches(held.operation)
            and held.operation.operation_id not in session.subscribed
            and not self._selects(session, held)
        ]

    def _reselect(self) -> None:
        """Take note that the selectors have changed."""
        self._selections += 1
        self._audiences.clear()

    def unselect(self, session: Session, selector: Selector) -> None:
        """Stop watching what a selector matches, as far as it is not watched otherwise."""
        session.selectors.discard(selector)
        sessions = self._selectors.get(selector)
        if sessions is None or session not in sessions:
            return
        del sessions[session]
        if not sessions:
            del self._selectors[selector]
        self._reselect()
        for operation_id in session.reading - session.subscribed:
            self._drop_unless_selected(session, operation_id)

    def unwatch(self, session: Session, operation_id: str) -> None:
        """Stop watching an operation by its id; nothing happens when it was not watched."""
        session.subscribed.discard(operation_id)
        session.unpace(operation_id)
        watchers = self._watchers.get(operation_id)
        if watchers is not None:
            watchers.pop(session, None)
            if not watchers:
                del self._watchers[operation_id]
        held = self.holdings.get(operation_id)
        if held is not None:
            held.audience = None
        self._drop_unless_selected(session, operation_id)

    def _drop_unless_selected(self, session: Session, operation_id: str) -> None:
        if not self._selects(session, self.holdings.get(operation_id)):
            session.drop(operation_id)

    def leave(self, session: Session) -> None:
        """Forget a session whose connection is gone."""
        session.forget()
        for selector in list(session.selectors):
            self.unselect(session, selector)
        for operation_id in list(session.subscribed):
            self.unwatch(session, operation_id)

    def get(self, operation_id: str) -> dict[str, Any] | None:
        """The operation's snapshot, or None when nobody has heard of it."""
        held = self.holdings.get(operation_id)
        return held.snapshot() if held else None

    def history(self, operation_id: str, limit: int, room: int) -> tuple[list[bytes], bool]:
        """The newest events held of an operation, as encoded frames, oldest first.

        Earlier runs are included; progress that a later one replaced is gone.

        Args:
            operation_id: Whose.
            limit: How many at the most.
            room: How many bytes at the most.

        Returns:
            The frames, and whether nothing that was heard is missing before them.
        """
        held = self.holdings.get(operation_id)
        if held is None:
            return [], False
        frames = [text_of(entry.frame) for entry in held.after(0)]
        first = len(frames)
        while first and len(frames) - first < limit and room >= len(frames[first - 1]):
            first -= 1
            room -= len(frames[first])
        return frames[first:], first == 0 and held.dropped == 0

    def stats(self) -> dict[str, int]:
        """Figures for ``get_stats``, all integers."""
        sessions = [*self._watchers.values(), *self._selectors.values()]
        return {
            "active_operations": self.holdings.active,
            "total_operations": self.holdings.total,
            "subscriptions": sum(map(len, sessions)),
            "held_operations": len(self.holdings),
            "history_bytes": self.holdings.history_bytes,
            **{f"{name}_total": self.counts[name] for name in _COUNTS},
        }


def _same_text(held: Held, run: str) -> str:
    """A run's id: the one text for all of its entries, not one for each event that was decoded."""
    if run == held.going_on:
        return held.going_on
    current = held.operation.run
    return current.id if current is not None and current.id == run else run


def _pause_after(status: Status) -> float:
    """Seconds in which the operation says nothing behind this, since it waits for its time."""
    data = status.data
    if data.starts_at is not UNSET:
        # By one clock, and a caller's may be wrong: the worker that keeps the message says its own.
        return max(0.0, data.starts_at - status.timestamp)
    return 0.0 if data.retry_in is UNSET else data.retry_in


def _foreign(event_id: str | None, place: Position | None) -> str | None:
    """An event id worth keeping until its epoch is known."""
    return event_id if place is None and len(event_id or "") <= MAX_EVENT_ID_LENGTH else None


def _begins_anew(event: Event) -> bool:
    """Whether it is not what comes late of an operation whose end was let go.

    After the end only a start opens an operation. What the result backend says of one that nobody
    knows any more was asked for.
    """
    return step_of(event) is Step.START or event.run == BACKEND_RUN


_COUNTED: Final = {Verdict.DELIVER: "delivered", Verdict.BEHIND: "behind", Verdict.OVER: "over"}
_COUNTS: Final = (
    "events", "delivered", "behind", "over", "resumed", "malformed", "repeats", "gaps",
)  # fmt: skip
_NOBODY: Final[Mapping[Session, None]] = {}


_KINDS: Final = {
    Progress: Kind.PROGRESS,
    Status: Kind.STATUS,
    Log: Kind.LINE,
    Result: Kind.LINE,
    Completed: Kind.END,
    Error: Kind.END,
}
