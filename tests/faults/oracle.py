"""The delivery oracle: holds the three accounts against each other.

What is owed of each event says :mod:`course`, and what snapshots change in that :mod:`resyncs`;
:func:`check` looks at every client, operation by operation.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from expectation import Duty, Standing, owed, standings
from recordings import ALIVE, RESUMED, Log, Resynced, Said, Subscribed, Told, Transcript, place
from snapshots import behind, excused, untold

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from recordings import Entry


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
    standings: Mapping[str, Standing]


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
        case = _Case(operation_id, at, told_of, owed(events), standings(events))
        for transcript in transcripts:
            if operation_id in transcript.entries:
                _check_client(log, transcript, case, findings)
    for transcript in transcripts:
        for one in transcript.refused:
            findings.blame("refused", f"{transcript.name}: {one}")
    _check_tasks(log, told, frozenset(sent_at), frozenset(living), findings)
    return findings


def _check_client(log: Log, transcript: Transcript, case: _Case, findings: Findings) -> None:
    entries = list(transcript.entries[case.operation_id])
    frames = transcript.frames(case.operation_id)
    who = f"{transcript.name} {case.operation_id}"
    findings.counts["deliveries"] += len(frames)
    _check_order(log, who, frames, findings)
    _check_ends(who, entries, case, findings)
    _check_truth(log, who, frames, {one.event_id: one for one in case.events}, findings)
    _check_snapshots(log, who, entries, case, findings)
    _check_whole(log, who, entries, case, findings)
    started = any(one.kind != "status" or one.text == "started" for one in case.events)
    if started and not has_ended_for(entries):
        findings.blame("endless", f"{who} knows no end after {_shown(frames[-1:])}")


def _check_whole(
    log: Log, who: str, entries: Sequence[Entry], case: _Case, findings: Findings
) -> None:
    """What is owed was shown, and what is not was not."""
    seen = {one.event_id for one in entries if isinstance(one, Said)}
    events = case.events[_begins(entries, case) :]
    must = [one for one in events if case.duties[one.event_id] is Duty.MUST]
    told = excused(log, entries, must, case.standings)
    for event in must:
        if event.event_id not in seen | told:
            findings.blame("lost", f"{who} never saw {_shown(event)}")
    more = untold(entries, told - seen)
    if more:
        findings.blame("lost", f"{who} misses {more} more than it was told of")
    for event in events:
        if case.duties[event.event_id] is Duty.NEVER and event.event_id in seen:
            findings.blame("after the end", f"{who} should not have seen {_shown(event)}")


def _check_order(log: Log, who: str, frames: Sequence[Said], findings: Findings) -> None:
    """Log order, each event once."""
    seen: set[str] = set()
    before: tuple[int, tuple[float, ...]] = (-1, ())
    for frame in frames:
        if frame.event_id in seen:
            findings.blame("duplicate", f"{who} saw {_shown(frame)} twice")
        seen.add(frame.event_id)
        here = log.order(frame.event_id)
        if here < before:
            findings.blame("order", f"{who} saw {_shown(frame)} too late")
        before = max(before, here)


def _check_ends(who: str, entries: Sequence[Entry], case: _Case, findings: Findings) -> None:
    """One end until it starts again, and nothing of a run after the end of that run."""
    ended, over, seen = False, set(), set()
    for entry in entries:
        if isinstance(entry, Resynced):
            standing = behind(entry, case.standings)
            if standing is None or standing.end not in seen:
                # The end that it saw is none any more; which runs went on it was not shown.
                ended = False
                over.clear()
            continue
        if isinstance(entry, Subscribed):
            continue
        seen.add(entry.event_id)
        if entry.kind == "status" and entry.text == "started":
            ended = False
            if entry.event_id.endswith(RESUMED):
                over.discard(entry.run)
        if entry.run and entry.run in over:
            findings.blame("after the end", f"{who} saw {_shown(entry)} after the run's end")
        if entry.is_end:
            if ended:
                findings.blame("ends", f"{who} saw another end, {_shown(entry)}")
            ended = True
            over.add(entry.run)


def has_ended_for(entries: Iterable[Entry]) -> bool:
    """Whether a client who was shown this has been shown that it is over."""
    for entry in reversed(list(entries)):
        if isinstance(entry, Resynced) and not entry.ended:
            return False
        if isinstance(entry, Said):
            if entry.is_end:
                return True
            if entry.kind == "status" and entry.text == "started":
                return False
    return False


def _check_truth(
    log: Log, who: str, frames: Sequence[Said], events: dict[str, Said], findings: Findings
) -> None:
    """Whatever it was shown stands in the log, word for word."""
    for frame in frames:
        if frame.event_id.endswith(RESUMED) and frame.kind == "status":
            continue
        if _died_with_the_log(log, frame.event_id):
            findings.counts["died with the log"] += 1
            continue
        event = events.get(frame.event_id)
        if event is None or _essence(event) != _essence(frame):
            findings.blame("invented", f"{who} saw {_shown(frame)}, the log has {event}")


def _died_with_the_log(log: Log, event_id: str) -> bool:
    """Whether the log was gone before the oracle could read that far."""
    epoch, numbers = place(event_id)
    return numbers[:-1] > log.last.get(epoch, ())


def _check_snapshots(
    log: Log, who: str, entries: Sequence[Entry], case: _Case, findings: Findings
) -> None:
    """As each snapshot says, so it stood by the log."""
    for one in entries:
        if not isinstance(one, Resynced) or _died_with_the_log(log, one.event_id):
            continue
        standing = behind(one, case.standings)
        if standing is None or (standing.run, standing.ended) != (one.run, one.ended):
            findings.blame("invented", f"{who} was told {one}, by the log it is {standing}")


def _essence(event: Said) -> tuple[str, ...]:
    return (event.operation_id, event.run, event.kind, event.text)


def _begins(entries: Sequence[Entry], case: _Case) -> int:
    """The number of the first event that is owed to it.

    All of them where it watched before there was anything. Else it is owed the run that was the
    current one when it came, and what follows.
    """
    first = next((at for at, one in enumerate(entries) if not isinstance(one, Subscribed)), None)
    before = [one for one in entries[:first] if isinstance(one, Subscribed)]
    if first is None or (len(before) == 1 and before[0].at < case.sent_at):
        return 0
    shown = entries[first]
    standing = case.standings.get(shown.event_id.removesuffix(RESUMED))
    opened = standing and standing.opened
    return next((at for at, one in enumerate(case.events) if one.event_id == opened), 0)


def _check_tasks(
    log: Log,
    told: Sequence[Told],
    operations: frozenset[str],
    living: frozenset[int],
    findings: Findings,
) -> None:
    """What the tasks said is in the log, unless it died with them; and so is how they ended."""
    last: dict[str, Told] = {}
    runs = _runs(told)
    for one in told:
        if one.operation_id not in operations:
            continue
        last[one.operation_id] = one
        if one.kind in {"log", "result"}:
            findings.counts["said"] += 1
            if one.text in log.lines:
                findings.counts["accepted"] += 1
            elif _is_taken_back(log, one, runs):
                findings.counts["taken back"] += 1
            elif _is_living(one, living):
                findings.blame("lost by a living process", str(one))
            else:
                findings.counts["died"] += 1
    for operation_id, one in last.items():
        if runs[operation_id] > 1 or not _is_living(one, living):
            continue
        if one.kind in {"result", "error"} and not _is_taken_back(log, one, runs):
            _check_end(log, one, findings)


def missing(log: Log, told: Iterable[Told], living: Collection[int]) -> list[Told]:
    """What living processes have said and the log has not got, or not yet."""
    told = list(told)
    runs = _runs(told)
    said = (one for one in told if one.kind in {"log", "result"} and one.text not in log.lines)
    return [one for one in said if _is_living(one, living) and not _is_taken_back(log, one, runs)]


def _runs(told: Iterable[Told]) -> Counter[str]:
    return Counter(one.operation_id for one in told if one.kind == "start")


def _is_taken_back(log: Log, one: Told, runs: Counter[str]) -> bool:
    """A result that Celery could not store is none: its run fails, or is delivered again."""
    if one.kind != "result" or one.text in log.lines:
        return False
    failed = any(event.kind == "error" for event in log.events.get(one.operation_id, ()))
    return failed or runs[one.operation_id] > 1


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
