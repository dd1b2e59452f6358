"""The grants that a connection holds, found by what they cover.

A connection may hold thousands, one for each operation that a page shows. They are found by the
patterns of an operation, not one after the other. Only globs are matched one by one.

Pure.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from itertools import count
from typing import TYPE_CHECKING, Final

from celery_wsprogress.access.grants import (
    ALL_OPERATIONS,
    Grant,
    OperationFields,
    Pattern,
    PatternKind,
    exact_patterns_of,
    glob_covers,
    patterns_of_id,
)
from celery_wsprogress.errors import TooManyTokens
from celery_wsprogress.protocol.globs import matches_glob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MAX_GRANT_BYTES: Final = 16_000_000
"""Maximum size of all grants of a connection, in bytes of memory: some 10,000 for one id each."""

MAX_GLOBS: Final = 100
"""Maximum number of different globs of a connection."""

NOBODY: Final[frozenset[str]] = frozenset()
"""No subject. CPython makes another empty set each time, of 216 bytes."""

_MIN_STALE_ENDS: Final = 16


class _HeldGrant:
    """A place for the latest grant of those that differ in their end only."""

    __slots__ = ("grant",)

    def __init__(self, grant: Grant) -> None:
        self.grant = grant


class HeldGrants:
    """The grants of one connection. Times are epoch seconds."""

    __slots__ = (
        "_by_pattern",
        "_by_subject",
        "_ends",
        "_globs",
        "_held",
        "_serial",
        "_size",
        "earliest_end",
        "subjects",
    )

    def __init__(self) -> None:
        self.earliest_end = math.inf
        """The end of the grant that ends first."""
        self.subjects = NOBODY
        """Who holds them (``sub``). Another object only when it has changed."""
        self._by_subject: Counter[str] = Counter()
        self._held: dict[Grant, _HeldGrant] = {}
        self._by_pattern: dict[Pattern, dict[_HeldGrant, None]] = {}
        self._globs: set[str] = set()
        """The globs among the patterns."""
        self._ends: list[tuple[float, int, _HeldGrant]] = []
        """A heap. A grant that was renewed or dropped leaves an entry behind."""
        # Grants do not compare: the number keeps the heap from looking at them.
        self._serial = count()
        self._size = 0

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Grant]:
        return (held.grant for held in self._held.values())

    def add(self, grant: Grant) -> None:
        """Hold a grant. One that grants the same for longer takes the place of the other.

        Raises:
            TooManyTokens: there would be too many of them. Nothing has changed then.
        """
        held = self._held.get(_identity(grant))
        if held is None:
            held = self._insert(grant)
        elif grant.expires_at <= held.grant.expires_at:
            return
        held.grant = grant
        heapq.heappush(self._ends, (grant.expires_at, next(self._serial), held))
        # A client may renew one token for years: the entries that it left behind are dropped before
        # they are more than the others.
        if len(self._ends) > 2 * len(self._held) + _MIN_STALE_ENDS:
            self._ends = [
                (one.grant.expires_at, next(self._serial), one) for one in self._held.values()
            ]
            heapq.heapify(self._ends)
        self._find_earliest_end()

    def _insert(self, grant: Grant) -> _HeldGrant:
        globs = self._globs.union(_globs_of(grant))
        if self._size + grant.size > MAX_GRANT_BYTES or len(globs) > MAX_GLOBS:
            raise TooManyTokens("The tokens of this connection grant too much to be kept")
        self._globs = globs
        self._size += grant.size
        held = self._held[_identity(grant)] = _HeldGrant(grant)
        for pattern in grant.patterns:
            self._by_pattern.setdefault(pattern, {})[held] = None
        self._count_subject(grant.subject, 1)
        return held

    def _count_subject(self, subject: str | None, change: int) -> None:
        if subject is None:
            return
        self._by_subject[subject] += change
        if not self._by_subject[subject]:
            del self._by_subject[subject]
        if len(self._by_subject) != len(self.subjects):
            self.subjects = frozenset(self._by_subject) or NOBODY

    def drop_ended(self, timestamp: float) -> bool:
        """Drop the grants that have ended. Return whether there were any."""
        before = len(self._held)
        while self.earliest_end <= timestamp:
            self._drop(self._ends[0][2])
            self._find_earliest_end()
        return len(self._held) < before

    def drop_if(self, is_over: Callable[[Grant], bool]) -> bool:
        """Drop the grants of which a function returns true. Return whether there were any."""
        dropped = [held for held in self._held.values() if is_over(held.grant)]
        for held in dropped:
            self._drop(held)
        self._find_earliest_end()
        return bool(dropped)

    def _drop(self, held: _HeldGrant) -> None:
        grant = held.grant
        del self._held[_identity(grant)]
        self._size -= grant.size
        self._count_subject(grant.subject, -1)
        for pattern in grant.patterns:
            among = self._by_pattern[pattern]
            del among[held]
            # Two grants may name the same pattern.
            if not among:
                del self._by_pattern[pattern]
                self._globs -= {pattern.value} if pattern.kind is PatternKind.TYPE else set()
        # Its entries in the heap are told by their end, and no number equals NaN.
        held.grant = _DROPPED

    def _find_earliest_end(self) -> None:
        ends = self._ends
        while ends and ends[0][0] != ends[0][2].grant.expires_at:
            heapq.heappop(ends)
        self.earliest_end = ends[0][0] if ends else math.inf

    def covering(self, operation: OperationFields) -> Iterator[Grant]:
        """Yield the grants that cover an operation."""
        yield from self._of(exact_patterns_of(operation))
        if self._globs:
            kind = operation.operation_type
            matching = (one for one in self._globs if matches_glob(kind, one))
            yield from self._of(Pattern(PatternKind.TYPE, one) for one in matching)

    def covering_id(self, operation_id: str) -> Iterator[Grant]:
        """Yield the grants that cover every operation with this id, whatever its fields."""
        return self._of((ALL_OPERATIONS, *patterns_of_id(operation_id)))

    def covering_selector(self, selector: Pattern) -> Iterator[Grant]:
        """Yield the grants that cover all operations that a pattern selects."""
        # A glob may cover a narrower one; each other pattern covers itself alone.
        if selector.kind is not PatternKind.TYPE:
            return self._of({ALL_OPERATIONS: None, selector: None})
        globs = [one for one in self._globs if glob_covers(one, selector.value)]
        return self._of([ALL_OPERATIONS, *(Pattern(PatternKind.TYPE, one) for one in globs)])

    def _of(self, patterns: Iterable[Pattern]) -> Iterator[Grant]:
        for pattern in patterns:
            for held in self._by_pattern.get(pattern, ()):
                yield held.grant


_DROPPED: Final = Grant(frozenset(), math.nan)


def _identity(grant: Grant) -> Grant:
    """Return what two grants have in common of which one renews the other."""
    return grant._replace(expires_at=0.0, token_id=None)


def _globs_of(grant: Grant) -> Iterable[str]:
    return (one.value for one in grant.patterns if one.kind is PatternKind.TYPE)
