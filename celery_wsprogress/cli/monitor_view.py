"""Which operations ``monitor`` shows in a terminal, and in which order. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from celery_wsprogress.cli.operation_table import moment_of, state_of
from celery_wsprogress.protocol.workflow_ids import workflow_operation_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Operation = Mapping[str, Any]


class Sort(StrEnum):
    """What comes first."""

    STATE = "state"
    """What runs, then what waits, then what has ended; the newest of each first."""
    NEWEST = "newest"
    DONE = "done"
    """What is nearest to its end."""
    TYPE = "type"


class Show(StrEnum):
    """Which states are shown."""

    ALL = "all"
    ACTIVE = "active"
    """What has not ended."""
    ENDED = "ended"
    FAILED = "failed"
    """What ended in an error, or was cancelled."""


_ENDED: Final = frozenset({"completed", "error", "cancelled"})
_FAILED: Final = frozenset({"error", "cancelled"})
_RUNNING: Final = frozenset({"running", "retrying"})
_SEARCHED: Final = ("operation_id", "operation_type", "message", "error", "worker", "queue")

_SHOWN: Final[Mapping[Show, Callable[[str], bool]]] = {
    Show.ALL: lambda _: True,
    Show.ACTIVE: lambda state: state not in _ENDED,
    Show.ENDED: lambda state: state in _ENDED,
    Show.FAILED: lambda state: state in _FAILED,
}


class Row(NamedTuple):
    """A line of the table."""

    operation: Operation
    is_step: bool = False
    """Whether it stands below its workflow."""


@dataclass
class MonitorView:
    """Filters, order and folding, as a person has chosen them."""

    sort: Sort = Sort.STATE
    show: Show = Show.ALL
    operation_type: str = ""
    """A glob, or a part of a name."""
    tag: str = ""
    text: str = ""
    """Words that all occur in the id, type, message, error, worker, queue or tags."""
    folded: bool = True
    """Whether the steps of workflows are hidden."""

    def rows(self, operations: Iterable[Operation]) -> list[Row]:
        """Return the lines, in their order."""
        found = sorted(filter(self._matches, operations), key=_ORDERS[self.sort])
        ids = {one["operation_id"] for one in found}
        steps: dict[str, list[Row]] = {}
        rows: list[Row] = []
        for one in found:
            workflow = _workflow_of(one)
            if workflow in ids:
                steps.setdefault(workflow, []).append(Row(one, is_step=True))
            else:
                rows.append(Row(one))
        if self.folded:
            return rows
        return [
            line for row in rows for line in (row, *steps.get(row.operation["operation_id"], ()))
        ]

    def _matches(self, operation: Operation) -> bool:
        tags = [str(one) for one in operation.get("tags") or ()]
        return (
            _SHOWN[self.show](state_of(operation))
            and _is_of_type(str(operation.get("operation_type") or ""), self.operation_type)
            and (not self.tag or any(self.tag in one for one in tags))
            and _has_words(operation, tags, self.text.lower().split())
        )


def next_of(current: StrEnum) -> Any:
    """Return the choice after this one; after the last the first."""
    choices = list(type(current))
    return choices[(choices.index(current) + 1) % len(choices)]


def _is_of_type(name: str, wanted: str) -> bool:
    return fnmatchcase(name, wanted) if "*" in wanted else wanted in name


def _has_words(operation: Operation, tags: Sequence[str], words: Sequence[str]) -> bool:
    if not words:
        return True
    parts = [*(str(operation.get(name) or "") for name in _SEARCHED), *tags]
    text = "\n".join(parts).lower()
    return all(word in text for word in words)


def _workflow_of(operation: Operation) -> str:
    """Return the id of the workflow whose step it is; empty if it is none."""
    found = operation.get("workflow_ids") or ()
    return workflow_operation_id(str(found[0])) if found else ""


def _by_state(operation: Operation) -> tuple[int, float]:
    state = state_of(operation)
    rank = 0 if state in _RUNNING else 2 if state in _ENDED else 1
    return rank, -moment_of(operation)


_ORDERS: Final[Mapping[Sort, Callable[[Operation], Any]]] = {
    Sort.STATE: _by_state,
    Sort.NEWEST: lambda one: -moment_of(one),
    Sort.DONE: lambda one: (state_of(one) in _ENDED, -float(one.get("progress") or 0.0)),
    Sort.TYPE: lambda one: (str(one.get("operation_type") or ""), _by_state(one)),
}
