"""What a client is shown of an operation that it may watch.

A token's ``view`` may be ``progress``: how far the operation is and how it stands, but no details,
log lines, streams, results, metadata and error texts. And who may watch by exact id only is told no
ids of other operations, since whoever knows an id may watch it.

What is shown is listed, so that a field which is added later is hidden until it is listed, too.

Pure.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from celery_wsprogress.access.grants import View
from celery_wsprogress.protocol.events import RETRYING
from celery_wsprogress.protocol.frames import payload_of, text_frame
from celery_wsprogress.protocol.messages import encode_frame

if TYPE_CHECKING:
    from celery_wsprogress.access.permissions import Permit
    from celery_wsprogress.hub.operation_record import OperationRecord
    from celery_wsprogress.operations.operation import Operation

MAX_REMEMBERED_EVENTS: Final = 500
"""Events whose shown form is kept for the next client."""

MAX_REMEMBERED_BYTES: Final = 4_000
"""Size above which that of an event is not kept: so all take some 4 MB at the most."""

_RELATIONS: Final = frozenset({"parent_id", "root_id", "group_id"})
_WORKFLOWS: Final = frozenset({"workflow", "workflow_ids"})
"""The fields of a snapshot that only a step of a workflow has."""

_SHOWN_DATA: Final = {
    "status": frozenset(
        {"status", "message", "operation_type", "tags", "attempt", "worker", "queue", "retry_in"}
        | {"starts_at", "expires_at", "max_attempts", *_RELATIONS}
    ),
    "progress": frozenset(
        {"progress", "message", "current", "total", "unit", "rate", "eta", "indeterminate"}
    ),
    "completed": frozenset({"status", "duration", "attempt", "ignored"}),
    "error": frozenset({"error_type", "status", "duration", "attempt"}),
}
"""The fields of ``data`` that the view ``progress`` shows, by type; other events are not sent."""

_SHOWN_FIELDS: Final = frozenset(
    {"operation_id", "operation_type", "started_at", "status", "state", "message", "progress"}
    | {"current", "total", "unit", "rate", "eta", "indeterminate", "queued_at", "received_at"}
    | {"finished_at", "duration", "attempt", "worker", "queue", "tags", "error_type", "ignored"}
    | {"starts_at", "expires_at", "max_attempts", "run", "event_count", "last_event_id"}
    | _RELATIONS
    | _WORKFLOWS
)
"""The fields of a snapshot that the view ``progress`` shows."""

_EMPTY: Final[dict[str, Any]] = {"metadata": {}, "details": {}}
"""What is shown in the place of objects that are not; of other values it is null."""

_decode: Final = msgspec.json.Decoder().decode


class Disclosure(NamedTuple):
    """What is left out."""

    only_progress: bool
    """Whether the view is ``progress``."""
    hides_relations: bool
    """Whether the ids of other operations are left out."""

    def of_snapshot(self, record: OperationRecord) -> dict[str, Any]:
        """Return what is shown of the snapshot of an operation."""
        snapshot = record.snapshot()
        if self.only_progress:
            snapshot = {
                name: value if name in _SHOWN_FIELDS else _EMPTY.get(name)
                for name, value in snapshot.items()
            }
            # As where a task says the types of its errors only.
            snapshot["error"] = snapshot["error_type"]
            if record.operation.tells_retry_reason:
                snapshot["message"] = ""
        if self.hides_relations:
            known = {name: one for name, one in snapshot.items() if name not in _WORKFLOWS}
            snapshot = known | dict.fromkeys(_RELATIONS)
        return snapshot

    def of_frame(self, frame: bytes) -> bytes:
        """Return what is shown of the frame of an event; nothing if it is not sent."""
        text = self.of_event(payload_of(frame))
        return text_frame(text) if text else b""

    def of_event(self, text: bytes) -> bytes:
        """Return what is shown of the JSON of an event; nothing if it is not shown."""
        show = _remembered if len(text) <= MAX_REMEMBERED_BYTES else _shown_event
        return show(text, self)


def disclosure_to(permit: Permit, operation: Operation, timestamp: float) -> Disclosure | None:
    """Return what a client is shown of an operation; None if that is everything.

    Args:
        permit: The rights of the client.
        operation: The operation.
        timestamp: Epoch seconds now.
    """
    if not permit.may_hide:
        return None
    view = permit.view_of(operation, timestamp)
    only_progress, exact_only = view is not View.FULL, permit.exact_only
    return Disclosure(only_progress, exact_only) if only_progress or exact_only else None


def is_hidden(permit: Permit, operation: Operation, timestamp: float) -> bool:
    """Return whether a client that could watch an operation may not any more.

    It is asked before each write, so it looks at the rights only where they can have changed. When
    tokens end, their sessions end (:mod:`celery_wsprogress.sidecar.access`).
    """
    if not operation.rights_vary:
        return False
    return not permit.may_watch(operation.operation_id, timestamp, operation)


def shown_snapshot(record: OperationRecord, permit: Permit, timestamp: float) -> dict[str, Any]:
    """Return what a client is shown of an operation."""
    shown = disclosure_to(permit, record.operation, timestamp)
    return record.snapshot() if shown is None else shown.of_snapshot(record)


def _shown_event(text: bytes, disclosure: Disclosure) -> bytes:
    event = _decode(text)
    data = event["data"]
    if disclosure.only_progress:
        shown = _SHOWN_DATA.get(event["event_type"])
        if shown is None:
            return b""
        hidden = data
        data = {name: value for name, value in data.items() if name in shown}
        # The fields that every client expects stay.
        data |= {name: {} for name in ("details", "metadata") if name in hidden}
        if "error" in hidden:
            data["error"] = hidden["error_type"]
        if hidden.get("status") == RETRYING:
            data["message"] = ""
    if disclosure.hides_relations:
        data = {name: value for name, value in data.items() if name not in _RELATIONS}
    return encode_frame({**event, "data": data})


_remembered: Final = lru_cache(maxsize=MAX_REMEMBERED_EVENTS)(_shown_event)
