"""Watching operations by what they are instead of by their id."""

from __future__ import annotations

from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, NamedTuple

from celery_wsprogress.errors import CommandError

if TYPE_CHECKING:
    from celery_wsprogress.operations.operation import Operation


class SelectorField(StrEnum):
    """What a selector looks at; the names are those of the fields of ``subscribe``."""

    EVERYTHING = "operation_id"
    OPERATION_TYPE = "operation_type"
    TAG = "tag"
    GROUP = "group_id"
    ROOT = "root_id"


class Selector(NamedTuple):
    """Every operation of a kind, those that are still to come included."""

    by: SelectorField
    value: str
    """A glob for ``operation_type``; for the others the very text."""

    def matches(self, operation: Operation) -> bool:
        """Whether it selects this operation, as far as it is known."""
        match self.by:
            case SelectorField.EVERYTHING:
                return True
            case SelectorField.OPERATION_TYPE:
                return fnmatchcase(operation.operation_type, self.value)
            case SelectorField.TAG:
                return self.value in operation.tags
            case SelectorField.GROUP:
                return operation.group_id == self.value
            case SelectorField.ROOT:
                return self.value in {operation.root_id, operation.operation_id}


def validate_glob(value: str) -> None:
    """Refuse a pattern that could hold up everyone: some cost the square of their length.

    Raises:
        CommandError: it is too long.
    """
    if len(value) > MAX_LENGTH:
        raise CommandError("invalid_command", f"a pattern has at most {MAX_LENGTH} characters")


MAX_LENGTH: Final = 200

EVERYTHING: Final = Selector(SelectorField.EVERYTHING, "*")
