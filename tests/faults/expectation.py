"""What is owed of each event of an operation, as the log tells it: the laws, a second time.

:class:`Course` goes once through what the log holds of an operation and says of each event
whether a client must, may or must not see it. It knows nothing of the product, and is formulated
otherwise.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from recordings import ALIVE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from recordings import Said

_LOST: Final = frozenset({"WorkerLost", "OwnerLost"})
_RECEIVED, _STARTED, _OVER = 1, 2, 3
BACKEND: Final = "backend"
"""The run of an end that only the result backend has told of."""


class Duty(Enum):
    """What is owed to a client who watches."""

    MUST = "must"
    MAY = "may"
    NEVER = "never"


class Course:
    """The course of one operation through the log."""

    def __init__(self) -> None:
        self.ended = False
        self.current = ""
        """The run that started last."""
        self._phase: dict[str, int] = {}
        self._overtaken: set[str] = set()
        self._presumed_over: set[str] = set()
        self._begun: set[str] = set()
        """Runs whose ``started`` the log showed."""
        self._publications: set[str] = set()
        self._silent: set[str] = set()
        self._lost: set[str] = set()
        self._replaced: set[str] = set()
        """Runs that have handed their work on, and may yet fail in that."""

    @property
    def works(self) -> bool:
        """Whether the current run has begun, and neither ended nor gone into a retry."""
        return self._phase.get(self.current) == _STARTED

    def judge(self, event: Said) -> Duty:
        """Take the next event, and say what is owed of it."""
        word = event.text if event.kind == "status" else ""
        if word == "queued" or (word == "scheduled" and not event.run):
            known = event.publication in self._publications
            self._publications.add(event.publication)
            # What is published beside a run says nothing of where that is.
            return Duty.NEVER if known or self._phase else Duty.MUST
        if event.inferred:
            return self._judge_inferred(event)
        self._hear(event.run)
        if event.kind == ALIVE:
            return Duty.NEVER
        if word in {"received", "scheduled"}:
            return self._told(event, self._judge_received(event))
        if word == "started":
            duty = self._told(event, self._judge_started(event))
            self._begun.add(event.run)
            for run in set(self._phase) - {self.current}:
                # It had spoken before this one started.
                if self._phase[run] == _STARTED:
                    self._pass(run)
            self._pass(event.after)
            return duty
        duty = self._judge_work(event)
        if event.is_end:
            self._pass(event.after)
        return duty

    def _told(self, event: Said, duty: Duty) -> Duty:
        """Remember of which publication a run is that a client has been told of."""
        if duty is Duty.MUST:
            self._publications.add(event.publication)
        return duty

    def _hear(self, run: str) -> None:
        """A run that speaks is neither silent nor lost."""
        if run != self.current or not run:
            return
        self._silent.discard(run)
        if run in self._lost:
            self._lost.discard(run)
            self._phase[run] = _STARTED
            self.ended = False

    def _judge_inferred(self, event: Said) -> Duty:
        run = event.run
        waits_unheard = bool(self._publications) and run == BACKEND
        if not self._phase and (waits_unheard or not self._publications):
            # What was before it the log holds no more; or of a message in its queue the result
            # backend knew the end before a word of its worker was written.
            self._take_over(run)
            if event.kind != "status" or event.text == "retrying":
                self._silent.add(run)
        phase = self._phase.get(run, 0)
        # One that is to be tried again is over, and its operation is not.
        if run != self.current or (phase == _OVER and self.ended):
            return Duty.NEVER
        if event.kind == "status":
            return self._judge_doubt(run, event.text)
        lost = event.is_end and event.text in _LOST
        # A run that works has ended unheard if it is silent. One that waits, to begin or to be
        # tried again, is silent in any case: for that it is not lost.
        if run not in self._silent if phase == _STARTED else lost:
            return Duty.NEVER
        self._take_over(run)
        self._silent.add(run)
        if event.is_end:
            self._end(run)
            (self._lost.add if lost else self._lost.discard)(run)
        return Duty.MUST

    def _judge_doubt(self, run: str, word: str) -> Duty:
        """It is silent; or its message is delivered again, though it may speak first."""
        given_back = word == "retrying"
        if (run in self._silent) is not given_back or self._phase.get(run) != _STARTED:
            return Duty.NEVER
        self._silent.add(run)
        if given_back:
            self._phase[run] = _OVER
            self._lost.add(run)
        return Duty.MUST

    def _judge_received(self, event: Said) -> Duty:
        if event.run in self._phase:
            return Duty.NEVER
        self._phase[event.run] = _RECEIVED
        if self.current and self.current != event.run:
            return Duty.NEVER
        self.current = event.run
        return Duty.MUST

    def _judge_started(self, event: Said) -> Duty:
        unsure = event.run != self.current and self._phase.get(event.run) == _STARTED
        if self._phase.get(event.run, 0) >= _STARTED and not unsure:
            return Duty.NEVER
        self._take_over(event.run)
        return Duty.MUST

    def _judge_work(self, event: Said) -> Duty:
        run = event.run
        word = event.text if event.kind == "status" else ""
        if run == self.current and run in self._replaced and event.is_end and not self.ended:
            self._replaced.discard(run)
            self._phase[run] = _STARTED
        if self._phase.get(run) == _OVER:
            told_late = run in self._overtaken - self._presumed_over and event.kind == "log"
            return Duty.MUST if told_late else Duty.NEVER
        if run != self.current and self.ended:
            return Duty.NEVER
        if run != self.current and self._comes_late(event):
            told_late = event.kind == "log" and run not in self._presumed_over
            return Duty.MUST if told_late else Duty.NEVER
        self._take_over(run)
        if event.is_end:
            self._end(run)
        elif word in {"retrying", "replaced"}:
            self._phase[run] = _OVER
            if word == "replaced":
                self._replaced.add(run)
        return Duty.MAY if event.kind == "progress" else Duty.MUST

    def _comes_late(self, event: Said) -> bool:
        """Whether another run than the current one, whose start is not known, is not news.

        It started before the current one, where the start of that is known. Where that is not
        known either, it is over with whichever ends first.
        """
        phase = self._phase.get(event.run)
        if phase is None:
            # Whoever fails what a run hands its id to says its end, though it never started.
            overtaken = event.after != self.current and self._phase.get(event.after) == _OVER
            unstarted = event.is_end and event.after and not overtaken
            return self.current in self._begun and not unstarted
        return phase == _STARTED and not event.is_end

    def _pass(self, run: str) -> None:
        """A retry of this run has started: it is over, whatever the log shows of it yet."""
        if run and run != self.current and self._phase.get(run) != _OVER:
            self._phase[run] = _OVER
            self._overtaken.add(run)

    def _take_over(self, run: str) -> None:
        before = self.current
        if before != run and before in self._lost - self._begun:
            # That it went on may stand before the part of the log that was read.
            self._lost.discard(before)
            self._phase[before] = _STARTED
            # But its end was told.
            self._presumed_over.add(before)
        if before in self._begun and before != run and self._phase[before] == _STARTED:
            self._phase[before] = _OVER
            self._overtaken.add(before)
        self.current, self._phase[run] = run, _STARTED
        self.ended = False

    def _end(self, run: str) -> None:
        self._phase[run] = _OVER
        self.ended = True


def owed(events: Iterable[Said]) -> dict[str, Duty]:
    """What is owed of each event of one operation, by its id.

    Of progress the last one of each run is owed: before its end, or before it paused.
    """
    course, duties, last = Course(), {}, {}
    for event in events:
        duty = course.judge(event)
        if event.kind == ALIVE:
            continue
        duties[event.event_id] = duty
        if duty is Duty.MAY:
            last[event.run] = event.event_id
    for event_id in last.values():
        duties[event_id] = Duty.MUST
    return duties


def follow(events: Iterable[Said]) -> Course:
    """The course of an operation behind all of its events."""
    course = Course()
    for event in events:
        course.judge(event)
    return course


class Standing(NamedTuple):
    """How an operation stands behind an event."""

    run: str
    """The current run."""
    ended: bool
    end: str
    """The id of its end; empty while there is none."""
    opened: str
    """The id of the event with which the current run became that."""


def standings(events: Iterable[Said]) -> dict[str, Standing]:
    """How the operation stands behind each of its events, signs of life included, by their ids."""
    course, found = Course(), {}
    before, end, opened = "", "", ""
    for event in events:
        judged = course.judge(event)
        if event.is_end and judged is Duty.MUST:
            end = event.event_id
        if not opened or (before and course.current != before):
            opened = event.event_id
        before, end = course.current, end if course.ended else ""
        found[event.event_id] = Standing(course.current, course.ended, end, opened)
    return found
