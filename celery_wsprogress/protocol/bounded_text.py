"""The text of any value, as ``str`` gives it, within bounds.

``str`` of a container prints everything in it, as often as it occurs. So a container is printed
as it is only if it is small; else a bounded copy of it is printed. :mod:`.bounded_copy` calls this
module and passes the function that makes the copy.

Pure.
"""

from __future__ import annotations

from collections import UserList, UserString, deque
from collections.abc import Callable, Mapping, MappingView
from collections.abc import Set as AbstractSet
from datetime import date, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from enum import Enum
from itertools import islice
from math import prod
from sys import getsizeof
from types import NoneType
from typing import Any, Final, TypeAlias
from uuid import UUID

from celery_wsprogress.guard import (
    call_safely,
    class_name,
    class_names,
    has_type,
    placeholder,
    safe_isinstance,
)

Copy: TypeAlias = Callable[[Any], Any]
"""A function that returns a bounded copy of a container."""

_MAX_NODES: Final = 500
_MAX_CHARACTERS: Final = 20_000
_MAX_ITEMS: Final = 1_000
"""Elements up to which an array or a table is printed."""
_MAX_BYTES: Final = 1_000_000
_MAX_BITS: Final = 12_000
"""Size up to which an integer is printed; Python's own limit is 4,300 digits, some 14,000 bits."""

_ARGS: Final[Any] = BaseException.__dict__["args"]
SEQUENCES: Final = (list, tuple, set, frozenset, deque)
BYTES: Final = (bytes, bytearray, memoryview)
_SHORT: Final = (
    bool, float, NoneType, complex, type, date, time_of_day, timedelta, UUID,
)  # fmt: skip


def str_of(value: Any, copy: Copy) -> str:
    """Return the text of a value. Runs at most one method of the user's, and never raises."""
    found = call_safely(_str_of, value, copy)
    return str.__str__(found) if has_type(found, str) else placeholder("unprintable", value)


def _str_of(value: Any, copy: Copy) -> Any:
    if has_type(value, str):
        return str(value)
    if has_type(value, BaseException):
        return _str_of_exception(value, copy)
    if has_type(value, int) and _own_str(type(value)) is object.__str__:
        return str(value) if type(value) is bool else str(whole_number(int.__int__(value)))
    if has_type(value, Decimal) and Decimal.__sizeof__(value) > _MAX_BITS:
        return placeholder("a very long", value)
    if has_type(value, (*BYTES, dict, *SEQUENCES)):
        return _str_of_container(value, copy)
    return _str_of_object(value, copy)


def _str_of_object(value: Any, copy: Copy) -> Any:  # noqa: PLR0911 - a table
    if is_lazy(value):
        return placeholder("not evaluated", value)
    fields = fields_of(value)
    if fields is not None and not _is_small([*fields.values()]) and _prints_fields(type(value)):
        return f"{class_name(value)}({_str_of_container(fields, copy)})"
    shape = getattr(value, "shape", None) if hasattr(type(value), "shape") else None
    if type(shape) is tuple and not _is_printable(value, shape):
        return f"… [{class_name(value)} of shape {shape}]"
    if has_type(value, (UserList, UserString)):
        return str_of(value.data, copy)
    is_container = safe_isinstance(value, (Mapping, MappingView, AbstractSet))
    if is_container and not has_type(value, Enum):
        return _str_of_container(value, copy)
    if (call_safely(getsizeof, value) or 0) > _MAX_BYTES:
        # For instance an `array.array`.
        return placeholder("not looked at", value)
    found = call_safely(str, value)
    return call_safely(repr, value) if found is None else found


def whole_number(value: int) -> Any:
    """Return the integer, or a placeholder for one that is too long to print."""
    if -(2**63) <= value < 2**63:
        return value
    bits = value.bit_length()
    # The program may have set a lower limit (sys.set_int_max_str_digits).
    if bits > _MAX_BITS or call_safely(str, value) is None:
        return f"… [a whole number of {bits:,} bits]"
    return value


def is_lazy(value: Any) -> bool:
    """Return whether reading the value would query a database: a ``QuerySet`` of any library.

    Django 5.2, django/db/models/query.py: ``QuerySet.__repr__`` fetches rows. Those of MongoEngine
    and Haystack do the same.
    """
    return any(name.endswith("QuerySet") for name in class_names(type(value)))


def fields_of(value: Any) -> dict[str, Any] | None:
    """Return the declared fields of an object (dataclass, attrs, Pydantic, msgspec), or None.

    Fields that the class leaves out of its own ``repr`` are left out here, too.
    """
    cls = type(value)
    if cls.__module__ == "types" and cls.__name__ == "SimpleNamespace":
        return dict(islice(vars(value).items(), _MAX_CHARACTERS))
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
    """Return whether the library that declared the fields also makes the text of the object."""
    return _own_str(cls) is object.__str__ or hasattr(cls, "__pydantic_fields__")


def _is_printable(value: Any, shape: tuple[int, ...]) -> bool:
    return prod(shape) <= _MAX_ITEMS and str(getattr(value, "dtype", "")) != "object"


def _str_of_container(value: Any, copy: Copy) -> str:
    if call_safely(_is_small, value):
        found = call_safely(str, value)
        if found is not None:
            return str(found)
    return str(copy(value))


def _is_small(value: Any) -> bool:
    """Return whether a value is small and of builtins only, so that printing runs no user code."""
    nodes, characters, layer = _MAX_NODES, _MAX_CHARACTERS, [value]
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
                inner += islice(one.keys(), _MAX_NODES)
                inner += islice(one.values(), _MAX_NODES)
            elif kind in SEQUENCES:
                inner += islice(one, _MAX_NODES)
            elif not has_type(one, _SHORT):
                return False
            if nodes < len(inner) or characters < 0:
                return False
        layer = inner
    return True


def _str_of_exception(exc: BaseException, copy: Copy) -> Any:
    # `str()` of an exception prints its arguments, however large they are.
    own: Any = type(exc).__str__
    arguments = _ARGS.__get__(exc)
    if own not in {BaseException.__str__, KeyError.__str__}:
        return str(exc)
    if own is KeyError.__str__ and len(arguments) == 1 and type(arguments[0]) is str:
        return repr(arguments[0][:_MAX_CHARACTERS])
    if not arguments:
        return ""
    return str_of(arguments[0], copy) if len(arguments) == 1 else _str_of_container(arguments, copy)
