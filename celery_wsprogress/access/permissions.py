"""The rights of a connection. Pure.

Without keys the sidecar serves loopback addresses only, and every client may watch everything. A
page opened from disk (``Origin: null``), and every client with the setting ``exact_only``, may
watch by exact id only. With keys a client needs tokens (:mod:`.tokens`), and may do what one of
them grants. ``Host`` and ``Origin`` are checked before (:mod:`.pages`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from celery_wsprogress.access.grants import (
    ALL_OPERATIONS,
    Grant,
    Pattern,
    PatternKind,
    Right,
    View,
)
from celery_wsprogress.access.held_grants import HeldGrants
from celery_wsprogress.protocol.workflow_ids import workflow_id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from celery_wsprogress.access.grants import OperationFields
    from celery_wsprogress.access.tokens import TokenVerifier

_UNLIMITED: Final = Grant(frozenset({ALL_OPERATIONS}), math.inf, frozenset(Right))
_NO_GRANTS: Final = HeldGrants()
"""Those of every connection without a token; nothing is ever added to them."""


class Permit:
    """The rights of one connection. Times are epoch seconds.

    Args:
        verifier: Verifies its tokens; None where everything is allowed without one.
        exact_only: Whether it may only watch by exact id: for pages from disk, and for the setting.
        cancels_unverified: Whether it may cancel where no token is needed.
        untrusted: Whether its page may be one of any website (``Origin: null``). Then it gets no
            statistics of others, and little of the sidecar's time.
    """

    __slots__ = (
        "_cancels_unverified",
        "_grants",
        "exact_only",
        "may_hide",
        "untrusted",
        "verifier",
    )

    def __init__(
        self,
        verifier: TokenVerifier | None,
        *,
        exact_only: bool = False,
        untrusted: bool = False,
        cancels_unverified: bool = False,
    ) -> None:
        self._cancels_unverified = cancels_unverified
        self.verifier = verifier
        self.exact_only = exact_only
        self.untrusted = untrusted
        self.may_hide = exact_only
        """Whether anything of what it may watch may be hidden from it; see :meth:`view_of`."""
        # Nearly always there is no key, or no token yet.
        self._grants = _NO_GRANTS

    @property
    def is_open(self) -> bool:
        """Whether it needs no token."""
        return self.verifier is None

    @property
    def grants(self) -> list[Grant]:
        """What its tokens grant."""
        return [*self._grants]

    @property
    def earliest_end(self) -> float:
        """The time at which the next grant ends, so that :meth:`drop_ended` is due."""
        return self._grants.earliest_end

    @property
    def subjects(self) -> frozenset[str]:
        """Who holds its tokens (``sub``). Another object only when it has changed."""
        return self._grants.subjects

    def add(self, token: object, *, timestamp: float) -> Grant:
        """Verify a token and add its rights. Without a key any value is accepted, and ignored.

        Raises:
            TokenError: the token is not valid, or there are too many.
        """
        if self.verifier is None:
            return _UNLIMITED
        grant = self.verifier.read(token, timestamp=timestamp)
        self.add_grant(grant, timestamp=timestamp)
        return grant

    def add_grant(self, grant: Grant, *, timestamp: float) -> None:
        """Add rights that were verified.

        Raises:
            TooManyTokens: the connection has too many already.
        """
        if self._grants is _NO_GRANTS:
            self._grants = HeldGrants()
        self._grants.drop_ended(timestamp)
        self._grants.add(grant)
        self.may_hide = self.may_hide or grant.view is not View.FULL

    def drop_ended(self, timestamp: float) -> bool:
        """Drop the rights of tokens that have expired. Return whether there were any."""
        return self._grants.drop_ended(timestamp)

    def drop_if(self, is_over: Callable[[Grant], bool]) -> bool:
        """Drop the grants of which a function returns true. Return whether there were any."""
        return self._grants.drop_if(is_over)

    def may_watch(
        self, operation_id: str, timestamp: float, operation: OperationFields | None = None
    ) -> bool:
        """Return whether it may watch and read an operation.

        Args:
            operation_id: Its id.
            timestamp: Now.
            operation: What is known of it; without it a token grants it by its id only.
        """
        if operation is not None:
            return self._has(self._grants.covering(operation), Right.WATCH, timestamp)
        return self._has(self._grants.covering_id(operation_id), Right.WATCH, timestamp)

    def may_cancel(
        self, operation_id: str, timestamp: float, operation: OperationFields | None = None
    ) -> bool:
        """Return whether it may cancel an operation; the arguments are those of :meth:`may_watch`.

        A page that may be one of any website may not, whatever its token grants.
        """
        if self.exact_only or self.untrusted:
            return False
        if self.verifier is None:
            return self._cancels_unverified
        workflow_id = workflow_id_of(operation_id)
        if workflow_id is not None:
            # All its tasks: the task that its caller holds is not enough.
            grants = self._grants.covering_selector(Pattern(PatternKind.WORKFLOW, workflow_id))
            return self._has(grants, Right.CANCEL, timestamp)
        if operation is not None:
            return self._has(self._grants.covering(operation), Right.CANCEL, timestamp)
        return self._has(self._grants.covering_id(operation_id), Right.CANCEL, timestamp)

    def view_of(self, operation: OperationFields, timestamp: float) -> View:
        """Return what it may see of an operation: the widest view that a token of it grants."""
        if self.verifier is None:
            return View.FULL
        grants = self._valid(self._grants.covering(operation), Right.WATCH, timestamp)
        return View.FULL if any(one.view is View.FULL for one in grants) else View.PROGRESS

    def may_select(self, selector: Pattern, timestamp: float) -> bool:
        """Return whether it may watch all operations that a pattern selects."""
        return self._may_use(selector, Right.WATCH, timestamp)

    def may_list(self, timestamp: float, filters: Iterable[Pattern] = ()) -> bool:
        """Return whether it may list the operations that match all filters; all without any."""
        return any(self._may_use(one, Right.LIST, timestamp) for one in (ALL_OPERATIONS, *filters))

    def may_count(self, timestamp: float) -> bool:
        """Return whether it may read the statistics."""
        return not self.untrusted and self._has(self._grants, Right.STATS, timestamp)

    def is_authenticated(self, timestamp: float) -> bool:
        """Return whether it has any rights, so that another token is needed for more."""
        return self.verifier is None or self._has(self._grants, None, timestamp)

    def _may_use(self, selector: Pattern, right: Right, timestamp: float) -> bool:
        grants = self._grants.covering_selector(selector)
        return not self.exact_only and self._has(grants, right, timestamp)

    def _has(self, grants: Iterable[Grant], right: Right | None, timestamp: float) -> bool:
        return self.verifier is None or any(self._valid(grants, right, timestamp))

    def _valid(
        self, grants: Iterable[Grant], right: Right | None, timestamp: float
    ) -> Iterable[Grant]:
        return (
            one
            for one in grants
            if one.expires_at > timestamp and (right is None or right in one.rights)
        )
