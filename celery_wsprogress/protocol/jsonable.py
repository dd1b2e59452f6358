"""Any Python value -> JSON-safe builtins of a bounded size. Nothing here raises.

What tasks report may be anything: a datetime, an ORM object, a structure that contains itself,
an object whose ``__str__`` raises. A bar is never worth a failed task, so every value becomes
*something*, and a value that is too large becomes a visibly marked piece of itself. How such
values are looked at, within bounds, is the affair of :mod:`.bounded_copy`.

Sizes are counted in bytes of JSON, as they travel. With the limits below no event can pass
:data:`MAX_EVENT_BYTES`, which lets every event fit into one batch.

A rendered value is a copy: what the task changes later does not change it.
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
"""Of ``details`` and of ``metadata``, each."""
MAX_RESULT_BYTES: Final = 24_000
MAX_NAME_BYTES: Final = 500
"""Of task names, queues, workers, units and status words."""
MAX_TAGS: Final = 50
MAX_TAG_BYTES: Final = 100
MAX_EVENT_BYTES: Final = 30_000

WITHHELD: Final = "the text of this error is not shown (stream_errors)"
"""What watchers read of an error of which no more than the type may leave its process."""

_PREVIEW_BYTES: Final = 1_000


class Rendered(NamedTuple):
    """A value as it can be sent."""

    value: Any
    truncated: bool


_NOTHING: Final = Rendered(None, truncated=False)


def to_builtins(value: Any) -> Any:
    """The value as ``None``, ``bool``, ``int``, finite ``float``, ``str``, ``list`` and ``dict``.

    NaN and infinities become null. Of a value that is very large the beginning.
    """
    return msgspec.json.decode(encode(value).json)


def to_result(value: Any) -> Rendered:
    """What a task returned. Above the limit it is the beginning of its JSON, marked as such."""
    if value is None:
        return _NOTHING
    encoded = encode(value)
    if encoded.whole and len(encoded.json) <= MAX_RESULT_BYTES:
        return Rendered(msgspec.json.decode(encoded.json), truncated=False)
    more = "" if encoded.whole else "more than "
    mark = f"… [truncated: {more}{_size(encoded):,} bytes]"
    return Rendered(_head(encoded) + mark, truncated=True)


def to_object(value: Any) -> dict[str, Any]:
    """``details`` or ``metadata``: always an object, whatever was passed.

    What renders to something else than an object is its ``value``. Above the limit it is
    replaced by ``{"truncated": true, "bytes": …, "preview": …}``.
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
    """Anything with a ``str``, cut to so many bytes of JSON with a mark at the cut."""
    found = value if type(value) is str else bounded_str(value)
    # In JSON a character takes six bytes at the most (a control character), so most texts
    # need no look at their encoding.
    if len(found) * 6 <= limit and found.isascii():
        return found
    return _cut(found, limit)


def describe_error(exception: Any) -> tuple[str, str]:
    """An exception's text (never empty) and the name of its class.

    What is no exception (Celery hands on a text here and there) is an ``UnknownError``.
    """
    name = type_name(exception)
    return to_text(exception).strip() or name, name


def type_name(exception: Any) -> str:
    """The name of an exception's class; ``UnknownError`` of what is none."""
    known = has_type(exception, BaseException)
    return to_text(class_name(exception), MAX_NAME_BYTES) if known else "UnknownError"


def to_tags(value: Any) -> list[str]:
    """A list of short texts. One text is a list of one; what is no list is none."""
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
    """A level word or one of Python's level numbers as one of the protocol's five words.

    None for what is neither.
    """
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


# Texts.


def _cut(text: str, limit: int) -> str:
    # JSON escapes make the size of a text hard to tell in advance, so it is approached.
    keep, whole = min(len(text), limit), encodable(text[:limit])
    # The quotes do not count.
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
