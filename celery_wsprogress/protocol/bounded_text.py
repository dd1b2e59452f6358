"""What a person would be shown of any value: ``str()``, or as much of that as is bounded.

``str`` of a builtin prints all that is in it, and all that is in that, as often as it is in it.
So what may hold other values is printed only where it is small, and else from a bounded copy.
Pure.
"""

from __future__ import annotations

from collections import UserList, UserString, deque
from collections.abc import Mapping, MappingView
from collections.abc import Set as AbstractSet
from datetime import date, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from enum import Enum
from itertools import islice
from math import prod
from sys import getsizeof
from types import NoneType
from typing import Any, Final
from uuid import UUID

from celery_wsprogress.guard import (
    call_safely,
    class_name,
    class_names,
    has_type,
    placeholder,
    safe_isinstance,
)

_NODES: Final = 500
_CHARACTERS: Final = 20_000
_ITEMS: Final = 1_000
"""Elements of an array or a table that is still printed."""
_BYTES: Final = 1_000_000
_BITS: Final = 12_000
"""Of a whole number: below Python's own limit for printing one."""

_ARGS: Final[Any] = BaseException.__dict__["args"]
SEQUENCES: Final = (list, tuple, set, frozenset, deque)
BYTES: Final = (bytes, bytearray, memoryview)
_SHORT: Final = (
    bool, float, NoneType, complex, type, date, time_of_day, timedelta, UUID,
)  # fmt: skip


def said(value: Any) -> str:
    """The value's text. Runs one method of the user's at the most, and never raises."""
    found = call_safely(_said, value)
    return str.__str__(found) if has_type(found, str) else placeholder("unprintable", value)


def _said(value: Any) -> Any:
    if has_type(value, str):
        return str(value)
    if has_type(value, BaseException):
        return _exception(value)
    if has_type(value, int) and _own_str(type(value)) is object.__str__:
        return str(value) if type(value) is bool else str(whole_number(int.__int__(value)))
    if has_type(value, Decimal) and Decimal.__sizeof__(value) > _BITS:
        return placeholder("a very long", value)
    if has_type(value, (*BYTES, dict, *SEQUENCES)):
        return _printed(value)
    return _foreign(value)


def _foreign(value: Any) -> Any:  # noqa: PLR0911 - a table
    if is_lazy(value):
        return placeholder("not evaluated", value)
    fields = fields_of(value)
    if fields is not None and not _is_small([*fields.values()]) and _prints_fields(type(value)):
        return f"{class_name(value)}({_printed(fields)})"
    shape = getattr(value, "shape", None) if hasattr(type(value), "shape") else None
    if type(shape) is tuple and not _is_printable(value, shape):
        return f"… [{class_name(value)} of shape {shape}]"
    if has_type(value, (UserList, UserString)):
        return said(value.data)
    if safe_isinstance(value, (Mapping, MappingView, AbstractSet)) and not has_type(value, Enum):
        return _printed(value)
    if (call_safely(getsizeof, value) or 0) > _BYTES:
        # An array of Python's, and the like.
        return placeholder("not looked at", value)
    found = call_safely(str, value)
    return call_safely(repr, value) if found is None else found


def whole_number(value: int) -> Any:
    """The number, or a text that stands for one that is too long."""
    if -(2**63) <= value < 2**63:
        return value
    bits = value.bit_length()
    # How many digits may be printed is the program's to set (sys.set_int_max_str_digits).
    if bits > _BITS or call_safely(str, value) is None:
        return f"… [a whole number of {bits:,} bits]"
    return value


def is_lazy(value: Any) -> bool:
    """Whether to look at it would ask a database: a ``QuerySet``, of whatever library.

    (django/db/models/query.py: ``__repr__`` fetches. MongoEngine's and Haystack's are the same.)
    """
    return any(name.endswith("QuerySet") for name in class_names(type(value)))


def fields_of(value: Any) -> dict[str, Any] | None:
    """What an object with declared fields holds; None where it has none declared.

    What it hides when it prints itself stays hidden.
    """
    cls = type(value)
    if cls.__module__ == "types" and cls.__name__ == "SimpleNamespace":
        return dict(islice(vars(value).items(), _CHARACTERS))
    if (fields := getattr(cls, "__dataclass_fields__", None)) is not None:
        names = [name for name, one in fields.items() if one.repr]
    elif (fields := getattr(cls, "__attrs_attrs__", None)) is not None:
        names = [one.name for one in fields if one.repr]
    elif (fields := getattr(cls, "__pydantic_fields__", None)) is not None:
        names = [name for name, one in fields.items() if one.repr and not one.exclude]
    else:
        names = list(getattr(cls, "__struct_fields__", ()))
    return {name: call_safely(getattr, value, name, None) for name in names} if names else None


def _own_str(cls: Any) -> Any:
    return cls.__str__


def _prints_fields(cls: type) -> bool:
    """Whether its text is made of its fields by the library that declared them."""
    return _own_str(cls) is object.__str__ or hasattr(cls, "__pydantic_fields__")


def _is_printable(value: Any, shape: tuple[int, ...]) -> bool:
    return prod(shape) <= _ITEMS and str(getattr(value, "dtype", "")) != "object"


def _printed(value: Any) -> str:
    """``str()`` of a builtin that is small; of another one that of a bounded copy."""
    from celery_wsprogress.protocol.bounded_value import Copy  # noqa: PLC0415 - which prints what is in it

    if call_safely(_is_small, value):
        found = call_safely(str, value)
        if found is not None:
            return str(found)
    return str(Copy(_NODES, _CHARACTERS).of(value))


def _is_small(value: Any) -> bool:
    """Whether it is a small value of builtins only, so that none of the user's code prints it."""
    nodes, characters, layer = _NODES, _CHARACTERS, [value]
    while layer:
        inner: list[Any] = []
        for one in layer:
            kind = type(one)
            nodes -= 1
            if kind in {str, bytes, bytearray}:
                characters -= len(one)
            elif kind is int:
                characters -= one.bit_length() // 3
            elif kind is dict:
                inner += islice(one.keys(), _NODES)
                inner += islice(one.values(), _NODES)
            elif kind in SEQUENCES:
                inner += islice(one, _NODES)
            elif not has_type(one, _SHORT):
                return False
            if nodes < len(inner) or characters < 0:
                return False
        layer = inner
    return True


def _exception(exc: BaseException) -> Any:
    """As ``str()``, which prints its arguments however large they are."""
    own: Any = type(exc).__str__
    arguments = _ARGS.__get__(exc)
    if own not in {BaseException.__str__, KeyError.__str__}:
        return str(exc)
    if own is KeyError.__str__ and len(arguments) == 1 and type(arguments[0]) is str:
        return repr(arguments[0][:_CHARACTERS])
    if not arguments:
        return ""
    return said(arguments[0]) if len(arguments) == 1 else _printed(arguments)
