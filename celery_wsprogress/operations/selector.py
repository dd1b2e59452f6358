"""Selectors: subscriptions to all operations of a kind, instead of by id. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from celery_wsprogress.errors import CommandError
from celery_wsprogress.protocol.globs import glob_matcher, matches_glob

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery_wsprogress.operations.operation import Operation


class SelectorField(StrEnum):
    """The field of ``subscribe`` that names the selector."""

    EVERYTHING = "operation_id"
    OPERATION_TYPE = "operation_type"
    TAG = "tag"
    GROUP = "group_id"
    ROOT = "root_id"
    STEPS = "steps_of"
    """The tasks of a workflow, by the id that its caller holds."""


# On CPython 3.11 an attribute of an Enum costs ten times what a name costs.
_OPERATION_TYPE: Final = SelectorField.OPERATION_TYPE
_TAG: Final = SelectorField.TAG
_GROUP: Final = SelectorField.GROUP
_ROOT: Final = SelectorField.ROOT
_STEPS: Final = SelectorField.STEPS

FILTERS: Final = (_OPERATION_TYPE, _TAG, _GROUP, _ROOT, _STEPS)
"""The fields that select some operations and not all."""


class Selector(NamedTuple):
    """All operations with a value in a field, present and future ones."""

    by: SelectorField
    value: str
    """A glob for ``operation_type``, the exact text for the others."""

    @property
    def is_glob(self) -> bool:
        """Whether it is compared as a pattern, and not by :func:`exact_selectors`."""
        return self.by is _OPERATION_TYPE

    def matches(self, operation: Operation) -> bool:
        """Return whether it selects an operation, by the events read so far."""
        if self.is_glob:
            return matches_glob(operation.operation_type, self.value)
        return self in exact_selectors(operation)

    def matcher(self) -> Callable[[Operation], bool]:
        """Return :meth:`matches` for very many operations, of which most have a few types."""
        if not self.is_glob:
            return self.matches
        matches_type = glob_matcher(self.value)
        known: dict[str, bool] = {}

        def matches(operation: Operation) -> bool:
            name = operation.operation_type
            found = known.get(name)
            if found is None:
                found = known[name] = matches_type(name)
            return found

        return matches


def exact_selectors(operation: Operation) -> tuple[Selector, ...]:
    """Return all selectors that match an operation, but for globs."""
    return (
        EVERYTHING,
        *[Selector(_TAG, tag) for tag in operation.tags],
        *([Selector(_GROUP, operation.group_id)] if operation.group_id else ()),
        # What the root has called, and the root itself.
        *([Selector(_ROOT, operation.root_id)] if operation.root_id else ()),
        Selector(_ROOT, operation.operation_id),
        *[Selector(_STEPS, one) for one in operation.workflow_ids],
    )


def validate_glob(value: str) -> None:
    """Refuse a pattern that is too long: the time of some grows with the square of their length.

    Raises:
        CommandError: it has more than :data:`MAX_LENGTH` characters.
    """
    if len(value) > MAX_LENGTH:
        raise CommandError("invalid_command", f"a pattern has at most {MAX_LENGTH} characters")


MAX_LENGTH: Final = 200

EVERYTHING: Final = Selector(SelectorField.EVERYTHING, "*")
