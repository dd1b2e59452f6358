"""What snapshots change in what is owed: a client that fell off is told how things stand instead.

A snapshot tells what statuses and progress said up to then, so that none of it need come any
more. Of lines and results all that is still held must, and so must the end. What is held is the
newest, without a hole; how much that is the oracle can only say a little of (:data:`HELD`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from recordings import RESUMED, Resynced, Said

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from expectation import Standing
    from recordings import Entry, Log

HELD: Final = 50
"""So many lines, of some kilobytes each, are held in any case."""


def behind(told: Resynced, standings: Mapping[str, Standing]) -> Standing | None:
    """How the operation stood when a snapshot told it; None where the log does not know that."""
    return standings.get(told.event_id.removesuffix(RESUMED))


def excused(
    log: Log,
    entries: Sequence[Entry],
    due: Sequence[Said],
    standings: Mapping[str, Standing],
) -> set[str]:
    """The events, by their ids, that a client need not have been shown for what snapshots told.

    Args:
        log: The log.
        entries: What the client was shown of an operation.
        due: What would have been owed to it without them.
        standings: How the operation stood, by event.
    """
    found: set[str] = set()
    for told, before, after in _resyncs(entries):
        # What it passed over before the last event it saw, an earlier snapshot has told.
        last = max(map(log.order, before), default=(-1, ()))
        unseen = [
            one
            for one in due
            if one.event_id not in before
            and last < log.order(one.event_id) <= log.order(told.event_id)
        ]
        # A later snapshot is the one that counts for what both have told.
        found -= {one.event_id for one in unseen}
        found |= _excused_by(told, unseen, after, behind(told, standings))
    return found


def _resyncs(entries: Sequence[Entry]) -> Iterator[tuple[Resynced, set[str], set[str]]]:
    """Each snapshot, with the ids of the events that were shown before it, and behind it."""
    for number, one in enumerate(entries):
        if isinstance(one, Resynced):
            yield one, _ids(entries[:number]), _ids(entries[number:])


def _ids(entries: Sequence[Entry]) -> set[str]:
    return {one.event_id for one in entries if isinstance(one, Said)}


def _excused_by(
    told: Resynced,
    unseen: Sequence[Said],
    after: Collection[str],
    standing: Standing | None,
) -> set[str]:
    lines = [one for one in unseen if one.kind not in {"status", "progress"} and not one.is_end]
    shown = next((at for at, one in enumerate(lines) if one.event_id in after), len(lines))
    # What is held is the newest, whichever run it is of: another one may speak beside this one.
    newest = [one for one in lines[max(0, len(lines) - HELD) :] if one.run == told.run]
    owed = {one.event_id for one in (*lines[shown:], *newest)}
    if standing is not None:
        owed.add(standing.end)
    return {one.event_id for one in unseen} - owed


def untold(entries: Sequence[Entry], missing: Collection[str]) -> int:
    """How many of the events a client was not shown its snapshots did not count.

    Args:
        entries: What it was shown.
        missing: What it was not shown and was excused by them.
    """
    counts = [one.missed for one in entries if isinstance(one, Resynced)]
    known = [one for one in counts if one is not None]
    return max(0, len(missing) - sum(known)) if len(known) == len(counts) else 0
