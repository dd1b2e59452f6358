"""A bounded copy of any value that a user passes, made of plain builtins. Nothing here raises.

A value may contain a part many times (a few dictionaries can be 2^30 when written out), contain
itself, be endless, be computed while it is read, or have methods that raise or sleep. So no value
is passed unchecked to an encoder, ``str`` or ``repr``, and nothing is walked without a bound on
values, characters, depth and, if code of the user runs, seconds. Builtins are read with their own
methods, whatever a subclass overrides.

A call of a user's method cannot be interrupted. After :data:`MAX_SECONDS` in such calls a copy
makes no more of them. Runs in: the thread of the task.
"""

from __future__ import annotations

import base64
from collections import UserList
from collections.abc import Iterable, Iterator, Mapping, MappingView
from collections.abc import Set as AbstractSet
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from enum import Enum
from itertools import islice
from math import isfinite
from operator import getitem
from time import monotonic
from typing import Any, Final
from uuid import UUID

import msgspec

from celery_wsprogress.guard import (
    call_safely,
    class_name,
    has_type,
    placeholder,
    safe_isinstance,
)
from celery_wsprogress.protocol import bounded_text
from celery_wsprogress.protocol.bounded_text import (
    BYTES,
    SEQUENCES,
    fields_of,
    is_lazy,
    whole_number,
)

MAX_DEPTH: Final = 40
"""Levels of lists and objects: a recursive parser fails on much deeper JSON."""
MAX_NODES: Final = 20_000
MAX_CHARACTERS: Final = 4_000_000
MAX_SECONDS: Final = 0.25

_TEXT_NODES: Final = 500
_TEXT_CHARACTERS: Final = 20_000
_ISO_TYPES: Final = (datetime, date, time_of_day, timedelta, UUID)
"""Types that msgspec encodes as a text of a bounded length."""


def bounded_str(value: Any) -> str:
    """Return the text of a value, as ``str`` would, within bounds.

    It runs at most one method of the user's, and never raises.
    """
    return bounded_text.str_of(
        value, lambda part: BoundedCopy(_TEXT_NODES, _TEXT_CHARACTERS).of(part)
    )


class BoundedCopy:
    """A copier for one value. It returns None, bool, int, float, str, and lists and dicts of them.

    Args:
        nodes: Maximum number of values that are read.
        characters: Maximum number of characters that are kept.
    """

    def __init__(self, nodes: int = MAX_NODES, characters: int = MAX_CHARACTERS) -> None:
        self.whole = True
        """Whether the whole value was read, except for what is too deep."""
        self.left_out = 0
        """Lower bound for the JSON of the part that was not read, in bytes."""
        self._nodes = nodes
        self._characters = characters
        self._seconds = MAX_SECONDS
        """Time that is left for code of the user."""

    def of(self, value: Any, depth: int = MAX_DEPTH) -> Any:
        """Return the copy of a value; a placeholder for one that cannot be read. Never raises."""
        self._nodes -= 1
        if self._is_full():
            return self._cut(1)
        found = call_safely(lambda: [self._of(value, depth)])
        return found[0] if found else placeholder("unprintable", value)

    def _is_full(self) -> bool:
        return self._nodes < 0 or self._characters < 0

    def _cut(self, left_out: int, shown: str = "…") -> str:
        self.whole = False
        self.left_out += left_out
        return shown

    def _of(self, value: Any, depth: int) -> Any:  # noqa: PLR0911 - a table
        if value is None or value is True or value is False:
            return value
        if has_type(value, str):
            return self._text(str.__str__(value))
        if has_type(value, Enum):
            return self._member(value, depth)
        if has_type(value, int):
            return whole_number(int.__int__(value))
        if has_type(value, float):
            number = float.__float__(value)
            return number if isfinite(number) else None
        if has_type(value, _ISO_TYPES):
            return self._text(call_safely(_iso_text, value) or bounded_str(value))
        if has_type(value, BYTES):
            return self._bytes(value)
        return self._container(value, depth)

    def _container(self, value: Any, depth: int) -> Any:
        if has_type(value, dict):
            return self._pairs(dict.items(value), dict.__len__(value), depth)
        if has_type(value, SEQUENCES):
            kind = next(kind for kind in SEQUENCES if has_type(value, kind))
            return self._items(kind.__iter__(value), kind.__len__(value), depth)
        if has_type(value, BaseException):
            text = self._str(value)
            return f"{class_name(value)}: {text}" if text.strip() else class_name(value)
        fields = call_safely(fields_of, value)
        if fields is not None:
            return self._pairs(fields.items(), len(fields), depth)
        return self._object(value, depth)

    def _object(self, value: Any, depth: int) -> Any:  # noqa: PLR0911 - a table
        """Copy a value of an unknown class. From here on, code of the user may run."""
        if self._seconds <= 0:
            return self._cut(1, placeholder("not looked at", value))
        if is_lazy(value):
            return placeholder("not evaluated", value)
        if has_type(value, UserList):
            return self.of(value.data, depth)
        if hasattr(type(value), "dtype") and hasattr(type(value), "item"):
            # NumPy's scalars and arrays of one element; others print themselves, shortened.
            item = call_safely(type(value).item, value)
            return self._str(value) if item is None or type(item) is type(value) else self.of(item)
        if safe_isinstance(value, Mapping):
            return self._pairs(self._looked_up(value), None, depth)
        if safe_isinstance(value, (AbstractSet, MappingView)):
            return self._items(self._timed(value), None, depth)
        return self._str(value)

    def _pairs(self, pairs: Iterable[tuple[Any, Any]], count: int | None, depth: int) -> Any:
        if depth <= 0:
            return "…"
        found: dict[str, Any] = {}
        for key, item in self._limited(pairs, count):
            if self._is_full():
                self._cut(1)
                break
            text = self._text(str.__str__(key)) if has_type(key, str) else self._str(key)
            found[unique_key(text, found)] = self.of(item, depth - 1)
        return found

    def _items(self, items: Iterable[Any], count: int | None, depth: int) -> Any:
        if depth <= 0:
            return "…"
        found: list[Any] = []
        for item in self._limited(items, count):
            if self._is_full():
                self._cut(1)
                break
            found.append(self.of(item, depth - 1))
        return found

    def _limited(self, items: Iterable[Any], count: int | None) -> Iterable[Any]:
        """Return as many items as may still be read. ``count`` is None for an unknown number."""
        if count is None:
            # The caller stops when the copy is full. Fetching ahead would run code of the user.
            return items
        most = max(0, self._nodes)
        if count > most:
            self._cut(2 * (count - most))
        # A copy: another thread may change the original meanwhile.
        return _first(items, most)

    def _looked_up(self, value: Any) -> Iterator[tuple[Any, Any]]:
        for key in self._timed(value):
            yield key, self._call(getitem, value, key)

    def _timed(self, value: Any) -> Iterator[Any]:
        iterator = self._call(iter, value)
        while iterator is not None and not self._is_full():
            if self._seconds <= 0:
                self._cut(1)
                return
            item = self._call(lambda: [next(iterator)])
            if item is None:
                return
            yield item[0]

    def _call(self, function: Any, *arguments: Any) -> Any:
        began = monotonic()
        found = call_safely(function, *arguments)
        self._seconds -= monotonic() - began
        return found

    def _str(self, value: Any) -> str:
        if self._seconds <= 0:
            return self._cut(1, placeholder("not looked at", value))
        return self._text(self._call(bounded_str, value))

    def _member(self, value: Any, depth: int) -> Any:
        inner = call_safely(lambda: value._value_)
        return self.of(inner, depth) if has_type(inner, (str, int, float)) else self._str(value)

    def _bytes(self, value: Any) -> str:
        view = memoryview(value)
        keep = min(view.nbytes, max(0, self._characters) * 3 // 4)
        if keep < view.nbytes:
            self._cut((view.nbytes - keep) * 4 // 3)
        if view.ndim != 1:
            # A slice of several dimensions is not supported (memoryview).
            return placeholder("not looked at", value)
        return self._text(base64.b64encode(view[: keep // view.itemsize].tobytes()).decode())

    def _text(self, text: str) -> str:
        keep = max(0, self._characters)
        self._characters -= len(text)
        if len(text) > keep:
            self._cut(len(text) - keep)
            text = text[:keep]
        return encodable(text)


def _first(items: Iterable[Any], most: int) -> list[Any]:
    """Return the first items of a container that another thread may change meanwhile."""
    found: list[Any] = []
    try:
        found.extend(islice(items, most))
    except RuntimeError:
        # Its size has changed: the items so far are the result.
        return found
    return found


def unique_key(name: str, known: Mapping[str, Any]) -> str:
    """Return the name, with a number behind it if it is taken, as by ``1`` and ``"1"``."""
    number, found = len(known), name
    while found in known:
        found = f"{name} ({number})"
        number += 1
    return found


def _iso_text(value: Any) -> str:
    if has_type(value, datetime) and type(value) is not datetime:
        # A subclass, such as pandas' Timestamp, may override the methods that are used below.
        value = datetime.combine(datetime.date(value), datetime.timetz(value))
    return str(msgspec.json.decode(msgspec.json.encode(value)))


def encodable(text: str) -> str:
    """Return the text without lone surrogates, which UTF-8 cannot encode."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
