"""Calling what is not ours: it may raise anything, and lie about what it is. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_NAME: Final[Any] = type.__dict__["__name__"]
_BASES: Final[Any] = type.__dict__["__mro__"]


def call_safely(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call code of somebody else's that may raise anything; None when it does.

    What is no ``Exception`` goes through: ``SystemExit``, ``KeyboardInterrupt``, the time-outs of
    gevent and a cancelled coroutine are orders to the thread, which a signal or a hub delivers in
    the middle of whatever it executes. So does Celery's soft time limit.
    """
    try:
        return function(*arguments)
    except Exception as exc:
        if must_propagate(exc):
            raise
        return None


def must_propagate(exc: BaseException) -> bool:
    """Whether it only passes through: the task is to see it.

    Celery delivers a soft time limit as an exception in the middle of whatever the task's
    thread executes. (It is known by its name: nothing of Celery is imported here.)
    """
    return "SoftTimeLimitExceeded" in class_names(type(exc))


def class_name(value: Any) -> str:
    """The name of the value's class, whatever its metaclass says."""
    return str(_NAME.__get__(type(value)))


def class_names(cls: type) -> list[str]:
    """The names of a class and of what it derives from."""
    return [_NAME.__get__(base) for base in _BASES.__get__(cls)]


def safe_isinstance(value: Any, kind: type[Any] | tuple[type[Any], ...]) -> bool:
    """``isinstance``, of a value that may be a lazy proxy: it runs the code of such a one."""
    return bool(call_safely(isinstance, value, kind))


def has_type(value: Any, kind: type[Any] | tuple[type[Any], ...]) -> bool:
    """Whether it is one indeed, whatever ``__class__`` says. Of classes, not of abstract ones."""
    return issubclass(type(value), kind)


def placeholder(what: str, value: Any) -> str:
    """What stands for a value that cannot be shown."""
    return f"… [{what} {class_name(value)}]"
