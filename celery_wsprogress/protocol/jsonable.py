"""Conversion of any Python value to JSON-safe builtins of a bounded size. Nothing here raises.

A task may report anything: a datetime, an ORM object, a structure that contains itself, an object
whose ``__str__`` raises. No value may fail the task, so each is converted to something, and one
that is too large to its beginning, with a mark. :mod:`.bounded_copy` reads unknown values.

Sizes are bytes of JSON. With the limits below no event exceeds :data:`MAX_EVENT_BYTES`, so every
event fits into a batch. The results are copies: later changes of a value do not affect them.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_args

import msgspec

from celery_wsprogress.guard import call_safely, class_name, has_type
from celery_wsprogress.protocol.bounded_copy import bounded_str, encodable
from celery_wsprogress.protocol.bounded_json import Encoded, encode
from celery_wsprogress.protocol.bounded_text import SEQUENCES
from celery_wsprogress.protocol.events import Level

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_MESSAGE_BYTES: Final = 2_000
MAX_DETAILS_BYTES: Final = 8_000
"""Maximum size of ``details``, and of ``metadata``."""
MAX_RESULT_BYTES: Final = 24_000
MAX_NAME_BYTES: Final = 500
"""Maximum size of names of tasks, queues and workers, of units and of statuses."""
MAX_TAGS: Final = 50
MAX_TAG_BYTES: Final = 100
MAX_EVENT_BYTES: Final = 30_000

WITHHELD: Final = "the text of this error is not shown (stream_errors)"
"""The ``error`` of an error of which only the type may leave its process."""

_PREVIEW_BYTES: Final = 1_000


class Rendered(NamedTuple):
    """A converted value."""

    value: Any
    truncated: bool


_NOTHING: Final = Rendered(None, truncated=False)


def to_builtins(value: Any) -> Any:
    """Convert to None, bool, int, finite float, str, list and dict. NaN and infinity become None.

    A value that is too large for :class:`.BoundedCopy` is cut.
    """
    return msgspec.json.decode(encode(value).json)


def to_result(value: Any) -> Rendered:
    """Convert the return value of a task; above the limit to the marked beginning of its JSON."""
    if value is None:
        return _NOTHING
    encoded = encode(value)
    if encoded.whole and len(encoded.json) <= MAX_RESULT_BYTES:
        return Rendered(msgspec.json.decode(encoded.json), truncated=False)
    more = "" if encoded.whole else "more than "
    mark = f"… [truncated: {more}{_size(encoded):,} bytes]"
    return Rendered(_head(encoded) + mark, truncated=True)


def to_object(value: Any) -> dict[str, Any]:
    """Convert ``details`` or ``metadata`` to an object.

    A value that is not an object becomes ``{"value": …}``; one above the limit
    ``{"truncated": true, "bytes": …, "preview": …}``.
    """
    if value is None:
        return {}
    encoded = encode(value)
    if not encoded.whole or len(encoded.json) > MAX_DETAILS_BYTES:
        return {"truncated": True, "bytes": _size(encoded), "preview": _head(encoded) + "…"}
    found = msgspec.json.decode(encoded.json)
    return found if isinstance(found, dict) else {"value": found}


def _size(encoded: Encoded) -> int:
    return len(encoded.json) + encoded.left_out


def _head(encoded: Encoded) -> str:
    return encoded.json[:_PREVIEW_BYTES].decode("utf-8", "ignore")


def to_text(value: Any, limit: int = MAX_MESSAGE_BYTES) -> str:
    """Convert to a text of at most ``limit`` bytes of JSON, with a mark if it is cut."""
    found = value if type(value) is str else bounded_str(value)
    # An ASCII character takes at most six bytes of JSON, so most texts need not be encoded.
    if len(found) * 6 <= limit and found.isascii():
        return found
    return _cut(found, limit)


def describe_error(exception: Any) -> tuple[str, str]:
    """Return an exception's text (never empty) and its :func:`type_name`."""
    name = type_name(exception)
    return to_text(exception).strip() or name, name


def type_name(exception: Any) -> str:
    """Return the name of an exception's class; ``UnknownError`` for any other value."""
    # In some signals Celery passes a text in the place of an exception.
    known = has_type(exception, BaseException)
    return to_text(class_name(exception), MAX_NAME_BYTES) if known else "UnknownError"


def to_tags(value: Any) -> list[str]:
    """Convert to a list of short texts: a text to a list of one, other values to an empty list."""
    if has_type(value, str):
        value = [value]
    kind = next((kind for kind in SEQUENCES if has_type(value, kind)), None)
    if kind is None:
        return []
    some = call_safely(lambda: list(islice(kind.__iter__(value), MAX_TAGS))) or []
    return [found for found in (to_text(tag, MAX_TAG_BYTES) for tag in some) if found]


_LONGEST_LEVEL: Final = 100
_LEVELS: Final[Mapping[str, Level]] = {
    **{level: level for level in get_args(Level)},
    "warn": "warning",
    "fatal": "critical",
    "exception": "error",
}


def to_level(value: Any) -> Level | None:
    """Convert a name or a number of a :mod:`logging` level to a level; None if it is neither."""
    if has_type(value, str):
        return _LEVELS.get(str.__str__(value)[:_LONGEST_LEVEL].strip().lower())
    if type(value) is bool or not has_type(value, (int, float)):
        return None
    number = int.__int__(value) if has_type(value, int) else float.__float__(value)
    levels: tuple[tuple[int, Level], ...] = (
        (50, "critical"),
        (40, "error"),
        (30, "warning"),
        (20, "info"),
    )
    return next((level for least, level in levels if number >= least), "debug")


def _cut(text: str, limit: int) -> str:
    # The size of the JSON depends on the characters (escapes), so the cut is found by trial.
    keep, whole = min(len(text), limit), encodable(text[:limit])
    # Without the two quotes.
    if keep == len(text) and len(msgspec.json.encode(whole)) - 2 <= limit:
        return whole
    mark = f"… [truncated: {len(text):,} characters]"
    while True:
        piece = whole[:keep] + mark
        over = len(msgspec.json.encode(piece)) - 2 - limit
        if over <= 0:
            return piece
        if keep == 0:
            return "…"
        keep = max(0, keep - max(1, over // 6))
