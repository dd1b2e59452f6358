"""A user's value as plain builtins: a copy that is made within bounds, and never raises.

A value may share its parts with itself (a few dictionaries that are 2^30 when they are written
out), contain itself, be endless, be made while it is looked at, or be of a class whose methods
raise or sleep. So nothing is handed to an encoder, to ``str`` or to ``repr`` before it was looked
at here, and here nothing is walked without a bound on values, characters, depth and, where code
of the user's runs, seconds. What builtins hold is read by the methods of the builtins, whatever a
subclass has overridden.

One call of a user's method cannot be interrupted. There is none any more once those of one
rendering took :data:`MAX_SECONDS`.
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
    must_propagate,
    placeholder,
    safe_isinstance,
)
from celery_wsprogress.protocol.bounded_text import (
    BYTES,
    SEQUENCES,
    fields_of,
    is_lazy,
    said,
    whole_number,
)

MAX_DEPTH: Final = 40
"""Deeper values would be a danger to whoever reads them with a recursive parser."""
MAX_NODES: Final = 20_000
MAX_CHARACTERS: Final = 4_000_000
MAX_SECONDS: Final = 0.25

_PLAIN_CHARACTERS: Final = 100_000
_WORDS: Final = (datetime, date, time_of_day, timedelta, UUID)
"""What has a form of its own in JSON, of a bounded length."""
_INT64: Final = 2**63
_MANY: Final = 50


class Encoded(msgspec.Struct, frozen=True, gc=False):
    """A value as strict JSON."""

    json: bytes
    whole: bool = True
    """False where it is only the part of the value that was looked at."""
    left_out: int = 0
    """Bytes, at least, of the rest."""


def encode(value: Any) -> Encoded:
    """The value as JSON, of a bounded size and depth."""
    encoded = _plainly(value)
    if encoded is not None:
        return Encoded(encoded)
    # Odd keys or types, surrogates, NumPy, or much too large or deep: this takes anything.
    copy = Copy()
    encoded = msgspec.json.encode(copy.of(value))
    return Encoded(encoded, copy.whole, copy.left_out)


def _plainly(value: Any) -> bytes | None:
    """The JSON of a value of a few builtins, as nearly all are; None of another one."""
    try:
        if _spare(value, _PLAIN_CHARACTERS, MAX_DEPTH) >= 0:
            return _encode(value)
    except Exception as exc:
        # Another thread changed it meanwhile, a lone surrogate, or a class with ideas about `==`.
        if must_propagate(exc):
            raise
    return None


_encode: Final = msgspec.json.Encoder().encode


def _spare(value: Any, left: int, depth: int) -> int:  # noqa: C901, PLR0912 - the fast path
    """What is left of so many characters behind this value; below 0 where it is not plain.

    Each value in it takes two at least, so their number is bounded, too.
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
            left = _spare(item, left, depth - 1)
            if left < 0:
                return -1
        elif kind is not float and kind is not bool and item is not None:
            return -1
    return left


def _are_numbers(items: Any) -> bool:
    """Whether they are numbers of one kind that an encoder can be given: a quick look at many."""
    kinds = {*map(type, items)}
    return kinds == {float} or (kinds == {int} and min(items) >= -_INT64 and max(items) < _INT64)


class Copy:
    """Makes a copy of one value: None, bool, int, float, str, list and dict with keys of str.

    Args:
        nodes: Values that are looked at.
        characters: Characters that are kept.
    """

    def __init__(self, nodes: int = MAX_NODES, characters: int = MAX_CHARACTERS) -> None:
        self.whole = True
        """Whether all of the value was looked at (what is too deep apart)."""
        self.left_out = 0
        """Bytes of JSON, at least, of what was not."""
        self._nodes = nodes
        self._characters = characters
        self._seconds = MAX_SECONDS

    def of(self, value: Any, depth: int = MAX_DEPTH) -> Any:
        """Never raises: what cannot even be looked at becomes a mark."""
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
        if has_type(value, _WORDS):
            return self._text(call_safely(_word, value) or said(value))
        if has_type(value, BYTES):
            return self._bytes(value)
        return self._inner(value, depth)

    def _inner(self, value: Any, depth: int) -> Any:
        if has_type(value, dict):
            return self._pairs(dict.items(value), dict.__len__(value), depth)
        if has_type(value, SEQUENCES):
            kind = next(kind for kind in SEQUENCES if has_type(value, kind))
            return self._items(kind.__iter__(value), kind.__len__(value), depth)
        if has_type(value, BaseException):
            text = self._said(value)
            return f"{class_name(value)}: {text}" if text.strip() else class_name(value)
        fields = call_safely(fields_of, value)
        if fields is not None:
            return self._pairs(fields.items(), len(fields), depth)
        return self._foreign(value, depth)

    def _foreign(self, value: Any, depth: int) -> Any:  # noqa: PLR0911 - a table
        """A value of a class that is not known here: from now on the user's code may run."""
        if self._seconds <= 0:
            return self._cut(1, placeholder("not looked at", value))
        if is_lazy(value):
            return placeholder("not evaluated", value)
        if has_type(value, UserList):
            return self.of(value.data, depth)
        if hasattr(type(value), "dtype") and hasattr(type(value), "item"):
            # NumPy's scalars and arrays of one element; others print themselves, shortened.
            item = call_safely(type(value).item, value)
            return self._said(value) if item is None or type(item) is type(value) else self.of(item)
        if safe_isinstance(value, Mapping):
            return self._pairs(self._lookups(value), None, depth)
        if safe_isinstance(value, (AbstractSet, MappingView)):
            return self._items(self._timed(value), None, depth)
        return self._said(value)

    def _pairs(self, pairs: Iterable[tuple[Any, Any]], count: int | None, depth: int) -> Any:
        if depth <= 0:
            return "…"
        found: dict[str, Any] = {}
        for key, item in self._some(pairs, count):
            if self._is_full():
                self._cut(1)
                break
            text = self._text(str.__str__(key)) if has_type(key, str) else self._said(key)
            found[unlike(text, found)] = self.of(item, depth - 1)
        return found

    def _items(self, items: Iterable[Any], count: int | None, depth: int) -> Any:
        if depth <= 0:
            return "…"
        found: list[Any] = []
        for item in self._some(items, count):
            if self._is_full():
                self._cut(1)
                break
            found.append(self.of(item, depth - 1))
        return found

    def _some(self, items: Iterable[Any], count: int | None) -> Iterable[Any]:
        """As many of them as may still be looked at; ``count`` is None where it is not known."""
        if count is None:
            # It stops when it is full. Nothing is fetched ahead of what runs the user's code.
            return items
        most = max(0, self._nodes)
        if count > most:
            self._cut(2 * (count - most))
        # A copy: another thread may change the original meanwhile.
        return _first(items, most)

    def _lookups(self, value: Any) -> Iterator[tuple[Any, Any]]:
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

    def _said(self, value: Any) -> str:
        if self._seconds <= 0:
            return self._cut(1, placeholder("not looked at", value))
        return self._text(self._call(said, value))

    def _member(self, value: Any, depth: int) -> Any:
        inner = call_safely(lambda: value._value_)
        return self.of(inner, depth) if has_type(inner, (str, int, float)) else self._said(value)

    def _bytes(self, value: Any) -> str:
        view = memoryview(value)
        keep = min(view.nbytes, max(0, self._characters) * 3 // 4)
        if keep < view.nbytes:
            self._cut((view.nbytes - keep) * 4 // 3)
        if view.ndim != 1:
            # It cannot be cut.
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
    """The first of what another thread may change meanwhile."""
    found: list[Any] = []
    try:
        found.extend(islice(items, most))
    except RuntimeError:
        # It changed its size: what was found until then is what there is to show.
        return found
    return found


def unlike(name: str, known: Mapping[str, Any]) -> str:
    """The name, or, where it is taken (by 1 and "1"), another one that says so."""
    number, found = len(known), name
    while found in known:
        found = f"{name} ({number})"
        number += 1
    return found


def _word(value: Any) -> str:
    if has_type(value, datetime) and type(value) is not datetime:
        # A subclass (pandas has one) may have its own ideas.
        value = datetime.combine(datetime.date(value), datetime.timetz(value))
    return str(msgspec.json.decode(msgspec.json.encode(value)))


def encodable(text: str) -> str:
    """The text without lone surrogates, which UTF-8 cannot hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
