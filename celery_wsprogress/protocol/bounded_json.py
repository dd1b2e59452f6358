"""The JSON of any value that a user passes, of a bounded size.

Nearly all values are small and consist of plain builtins: :func:`encode` checks that and encodes
them as they are. All others are copied within bounds first (:mod:`.bounded_copy`).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from celery_wsprogress.guard import must_propagate
from celery_wsprogress.protocol.bounded_copy import MAX_DEPTH, BoundedCopy

_PLAIN_CHARACTERS: Final = 100_000
_INT64: Final = 2**63
_MANY: Final = 50
"""Items above which a list is checked for being all numbers."""


class Encoded(msgspec.Struct, frozen=True, gc=False):
    """A value as strict JSON."""

    json: bytes
    whole: bool = True
    """Whether it is the whole value; else only the part that was read."""
    left_out: int = 0
    """Lower bound for the size of the rest, in bytes."""


def encode(value: Any) -> Encoded:
    """Return the JSON of any value, of a bounded size and depth. Never raises."""
    encoded = _encode_plain(value)
    if encoded is not None:
        return Encoded(encoded)
    copy = BoundedCopy()
    encoded = msgspec.json.encode(copy.of(value))
    return Encoded(encoded, copy.whole, copy.left_out)


def _encode_plain(value: Any) -> bytes | None:
    """Return the JSON of a small value of plain builtins, as nearly all are; None for others."""
    try:
        if _characters_left(value, _PLAIN_CHARACTERS, MAX_DEPTH) >= 0:
            return _encode(value)
    except Exception as exc:
        # Another thread changed the value, or it holds a lone surrogate, or `==` is overridden.
        if must_propagate(exc):
            raise
    return None


_encode: Final = msgspec.json.Encoder().encode


def _characters_left(value: Any, left: int, depth: int) -> int:  # noqa: C901, PLR0912 - the fast path
    """Return what a value leaves of a number of characters; below 0 if it is not plain.

    Each item counts as two characters at least, so the number of items is bounded, too.
    """
    kind = type(value)
    if kind is dict:
        left -= 2 * len(value)
        for key in value:
            if type(key) is not str:
                return -1
            left -= len(key)
        items = value.values()
    elif kind is list or kind is tuple:
        left -= 2 * len(value)
        items = () if left > 0 and len(value) > _MANY and _are_numbers(value) else value
    else:
        items = (value,)
    if depth == 0 or left < 0:
        return -1
    for item in items:
        kind = type(item)
        if kind is int:
            if not -_INT64 <= item < _INT64:
                return -1
        elif kind is str:
            left -= len(item)
        elif kind is dict or kind is list or kind is tuple:
            left = _characters_left(item, left, depth - 1)
            if left < 0:
                return -1
        elif kind is not float and kind is not bool and item is not None:
            return -1
    return left


def _are_numbers(items: Any) -> bool:
    """Return whether all items are floats, or all are 64 bit integers. Fast for many items."""
    kinds = {*map(type, items)}
    return kinds == {float} or (kinds == {int} and min(items) >= -_INT64 and max(items) < _INT64)
