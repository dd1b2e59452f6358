"""Whose event it is: the run of an operation, read from Celery's request of it.

The caller stamps every message it publishes with a header of ours, :data:`HEADER`; the worker's
main process adds the run's id to it when it receives the message. Both travel to the process
that runs the task inside Celery's request.
"""

from __future__ import annotations

import random
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from celery_wsprogress import fork
from celery_wsprogress.protocol import jsonable
from celery_wsprogress.protocol.events import LATEST

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADER: Final = "wsprogress"
"""The message header. ``metadata`` and ``tags`` in it are the caller's, the rest is ours:
``publication``, ``after`` (the run that this one retries or replaces), ``follow`` (publish this run
whatever the settings say about its task) and, inside the worker only, ``run`` and ``queue``."""

WITHHOLD: Final = "withhold"
"""Set in :data:`HEADER` inside the worker: the result does not leave with the events, whatever the
settings of the task say."""

WITHHOLD_ERRORS: Final = "withhold_errors"
"""The same, of what its errors say beside their type. A task that takes the place of another one
has it from that one."""

_NO_HEADER: Final[Mapping[str, Any]] = {}

_SHORT: Final = jsonable.MAX_NAME_BYTES // 6
"""Characters of which none can make a name too long as JSON."""


#: Seeded by the system once a process: to ask it for each id costs a task a system call. Our own,
#: because a program may seed the one that all share with the same number at each start.
_random: Final = random.Random()  # noqa: S311 - an id, and no secret
fork.register(_random.seed)


def new_id() -> str:
    """A new id of a run or a publication: unique among those of one operation."""
    fork.notice()
    return f"{_random.getrandbits(32):08x}"


def read_header(request: Any) -> Mapping[str, Any]:
    """The header of a request or of a message's headers; empty where there is none. Not ours.

    Args:
        request: A dict or Celery's ``Context``.
    """
    header = _headers_of(request).get(HEADER)
    return header if isinstance(header, dict) else _NO_HEADER


class RunInfo(Struct, frozen=True, gc=False):
    """One receipt of one message by a worker, or, with an empty ``run``, its publication."""

    operation_id: str
    operation_type: str
    run_id: str = ""
    publication: str = ""
    retry_of: str = ""
    """The run that asked for this one, where it is a retry or a replacement."""
    attempt: int = 1
    """Which try this is, counted from 1."""
    worker: str = ""
    queue: str = ""
    parent_id: str = ""
    root_id: str = ""
    group_id: str = ""
    metadata: dict[str, Any] = {}
    tags: tuple[str, ...] = ()
    starts_at: float | None = None
    """When it may start at the earliest, epoch seconds; None where it need not wait."""

    @classmethod
    def from_request(cls, request: Any, operation_type: str) -> RunInfo:
        """Read the run from Celery's request, minting its id where nobody has.

        Args:
            request: A dict or Celery's ``Context``.
            operation_type: The task's name.
        """
        headers = _headers_of(request)
        run_id = _name(read_header(headers).get("run")) or new_id()
        return cls._read(headers, operation_type, run_id)

    @classmethod
    def from_publish_headers(
        cls, headers: Mapping[str, Any], operation_type: str, queue: str
    ) -> RunInfo:
        """Read the publication from a message's headers. No worker has it yet."""
        return cls._read(headers, operation_type, "", queue)

    @classmethod
    def unstarted(
        cls, operation_id: str, operation_type: str, header: Mapping[str, Any]
    ) -> RunInfo:
        """A run that there will never be, because of what it was to follow."""
        retry_of = _name(header.get("after"))
        return cls(operation_id, _name(operation_type), new_id(), retry_of=retry_of)

    @classmethod
    def _read(
        cls, headers: Mapping[str, Any], operation_type: str, run_id: str, queue: str = ""
    ) -> RunInfo:
        header = read_header(headers)
        delivery = headers.get("delivery_info") or {}
        operation_id = str(headers.get("id") or "")
        parent_id = _name(headers.get("parent_id"))
        retries = headers.get("retries")
        return cls(
            operation_id,
            _name(operation_type),
            run_id,
            _name(header.get("publication")),
            _name(header.get("after")),
            retries + 1 if isinstance(retries, int) else 1,
            _name(headers.get("hostname")),
            _name(queue or header.get("queue", delivery.get("routing_key"))),
            # A retry is published by the task itself, and Celery calls it its parent.
            "" if parent_id == operation_id else parent_id,
            _name(headers.get("root_id")),
            _name(headers.get("group")),
            jsonable.to_object(header["metadata"]) if "metadata" in header else {},
            tuple(jsonable.to_tags(header["tags"])) if "tags" in header else (),
            _time_of(eta) if (eta := headers.get("eta")) else None,
        )


def _headers_of(request: Any) -> Mapping[str, Any]:
    # A context that is asked for what it has not looks through all its classes.
    return request if isinstance(request, dict) else vars(request)


def _time_of(eta: Any) -> float | None:
    """The time that a message names, as Celery's worker reads it: without a zone it is UTC."""
    # A script with operations of its own needs nothing of Celery.
    from celery.utils.time import maybe_iso8601  # noqa: PLC0415

    try:
        at = maybe_iso8601(eta)
        at = at if at is None or at.tzinfo else at.replace(tzinfo=UTC)
        return None if at is None else min(max(0.0, at.timestamp()), LATEST)
    except (AttributeError, OverflowError, TypeError, ValueError):
        # The worker throws such a message away, and says so.
        return None


def _name(value: Any) -> str:
    # Nearly every one is short and plain.
    if type(value) is str and len(value) <= _SHORT and value.isascii():
        return value
    return jsonable.to_text(value, jsonable.MAX_NAME_BYTES) if value else ""
