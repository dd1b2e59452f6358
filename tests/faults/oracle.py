"""The delivery oracle: holds the three accounts against each other.

The laws are formulated here a second time, and otherwise than in the product: :class:`Course`
goes once through what the log holds of an operation and says of each event whether a client
must, may or must not see it; :func:`check` then looks at every client, operation by operation.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from accounts import ALIVE, Log, Said, Subscribed, Told, Transcript, place

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

_LOST: Final = frozenset({"WorkerLost", "OwnerLost"})
_RESUMED: Final = "r"

_RECEIVED, _STARTED, _OVER = 1, 2, 3


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
        self._publications: set[str] = set()
        self._silent: set[str] = set()
        self._lost: set[str] = set()

    def judge(self, event: Said) -> Duty:
        """Take the next event, and say what is owed of it."""
        if event.kind == "status" and event.text == "queued":
            known = event.publication in self._publications
            self._publications.add(event.publication)
            return Duty.NEVER if known else Duty.MUST
        if event.inferred:
            return self._judge_inferred(event)
        self._hear(event.run)
        if event.kind == ALIVE:
            return Duty.NEVER
        if event.kind == "status" and event.text == "received":
            return self._told(event, self._judge_received(event))
        if event.kind == "status" and event.text == "started":
            duty = self._told(event, self._judge_started(event))
            self._pass(event.after)
            return duty
        return self._judge_work(event)

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
        if not self._phase and not self._publications:
            # What was before it the log holds no more.
            self._take_over(run)
            if event.is_end:
                self._silent.add(run)
        phase = self._phase.get(run, 0)
        # One that is to be tried again is over, and its operation is not.
        if run != self.current or (phase == _OVER and self.ended):
            return Duty.NEVER
        if event.kind == "status":
            if run in self._silent or phase != _STARTED:
                return Duty.NEVER
            self._silent.add(run)
            return Duty.MUST
        # What is said of a run that works holds if it is silent; one that waits has said nothing
        # against it.
        lost = event.is_end and event.text in _LOST
        if run not in self._silent and (phase == _STARTED or (lost and phase)):
            return Duty.NEVER
        if phase == _OVER and lost:
            return Duty.NEVER
        self._take_over(run)
        self._silent.add(run)
        if event.is_end:
            self._end(run)
            if event.text in _LOST:
                self._lost.add(run)
        return Duty.MUST

    def _judge_received(self, event: Said) -> Duty:
        if event.run in self._phase:
            return Duty.NEVER
        self._phase[event.run] = _RECEIVED
        self.current = self.current or event.run
        return Duty.MUST

    def _judge_started(self, event: Said) -> Duty:
        if self._phase.get(event.run, 0) >= _STARTED:
            return Duty.NEVER
        self._take_over(event.run)
        return Duty.MUST

    def _judge_work(self, event: Said) -> Duty:
        run = event.run
        if self._phase.get(run) == _OVER:
            told_late = run in self._overtaken and event.kind == "log"
            return Duty.MUST if told_late else Duty.NEVER
        if run != self.current and self.ended:
            return Duty.NEVER
        self._take_over(run)
        if event.is_end:
            self._end(run)
        elif event.kind == "status" and event.text == "retrying":
            self._phase[run] = _OVER
        return Duty.MAY if event.kind == "progress" else Duty.MUST

    def _pass(self, run: str) -> None:
        """A retry of this run has started: it is over, whatever the log shows of it yet."""
        if run and run != self.current and self._phase.get(run) != _OVER:
            self._phase[run] = _OVER
            self._overtaken.add(run)

    def _take_over(self, run: str) -> None:
        before = self.current
        if before and before != run and self._phase[before] == _STARTED:
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


def has_ended(events: Iterable[Said]) -> bool:
    """Whether the operation is at its end, as the log tells it."""
    course = Course()
    for event in events:
        course.judge(event)
    return course.ended


@dataclass
class Findings:
    """What the oracle found."""

    violations: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def blame(self, law: str, sentence: str) -> None:
        """Note a violation, and count it by its law."""
        self.counts[law] += 1
        self.violations.append(f"{law}: {sentence}")

    def __str__(self) -> str:
        shown = "\n".join(self.violations[:40])
        return f"{len(self.violations)} violations\n{shown}\n{dict(self.counts)}"


class _Case(NamedTuple):
    """One operation, for all who watched it."""

    operation_id: str
    sent_at: float
    events: Sequence[Said]
    duties: Mapping[str, Duty]


LAWS: Final = ("lost", "duplicate", "order", "ends", "after the end", "invented", "endless",
               "lost by a living process", "wrong end", "refused")  # fmt: skip


def evidence(log: Log, transcripts: Sequence[Transcript], who: str) -> list[str]:
    """Everything about one client and one operation, as findings name them: a line each."""
    name, _, operation_id = who.rpartition(" ")
    events = list(log.events.get(operation_id, ()))
    duties = owed(events)
    lines = [f"{who}: what the log holds"]
    for event in events:
        duty = duties[event.event_id].value if event.kind != ALIVE else "-"
        lines.append(f"  {duty:5} {_shown(event)}{' inferred' * event.inferred} at {event.at:.2f}")
    for transcript in transcripts:
        if transcript.name == name:
            lines.append("and what it was shown")
            shown = transcript.entries[operation_id]
            lines += [f"  {_shown(one) if isinstance(one, Said) else one}" for one in shown]
    return lines


def check(
    log: Log,
    transcripts: Sequence[Transcript],
    told: Sequence[Told],
    *,
    sent_at: Mapping[str, float],
    living: Collection[int],
) -> Findings:
    """Hold the accounts against each other, when everything has come to rest.

    Args:
        log: What the log accepted.
        transcripts: What the clients were shown.
        told: What the tasks wrote down.
        sent_at: When each of the operations it is about was sent, by the clock of transcripts.
        living: The ids of the processes that are still there: they lost nothing.

    Returns:
        The violations, and counts: ``events`` and ``deliveries``, what ``died`` with the
        processes that said it, and each law's violations.
    """
    findings = Findings()
    for operation_id, at in sent_at.items():
        events = list(log.events.get(operation_id, ()))
        told_of = [one for one in events if one.kind != ALIVE]
        case = _Case(operation_id, at, told_of, owed(events))
        for transcript in transcripts:
            if operation_id in transcript.entries:
                _check_client(log, transcript, case, findings)
    for transcript in transcripts:
        for one in transcript.refused:
            findings.blame("refused", f"{transcript.name}: {one}")
    _check_tasks(log, told, frozenset(sent_at), frozenset(living), findings)
    return findings


def _check_client(log: Log, transcript: Transcript, case: _Case, findings: Findings) -> None:
    frames = transcript.frames(case.operation_id)
    who = f"{transcript.name} {case.operation_id}"
    findings.counts["deliveries"] += len(frames)
    _check_order(log, who, frames, findings)
    _check_ends(who, frames, findings)
    _check_truth(log, who, frames, {one.event_id: one for one in case.events}, findings)
    seen = {frame.event_id for frame in frames}
    for event in case.events[_begins(transcript.entries[case.operation_id], case) :]:
        duty = case.duties[event.event_id]
        if duty is Duty.MUST and event.event_id not in seen:
            findings.blame("lost", f"{who} never saw {_shown(event)}")
        elif duty is Duty.NEVER and event.event_id in seen:
            findings.blame("after the end", f"{who} should not have seen {_shown(event)}")
    started = any(one.kind != "status" or one.text == "started" for one in case.events)
    if started and not has_ended_for(frames):
        findings.blame("endless", f"{who} knows no end after {_shown(frames[-1:])}")


def _check_order(log: Log, who: str, frames: Sequence[Said], findings: Findings) -> None:
    """Log order, each event once."""
    seen: set[str] = set()
    before: tuple[int, tuple[float, ...]] = (-1, ())
    for frame in frames:
        if frame.event_id in seen:
            findings.blame("duplicate", f"{who} saw {_shown(frame)} twice")
        seen.add(frame.event_id)
        epoch, numbers = place(frame.event_id)
        here = (log.epochs.index(epoch) if epoch in log.epochs else -1, numbers)
        if here < before:
            findings.blame("order", f"{who} saw {_shown(frame)} too late")
        before = max(before, here)


def _check_ends(who: str, frames: Sequence[Said], findings: Findings) -> None:
    """One end until it starts again, and nothing of a run after the end of that run."""
    ended, over = False, set()
    for frame in frames:
        if frame.kind == "status" and frame.text == "started":
            ended = False
            if frame.event_id.endswith(_RESUMED):
                over.discard(frame.run)
        if frame.run and frame.run in over:
            findings.blame("after the end", f"{who} saw {_shown(frame)} after the run's end")
        if frame.is_end:
            if ended:
                findings.blame("ends", f"{who} saw another end, {_shown(frame)}")
            ended = True
            over.add(frame.run)


def has_ended_for(frames: Sequence[Said]) -> bool:
    """Whether a client who was shown this knows that it is over."""
    for frame in reversed(frames):
        if frame.is_end:
            return True
        if frame.kind == "status" and frame.text == "started":
            return False
    return False


def _check_truth(
    log: Log, who: str, frames: Sequence[Said], events: dict[str, Said], findings: Findings
) -> None:
    """Whatever it was shown stands in the log, word for word."""
    for frame in frames:
        if frame.event_id.endswith(_RESUMED) and frame.kind == "status":
            continue
        epoch, numbers = place(frame.event_id)
        if numbers[:-1] > log.last.get(epoch, ()):
            # The log died with it, before the oracle could read it.
            findings.counts["died with the log"] += 1
            continue
        event = events.get(frame.event_id)
        if event is None or _essence(event) != _essence(frame):
            findings.blame("invented", f"{who} saw {_shown(frame)}, the log has {event}")


def _essence(event: Said) -> tuple[str, ...]:
    return (event.operation_id, event.run, event.kind, event.text)


def _begins(entries: Sequence[Said | Subscribed], case: _Case) -> int:
    """The number of the first event that is owed to it.

    All of them where it watched before there was anything. Else it is owed the run that was the
    current one when it came, and what follows.
    """
    first = next((number for number, one in enumerate(entries) if isinstance(one, Said)), None)
    before = [one for one in entries[:first] if isinstance(one, Subscribed)]
    in_time = len(before) == 1 and before[0].at < case.sent_at
    shown = entries[first] if first is not None else None
    if in_time or not isinstance(shown, Said):
        return 0
    return _opened(case.events).get(shown.event_id, 0)


def _opened(events: Iterable[Said]) -> dict[str, int]:
    """For each event, the number of the one that opened the run which was the current one then."""
    course, opened, begins, before = Course(), {}, 0, ""
    for number, event in enumerate(events):
        course.judge(event)
        if before and course.current != before:
            begins = number
        before = course.current
        opened[event.event_id] = begins
    return opened


def _check_tasks(
    log: Log,
    told: Sequence[Told],
    operations: frozenset[str],
    living: frozenset[int],
    findings: Findings,
) -> None:
    """What the tasks said is in the log, unless it died with them; and so is how they ended."""
    last: dict[str, Told] = {}
    runs: Counter[str] = Counter()
    for one in told:
        if one.operation_id not in operations:
            continue
        last[one.operation_id] = one
        if one.kind == "start":
            runs[one.operation_id] += 1
        elif one.kind in {"log", "result"}:
            findings.counts["said"] += 1
            if one.text in log.lines:
                findings.counts["accepted"] += 1
            elif _is_living(one, living):
                findings.blame("lost by a living process", str(one))
            else:
                findings.counts["died"] += 1
    for operation_id, one in last.items():
        if runs[operation_id] == 1 and one.kind in {"result", "error"} and _is_living(one, living):
            _check_end(log, one, findings)


def missing(log: Log, told: Iterable[Told], living: Collection[int]) -> list[Told]:
    """What living processes have said and the log has not got, or not yet."""
    said = (one for one in told if one.kind in {"log", "result"} and one.text not in log.lines)
    return [one for one in said if _is_living(one, living)]


def _is_living(one: Told, living: Collection[int]) -> bool:
    return int(one.process.partition(".")[0]) in living


def _check_end(log: Log, one: Told, findings: Findings) -> None:
    """An operation that ran once, in a process that lives, ended as that says."""
    ends = [event for event in log.events.get(one.operation_id, ()) if event.is_end]
    expected = ("completed", "") if one.kind == "result" else ("error", one.text)
    if not ends or (ends[-1].kind, ends[-1].text) != expected:
        findings.blame("wrong end", f"{one} ended with {_shown(ends[-1:])}")


def _shown(what: Said | Sequence[Said]) -> str:
    if isinstance(what, Said):
        return f"{what.kind} {what.text!r} of run {what.run or '-'} ({what.event_id})"
    return ", ".join(map(_shown, what)) or "nothing"
