"""The values of events that an operation keeps: their bounds, and their size in memory.

Our own writers send small values (:mod:`celery_wsprogress.protocol.jsonable`). Those of a foreign
writer may be of any size: an operation keeps them cut, with a mark.

Sizes are bytes of memory on CPython 3.11, with 64 bits.

Pure.
"""

from __future__ import annotations

from sys import getsizeof, intern
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from msgspec import UNSET, structs

from celery_wsprogress.protocol.events import ProgressData, StatusData
from celery_wsprogress.protocol.jsonable import (
    MAX_DETAILS_BYTES,
    MAX_EVENT_BYTES,
    MAX_MESSAGE_BYTES,
    MAX_TAG_BYTES,
    MAX_TAGS,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from msgspec import UnsetType

D = TypeVar("D", ProgressData, StatusData)

MAX_TEXT_LENGTH: Final = MAX_EVENT_BYTES
"""Maximum number of characters of a message."""

MAX_TEXTS_BYTES: Final = 60_000
"""Size of all other texts of an operation above which they are cut."""

MAX_NAME_LENGTH: Final = MAX_MESSAGE_BYTES
"""Maximum number of characters of such a text then."""

MAX_VALUE_BYTES: Final = 500_000
"""Maximum size of ``details``: 8,000 bytes of JSON are no more, whatever they consist of. Nested
objects without a name take most, 46 bytes for each."""

MAX_METADATA_BYTES: Final = MAX_DETAILS_BYTES
"""Maximum size of ``metadata``, in bytes of JSON: this bounds the number of names, too."""

STRUCT_BYTES: Final = 330
"""The data of a progress or a status, with its numbers, without texts and details."""

SHORT_LENGTH: Final = 100
"""Characters of a short message."""

SHORT_BYTES: Final = STRUCT_BYTES + 100
"""The data of a progress with a short message and without details."""

_CUT: Final = "… [cut]"
_TEXTS: Final = (
    "operation_type", "status", "own_status", "worker", "queue", "parent_id", "root_id", "group_id",
    "error", "error_type",
)  # fmt: skip
_SMALL_INTS: Final = range(-5, 257)
"""The numbers of which CPython has one object each."""

_encode: Final = msgspec.json.Encoder().encode


def size_of(value: Any) -> int:
    """Return the bytes that a decoded JSON value takes."""
    size, parents = _size_of_one(value), [value]
    while parents:
        parent = parents.pop()
        if type(parent) is dict:
            size += sum(map(getsizeof, parent))
            items: Iterable[Any] = parent.values()
        else:
            items = parent if type(parent) is list else ()
        for item in items:
            size += _size_of_one(item)
            if type(item) is dict or type(item) is list:
                parents.append(item)
    return size


def _size_of_one(value: Any) -> int:
    """Return the bytes of a value without its items; 0 for what exists once in the process."""
    if value is None or type(value) is bool or (type(value) is int and value in _SMALL_INTS):
        return 0
    return getsizeof(value)


def bounded_texts_size(operation: Any) -> int:
    """Return the bytes of the texts and tags of an operation, which are cut if they are too large.

    They are cut to what our own writers send.
    """
    size = _size_of_texts(operation)
    if size > MAX_TEXTS_BYTES:
        _cut_texts(operation)
        size = _size_of_texts(operation)
    return size


def _size_of_texts(operation: Any) -> int:
    texts = (
        operation.operation_id,
        operation.operation_type,
        operation.status,
        operation.worker,
        operation.queue,
        operation.parent_id,
        operation.root_id,
        operation.group_id,
        operation.error,
        operation.error_type,
    )
    size = sum([getsizeof(text) for text in texts if text])
    return size + size_of(operation.tags) if operation.tags else size


def _cut_texts(operation: Any) -> None:
    for name in _TEXTS:
        text = getattr(operation, name)
        if text is not None and len(text) > MAX_NAME_LENGTH:
            setattr(operation, name, text[:MAX_NAME_LENGTH] + _CUT)
    operation.tags = [tag[:MAX_TAG_BYTES] for tag in operation.tags[:MAX_TAGS]]


def to_held_data(data: D) -> tuple[D, int]:
    """Return the data of a progress or a status, cut if it is too large, and its size."""
    message, details = data.message, data.details
    if len(message) > MAX_TEXT_LENGTH:
        message = message[:MAX_TEXT_LENGTH] + _CUT
        data = structs.replace(data, message=message)
    size = STRUCT_BYTES + getsizeof(message)
    if details:
        more = size_of(details)
        if more > MAX_VALUE_BYTES:
            data, more = structs.replace(data, details={"truncated": True}), 0
        size += more
    return data, size


def shared_text(value: str | UnsetType) -> str | None:
    """Return the one text of this value that all operations share; None if it is unset.

    The names of a task, a worker and a queue and the id of a group stand in thousands of them.
    """
    return None if value is UNSET else intern(value)


def merge_metadata(
    older: Mapping[str, Any], newer: Mapping[str, Any], *, prefer_older: bool
) -> Mapping[str, Any]:
    """Return the metadata of two events in one object.

    If that is larger than :data:`MAX_METADATA_BYTES`, only those that are preferred stay: a worker
    sends all that a task has set with each change of it.
    """
    first, last = (newer, older) if prefer_older else (older, newer)
    for found in ({**first, **last}, last):
        if len(_encode(found)) <= MAX_METADATA_BYTES:
            return found
    return {"truncated": True}
