"""Log records without the texts of exceptions, for runs whose ``stream_errors`` is ``"type"``."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from celery_wsprogress.guard import has_type
from celery_wsprogress.protocol import jsonable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from logging import LogRecord


class ErrorType:
    """Stands for an exception, in whatever way it is formatted.

    Args:
        name: The name of its class.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


def without_error_texts(record: LogRecord) -> LogRecord:
    """Return a copy in which exceptions are their types; the record itself if it has none.

    Exceptions are looked for in what a call of a logger is given: the message, its arguments, and
    the values of ``extra``. ``exc_info`` stays.
    """
    changed = {
        name: _shown(value)
        for name, value in vars(record).items()
        if name != "exc_info" and _has_error(value)
    }
    if not changed:
        return record
    found = copy.copy(record)
    vars(found).update(changed)
    return found


def _has_error(value: Any) -> bool:
    return any(has_type(one, BaseException) for one in (value, *_inside(value)))


def _inside(value: Any) -> Iterable[Any]:
    """Return what is formatted one by one: the arguments of a message."""
    if type(value) is tuple:
        return value
    return value.values() if type(value) is dict else ()


def _shown(value: Any) -> Any:
    if type(value) is tuple:
        return tuple(_typed(one) for one in value)
    if type(value) is dict:
        return {name: _typed(one) for name, one in value.items()}
    return _typed(value)


def _typed(value: Any) -> Any:
    known = has_type(value, BaseException)
    return ErrorType(jsonable.type_name(value)) if known else value
