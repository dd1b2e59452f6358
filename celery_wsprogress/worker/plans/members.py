"""The members of a group on their way to the broker, some of them known before."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from celery_wsprogress.guard import call_safely, must_propagate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence


class Members:
    """Yields what an iterable yields, once; its beginning can be looked at before.

    An error of the iterable, which may be a generator of the user, is raised where it would be
    without that look.

    Args:
        members: What ``group._apply_tasks`` gets: tuples of a signature, its result and the id of
            the group.
    """

    def __init__(self, members: Iterable[Any]) -> None:
        self._rest = iter(members)
        self._known: list[Any] = []
        self._error: Exception | None = None
        self.notice: Callable[[Any], None] | None = None
        """Called with each member that was not known before. What it raises is ignored."""

    def peek(self, limit: int) -> Sequence[Any]:
        """Return up to so many members from the beginning."""
        known = self._known
        try:
            known.extend(islice(self._rest, limit - len(known)))
        except Exception as exc:
            if must_propagate(exc):
                raise
            self._error = exc
        return known

    def __iter__(self) -> Iterator[Any]:
        known, self._known = self._known[::-1], []
        while known:
            # Not kept longer than Celery keeps it.
            yield known.pop()
        if self._error is not None:
            raise self._error
        for member in self._rest:
            if self.notice is not None:
                call_safely(self.notice, member)
            yield member
