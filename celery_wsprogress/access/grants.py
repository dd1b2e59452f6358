"""The rights that a token gives: on which operations, for what, in which view, and how long.

A grant names operations by :class:`Pattern`, either by id or by a field that an operation has. It
covers an operation by what is known of it, and a selector if it covers all that this can select.

Pure.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from celery_wsprogress.protocol.globs import matches_glob
from celery_wsprogress.protocol.workflow_ids import workflow_id_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EVERYTHING: Final = "*"


class View(StrEnum):
    """What is shown of an operation that may be watched."""

    PROGRESS = "progress"
    """How far it is and how it stands; no details, log lines, results, metadata, error texts."""
    FULL = "full"
    """Everything."""


class Right(StrEnum):
    """What a token lets its holder do with the operations that it names."""

    WATCH = "watch"
    """Subscribe, and read snapshots and histories."""
    LIST = "list"
    """List operations."""
    CANCEL = "cancel"
    """Cancel operations."""
    STATS = "stats"
    """Read the statistics of the sidecar."""


DEFAULT_RIGHTS: Final = frozenset({Right.WATCH, Right.LIST, Right.STATS})


class PatternKind(StrEnum):
    """The part of an operation that a pattern names."""

    ID = "id"
    TYPE = "type"
    TAG = "tag"
    GROUP = "group"
    ROOT = "root"
    WORKFLOW = "workflow"
    """A workflow, by the id that its caller holds, and its tasks."""
    SUB = "sub"
    """What its caller has said to be of this person."""


class Pattern(NamedTuple):
    """All operations with a value in a field."""

    kind: PatternKind
    value: str
    """A glob for the type, the exact text for the others; for the id ``*`` is everything."""


ALL_OPERATIONS: Final = Pattern(PatternKind.ID, EVERYTHING)

MAX_GLOB_LENGTH: Final = 200
"""Maximum characters of a glob: the time of some grows with the square of their length."""


def parse_pattern(text: str) -> Pattern:
    """Return the pattern that one text of the claim ``ops`` stands for: an id or ``kind:value``.

    Raises:
        ValueError: it is empty, or a pattern that is not known or too long.
    """
    kind, colon, value = text.partition(":")
    if not colon or kind not in tuple(PatternKind):
        # Celery's ids may be any text, with colons as well.
        kind, value = PatternKind.ID, text
    if not value:
        raise ValueError(text)
    if kind == PatternKind.TYPE and len(value) > MAX_GLOB_LENGTH:
        raise ValueError(text)
    return Pattern(PatternKind(kind), value)


class OperationFields(Protocol):
    """The fields of an operation that patterns name."""

    @property
    def operation_id(self) -> str: ...  # noqa: D102 - as they are called everywhere
    @property
    def operation_type(self) -> str: ...  # noqa: D102
    @property
    def tags(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def group_id(self) -> str | None: ...  # noqa: D102
    @property
    def root_id(self) -> str | None: ...  # noqa: D102
    @property
    def workflow_ids(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def sub(self) -> str | None: ...  # noqa: D102


def exact_patterns_of(operation: OperationFields) -> Iterator[Pattern]:
    """Yield every pattern that covers an operation, but the globs of its type."""
    yield ALL_OPERATIONS
    yield from patterns_of_id(operation.operation_id)
    if operation.group_id is not None:
        yield Pattern(PatternKind.GROUP, operation.group_id)
    # The root itself, and what it has called; as the selector `root_id`.
    yield Pattern(PatternKind.ROOT, operation.operation_id)
    if operation.root_id is not None:
        yield Pattern(PatternKind.ROOT, operation.root_id)
    for tag in operation.tags:
        yield Pattern(PatternKind.TAG, tag)
    for workflow_id in operation.workflow_ids:
        yield Pattern(PatternKind.WORKFLOW, workflow_id)
    if operation.sub is not None:
        yield Pattern(PatternKind.SUB, operation.sub)


def patterns_of_id(operation_id: str) -> Iterator[Pattern]:
    """Yield every pattern that covers an operation by its id alone."""
    yield Pattern(PatternKind.ID, operation_id)
    workflow_id = workflow_id_of(operation_id)
    if workflow_id is not None:
        # Whoever may watch what the caller holds may watch how far it is.
        yield Pattern(PatternKind.ID, workflow_id)
        yield Pattern(PatternKind.WORKFLOW, workflow_id)


def glob_covers(granted: str, asked: str) -> bool:
    """Return whether every text that matches the glob ``asked`` matches ``granted`` as well.

    It may return False for a pair of complicated globs where that is so.
    """
    if granted == asked:
        return True
    if not re.search(r"[*?\[]", asked):
        return matches_glob(asked, granted)
    # With `*` alone in `granted`, each literal part of it stands in `asked`, and stands for itself
    # there if `asked` has no brackets.
    return not re.search(r"[?\[]", granted) and "[" not in asked and matches_glob(asked, granted)


class Grant(NamedTuple):
    """The rights that one token gives, until ``expires_at`` (epoch seconds)."""

    patterns: frozenset[Pattern]
    expires_at: float
    rights: frozenset[Right] = DEFAULT_RIGHTS
    view: View = View.FULL
    subject: str | None = None
    """Claim ``sub``: who holds the token."""
    token_id: str | None = None
    """Claim ``jti``."""

    @property
    def size(self) -> int:
        """Bytes of memory, approximately."""
        return _GRANT_BYTES + sum(_PATTERN_BYTES + len(one.value) for one in self.patterns)


_GRANT_BYTES: Final = 750
_PATTERN_BYTES: Final = 500
"""A pattern and its places in the grant and in :class:`.HeldGrants`."""
