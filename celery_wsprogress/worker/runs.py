"""Whose event it is: the run of an operation, read from Celery's request of it.

The caller stamps every message it publishes with a header of ours, :data:`STAMP`; the worker's
main process adds the run's id to it when it receives the message. Both travel to the process
that runs the task inside Celery's request.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from celery_wsprogress import rendering

STAMP: Final = "wsprogress"
"""The message header. ``metadata`` and ``tags`` in it are the caller's, the rest is ours:
``publication``, ``after`` (the run of which this is a retry), ``follow`` (publish this run
whatever the settings say about its task) and, inside the worker only, ``run``."""


def mint() -> str:
    """A new id of a run or a publication: unique among those of one operation."""
    return secrets.token_hex(4)


def stamp_of(request: Any) -> dict[str, Any]:
    """The header of a request or of a message's headers; empty where there is none.

    Args:
        request: A mapping or Celery's ``Context``: whatever has ``get``.
    """
    stamp = request.get(STAMP)
    return dict(stamp) if isinstance(stamp, Mapping) else {}


@dataclass(frozen=True, slots=True)
class Run:
    """One receipt of one message by a worker, or, with an empty ``run``, its publication."""

    operation_id: str
    operation_type: str
    run: str = ""
    publication: str = ""
    after: str = ""
    """The run that asked for this one, where it is a retry."""
    attempt: int = 1
    """Which try this is, counted from 1."""
    worker: str = ""
    queue: str = ""
    parent_id: str = ""
    root_id: str = ""
    group_id: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()

    @classmethod
    def of(cls, request: Any, operation_type: str) -> Run:
        """Read the run from Celery's request, minting its id where nobody has.

        Args:
            request: As for :func:`stamp_of`.
            operation_type: The task's name.
        """
        return cls._read(request, operation_type, _name(stamp_of(request).get("run")) or mint())

    @classmethod
    def published(cls, headers: Mapping[str, Any], operation_type: str, queue: str) -> Run:
        """Read the publication from a message's headers. No worker has it yet."""
        return cls._read(headers, operation_type, "", queue)

    @classmethod
    def _read(cls, request: Any, operation_type: str, run: str, queue: str = "") -> Run:
        stamp = stamp_of(request)
        delivery = request.get("delivery_info") or {}
        operation_id = str(request.get("id") or "")
        parent_id = _name(request.get("parent_id"))
        return cls(
            operation_id=operation_id,
            operation_type=_name(operation_type),
            run=run,
            publication=_name(stamp.get("publication")),
            after=_name(stamp.get("after")),
            attempt=_attempt(request.get("retries")),
            worker=_name(request.get("hostname")),
            queue=_name(queue or delivery.get("routing_key")),
            # A retry is published by the task itself, and Celery calls it its parent.
            parent_id="" if parent_id == operation_id else parent_id,
            root_id=_name(request.get("root_id")),
            group_id=_name(request.get("group")),
            metadata=rendering.mapping(stamp.get("metadata")),
            tags=tuple(rendering.tags(stamp.get("tags"))),
        )


def _name(value: Any) -> str:
    return rendering.text(value, rendering.MAX_NAME_BYTES) if value else ""


def _attempt(retries: Any) -> int:
    return retries + 1 if isinstance(retries, int) else 1
