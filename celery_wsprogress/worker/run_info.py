"""The identity of a run: the operation, the publication and the attempt, read from a request.

The caller adds :data:`HEADER` to every message; the worker's main process adds the run's id to it
when it receives the message. Celery's request takes both to the process that runs the task.
"""

from __future__ import annotations

import random
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import Struct

from celery_wsprogress import fork
from celery_wsprogress.protocol import jsonable
from celery_wsprogress.protocol.events import LATEST, MAX_RUNS_BEFORE

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADER: Final = "wsprogress"
"""The message header. The caller sets ``metadata``, ``tags`` and ``sub``, this package
``publication``, ``after`` (the run that this one retries or replaces), ``follow`` (publish this run
whatever the settings of its task), ``workflow`` (the id of the workflow that it is part of) and,
inside the worker only, ``run``, ``queue`` and ``mirror``. In a signature of a canvas the caller
also sets ``weight``."""

FOLLOW: Final = "follow"
"""A key of :data:`HEADER`."""

WORKFLOW: Final = "workflow"
"""A key of :data:`HEADER`."""

WITHHOLD: Final = "withhold"
"""A key of :data:`HEADER`, inside the worker: no event contains the result."""

WITHHOLD_ERRORS: Final = "withhold_errors"
"""A key of :data:`HEADER`: events contain only the types of errors. A replacement inherits it."""

MIRROR: Final = "mirror"
"""A key of :data:`HEADER`, inside the worker: Celery events of the task are sent."""

_NO_HEADER: Final[Mapping[str, Any]] = {}

_SHORT: Final = jsonable.MAX_NAME_BYTES // 6
"""Characters that always fit: one takes 6 bytes of JSON at most."""


#: Seeded once a process: asking the system for each id costs a system call. Not the shared one of
#: ``random``, which a program may seed with the same number at each start.
_random: Final = random.Random()  # noqa: S311 - an id, and no secret
fork.register(_random.seed)


def new_id() -> str:
    """Return a new id of a run or a publication: 8 hexadecimal digits, unique in its operation."""
    fork.notice()
    return f"{_random.getrandbits(32):08x}"


def read_header(request: Any) -> Mapping[str, Any]:
    """Return our header of a request or of a message's headers; empty where there is none.

    Args:
        request: A dict or Celery's ``Context``. The returned value is part of it: do not change it.
    """
    header = _headers_of(request).get(HEADER)
    return header if isinstance(header, dict) else _NO_HEADER


class RunInfo(Struct, frozen=True, gc=False):
    """One receipt of one message by a worker, or, with an empty ``run``, its publication."""

    operation_id: str
    operation_type: str
    run_id: str = ""
    publication: str = ""
    after: str = ""
    """The ids of the last :data:`.MAX_RUNS_BEFORE` runs before it, where it retries or replaces
    one; newest first, separated by spaces."""
    attempt: int = 1
    """The number of the attempt, from 1."""
    worker: str = ""
    queue: str = ""
    parent_id: str = ""
    root_id: str = ""
    group_id: str = ""
    metadata: dict[str, Any] = {}
    tags: tuple[str, ...] = ()
    sub: str = ""
    """Whose it is, as the caller has said."""
    workflow: str = ""
    """The id of the workflow that its message is part of."""
    starts_at: float | None = None
    """The earliest start, epoch seconds; None for at once."""
    expires_at: float | None = None
    """The time from which it is not started any more, epoch seconds; None for never."""

    @classmethod
    def from_request(cls, request: Any, operation_type: str) -> RunInfo:
        """Read the run from Celery's request; a missing run id is created.

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
        """Read the publication from the headers of a message that no worker has received yet."""
        return cls._read(headers, operation_type, "", queue)

    @classmethod
    def unstarted(
        cls, operation_id: str, operation_type: str, header: Mapping[str, Any]
    ) -> RunInfo:
        """Return a run that never starts, because a task before it failed."""
        after = _name(header.get("after"))
        return cls(operation_id, _name(operation_type), new_id(), after=after)

    @property
    def after_this(self) -> str:
        """What a run that retries or replaces this one gets as :attr:`after`."""
        return " ".join([self.run_id, *self.after.split()[: MAX_RUNS_BEFORE - 1]])

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
            _name(header.get("sub")),
            _name(header.get(WORKFLOW)),
            time_of(eta) if (eta := headers.get("eta")) else None,
            time_of(expires) if (expires := headers.get("expires")) else None,
        )


class NextAttempt(NamedTuple):
    """What is known of the attempt that follows a run."""

    retry_in: float | None = None
    """Seconds until then."""
    starts_at: float | None = None
    """The earliest start, epoch seconds."""
    max_attempts: int | None = None
    """Maximum number of attempts; None if unlimited, too."""


UNKNOWN_ATTEMPT: Final = NextAttempt()


def _headers_of(request: Any) -> Mapping[str, Any]:
    # Not `get`: a Context looks up a missing attribute in all its classes.
    return request if isinstance(request, dict) else vars(request)


def time_of(header: Any) -> float | None:
    """Return ``eta`` or ``expires`` of a message in epoch seconds, as Celery's worker reads it.

    None if it is none: the worker discards such a message, and logs it.

    Args:
        header: A text in ISO 8601 or a ``datetime``; UTC if it has no zone.
    """
    # Imported here: standalone operations do not need Celery.
    from celery.utils.time import maybe_iso8601  # noqa: PLC0415

    try:
        at = maybe_iso8601(header)
        at = at if at is None or at.tzinfo else at.replace(tzinfo=UTC)
        return None if at is None else min(max(0.0, at.timestamp()), LATEST)
    except (AttributeError, OverflowError, TypeError, ValueError):
        return None


def _name(value: Any) -> str:
    # The fast path of nearly every name.
    if type(value) is str and len(value) <= _SHORT and value.isascii():
        return value
    return jsonable.to_text(value, jsonable.MAX_NAME_BYTES) if value else ""
