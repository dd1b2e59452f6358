"""Selectors: subscriptions to all operations of a kind, instead of by id. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from celery_wsprogress.errors import CommandError
from celery_wsprogress.protocol.globs import matches_glob

if TYPE_CHECKING:
    from celery_wsprogress.operations.operation import Operation


class SelectorField(StrEnum):
    """The field of ``subscribe`` that names the selector."""

    EVERYTHING = "operation_id"
    OPERATION_TYPE = "operation_type"
    TAG = "tag"
    GROUP = "group_id"
    ROOT = "root_id"


FILTERS: Final = (
    SelectorField.OPERATION_TYPE, SelectorField.TAG, SelectorField.GROUP, SelectorField.ROOT,
)  # fmt: skip
"""The fields that select some operations and not all."""


class Selector(NamedTuple):
    """All operations with a value in a field, present and future ones."""

    by: SelectorField
    value: str
    """A glob for ``operation_type``, the exact text for the others."""

    def matches(self, operation: Operation) -> bool:
        """Return whether it selects an operation, by the events read so far."""
        match self.by:
            case SelectorField.EVERYTHING:
                return True
            case SelectorField.OPERATION_TYPE:
                return matches_glob(operation.operation_type, self.value)
            case SelectorField.TAG:
                return self.value in operation.tags
            case SelectorField.GROUP:
                return operation.group_id == self.value
        # `SelectorField.ROOT`: what the root has called, and the root itself.
        return self.value in {operation.root_id, operation.operation_id}


def validate_glob(value: str) -> None:
    """Refuse a pattern that is too long: the time of some grows with the square of their length.

    Raises:
        CommandError: it has more than :data:`MAX_LENGTH` characters.
    """
    if len(value) > MAX_LENGTH:
        raise CommandError("invalid_command", f"a pattern has at most {MAX_LENGTH} characters")


MAX_LENGTH: Final = 200

EVERYTHING: Final = Selector(SelectorField.EVERYTHING, "*")
