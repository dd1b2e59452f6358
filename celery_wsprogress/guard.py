"""Safe calls of code of the user, and type checks that run none of it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_NAME: Final[Any] = type.__dict__["__name__"]
_BASES: Final[Any] = type.__dict__["__mro__"]


def call_safely(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call code of the user; return None if it raises an exception.

    Exceptions that are meant for the thread are raised: ``SystemExit``, ``KeyboardInterrupt``, the
    timeouts of gevent, the cancellation of a coroutine, and Celery's soft time limit.
    """
    try:
        return function(*arguments)
    except Exception as exc:
        if must_propagate(exc):
            raise
        return None


def must_propagate(exc: BaseException) -> bool:
    """Return whether this is Celery's soft time limit, which the task must see.

    Celery raises it from a signal handler, wherever the task is (billiard, pool.py).
    """
    # Compared by name, since this module does not import Celery.
    return "SoftTimeLimitExceeded" in class_names(type(exc))


def class_name(value: Any) -> str:
    """Return the name of a value's class, even if its metaclass overrides ``__name__``."""
    return str(_NAME.__get__(type(value)))


def class_names(cls: type) -> list[str]:
    """Return the names of a class and of its base classes."""
    return [_NAME.__get__(base) for base in _BASES.__get__(cls)]


def safe_isinstance(value: Any, kind: type[Any] | tuple[type[Any], ...]) -> bool:
    """Return ``isinstance``; False if the ``__class__`` of a lazy proxy raises."""
    return bool(call_safely(isinstance, value, kind))


def has_type(value: Any, kind: type[Any] | tuple[type[Any], ...]) -> bool:
    """Return whether a value has a type, whatever ``__class__`` says. Not for abstract classes."""
    return issubclass(type(value), kind)


def placeholder(what: str, value: Any) -> str:
    """Return the text that replaces a value that cannot be shown."""
    return f"… [{what} {class_name(value)}]"
