"""The outcome of a task, from Celery's result backend, and the description of its error.

A worker's flusher asks the backend about a task that stored its outcome and raised ``Ignore``; a
sidecar asks it about a run without heartbeats. The signal handlers of a worker describe errors.
"""

from __future__ import annotations

import re
import traceback
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from celery import Celery, states
from celery.app import backends
from celery.backends.base import DisabledBackend
from celery.backends.rpc import RPCBackend
from celery.exceptions import (
    ChordError,
    ImproperlyConfigured,
    MaxRetriesExceededError,
    NotRegistered,
    SoftTimeLimitExceeded,
    Terminated,
    TimeLimitExceeded,
    WorkerLostError,
)
from celery.utils.serialization import UnpickleableExceptionWrapper

from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.guard import call_safely, has_type
from celery_wsprogress.protocol import jsonable
from celery_wsprogress.urls import masked

if TYPE_CHECKING:
    from typing import Literal


class Outcome(NamedTuple):
    """The end of a task."""

    end: Literal["completed", "error", "cancelled"]
    result: Any = None
    """The return value, as the backend decoded it."""
    error: str = ""
    error_type: str = ""
    reason: str = ""
    """A text without values, to show in place of ``error``; may be empty."""

    def visible_error(self, *, full: bool) -> str:
        """Return the text that watchers see.

        Args:
            full: Whether they may see the error's own text.
        """
        own_text = full or self.end == "cancelled"
        return self.error if own_text else self.reason or jsonable.WITHHELD


REVOKED = ("the task was revoked", "TaskRevokedError")


def open_backend(app: Any, url: str | None = None) -> Any:
    """Return a new instance of the result backend, or None. Connects to nothing.

    Args:
        app: The Celery application, or None.
        url: Another backend than the application's.

    Returns:
        None also for a backend without results for us; see :func:`stores_results`.

    Raises:
        ConfigurationError: Celery knows no such backend, or its library is missing.
    """
    if app is None and url is None:
        return None
    app = app or Celery("celery_wsprogress", set_as_current=False)
    named = url or app.backend_cls or app.conf.result_backend
    try:
        cls, own_url = backends.by_url(named, app.loader)
        return cls(app=app, url=own_url) if stores_results(cls) else None
    except (ImproperlyConfigured, ImportError, ValueError, TypeError, AttributeError) as exc:
        # The text may quote a part of the URL, and so of a password.
        shown = masked(named) if isinstance(named, str) else named
        allowed = f"a result backend that Celery knows ({type(exc).__name__})"
        raise ConfigurationError("result backend", shown, allowed) from None


def stores_results(cls: type) -> bool:
    """Return whether any process can read results from a backend of this class.

    ``rpc://`` sends each result once, to the process that started the task
    (celery/backends/rpc.py).
    """
    return not issubclass(cls, (DisabledBackend, RPCBackend))


def fetch_outcome(backend: Any, task_id: str) -> Outcome | None:
    """Return the outcome of a task; None where the backend knows of no end.

    Blocks as long as the client library does.

    Raises:
        Exception: whatever the client library raises when the backend is down.
    """
    if not stores_results(type(backend)):
        return None
    try:
        meta = backend.get_task_meta(task_id, cache=False)
    except (KeyError, TypeError, ValueError) as exc:
        if not _is_about_stored_exception(exc):
            raise
        # The task stored FAILURE itself, with a result that is no exception.
        text = "the task says that it failed"
        return Outcome("error", None, *describe_failure(text), text)
    match meta.get("status"):
        case states.SUCCESS:
            return Outcome("completed", meta.get("result"))
        case states.FAILURE:
            return _failure_outcome(meta.get("result"))
        case states.REVOKED:
            return Outcome("cancelled", None, *REVOKED)
    return None


def _is_about_stored_exception(exc: Exception) -> bool:
    """Return whether Celery could not rebuild a stored exception, so that the task has failed.

    Any other error of the same class comes from the backend or its library
    (celery/backends/base.py, ``Backend.exception_to_python``).
    """
    frames = traceback.walk_tb(exc.__traceback__)
    return any(frame.f_code.co_name == "exception_to_python" for frame, _ in frames)


def _failure_outcome(exception: Any) -> Outcome:
    """Return the outcome of a failed task, from the exception that the backend has rebuilt."""
    text, name = describe_failure(exception)
    reason = call_safely(_safe_reason, exception) or ""
    if type(exception) is Exception and (found := _NOT_REBUILT.match(jsonable.to_text(exception))):
        # Celery could not call the class with what was stored, and quotes both.
        text, name = text.removeprefix(found[0]).strip() or found[1], found[1]
    # The name of a class that cannot be imported here is qualified.
    return Outcome("error", None, text, name.rpartition(".")[2] or name, reason)


_NOT_REBUILT: Final = re.compile(r"<class '(?:[^']*\.)?([^'.]+)'>")
"""The text of Celery's substitute (celery/backends/base.py, ``Backend.exception_to_python``)."""


def describe_failure(exception: Any, *, full: bool = True) -> tuple[str, str]:
    """Return the text and the type of what a task failed with, without the task's arguments.

    Args:
        exception: What it failed with; not always an exception.
        full: Whether to return the exception's own text, instead of one that quotes nothing.
    """
    if not full:
        wrapped = isinstance(exception, UnpickleableExceptionWrapper)
        name = exception.exc_cls_name if wrapped else jsonable.type_name(exception)
        return call_safely(_safe_reason, exception) or jsonable.WITHHELD, name
    if isinstance(exception, UnpickleableExceptionWrapper):
        # Celery's substitute for an exception that cannot be pickled.
        text = ", ".join(jsonable.to_text(argument) for argument in exception.exc_args)
        return without_arguments(text) or exception.exc_cls_name, exception.exc_cls_name
    text, name = jsonable.describe_error(exception)
    return call_safely(_describe_known, exception) or without_arguments(text), name


def without_arguments(text: str) -> str:
    """Cut the task's arguments out of a text that quotes Celery.

    The last ``self.retry()`` raises ``Can't retry name[id] args:… kwargs:…`` (celery/app/task.py),
    and a chord quotes its parts.
    """
    return _ARGUMENTS.sub(rf"\1 {_RETRIES_EXHAUSTED}", text)


_ARGUMENTS: Final = re.compile(r"(Can\\*'t retry .{1,500}?)\[[^\]]{0,1000}\] args:.*", re.DOTALL)
_JOB: Final = re.compile(r" Job: \d+\.$")
_MAX_PARTS: Final = 5


def _safe_reason(exception: Any) -> str | None:
    """Return a text without values for one of Celery's exceptions; None for any other.

    Any code may raise these classes with any text, so only Celery's own wording is repeated.
    """
    first = exception.args[0] if exception.args else None
    text = first if type(first) is str else ""
    if has_type(exception, (TimeLimitExceeded, SoftTimeLimitExceeded, Terminated)):
        return _describe_known(exception)
    if has_type(exception, WorkerLostError):
        return (_LOST.match(text) or ("the process that ran the task was lost",))[0]
    if has_type(exception, NotRegistered):
        name = f" {text}" if _TASK.fullmatch(text) else ""
        return f"the worker does not know the task{name}"
    if has_type(exception, MaxRetriesExceededError):
        found = _CANNOT_RETRY.match(text)
        return f"Can't retry {found[1] if found else 'it'} {_RETRIES_EXHAUSTED}"
    if has_type(exception, ChordError):
        return _chord_error(text) or "a part of the chord failed"
    return None


_RETRIES_EXHAUSTED: Final = "any more: it was tried as often as max_retries allows"
_LOST: Final = re.compile(r"Worker exited prematurely: (?:signal \d+(?: \(SIG\w+\))?|exitcode \d+)")
_TASK: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)
_CANNOT_RETRY: Final = re.compile(
    rf"Can't retry ({_TASK.pattern})\[[^\]]{{0,1000}}\] args:", re.ASCII
)
_CHORD: Final = re.compile(
    r"(Dependency [\w-]{1,100} raised|Callback error:|Join error:|Cannot restore group:) "
    r"([A-Za-z_]\w{0,200})?",
    re.ASCII,
)


def _chord_error(text: str) -> str | None:
    """Return which part of a chord failed, and the type of its error; None for another text.

    Celery also quotes the part's error (celery/backends/base.py, ``on_chord_part_return``). It is
    left out, because the part's task may not show it.
    """
    found = _CHORD.match(text)
    return f"{found[1]} {found[2] or 'an error'}" if found else None


def _describe_known(exception: Any) -> str | None:  # noqa: PLR0911 - a table
    """Return a better text than the exception's own; None where there is none."""
    first = exception.args[0] if exception.args else None
    if has_type(exception, TimeLimitExceeded):
        return f"the task ran longer than its time limit{_seconds(first)}"
    if has_type(exception, SoftTimeLimitExceeded):
        return f"the task ran longer than its soft time limit{_seconds(first)}"
    if has_type(exception, WorkerLostError):
        return _JOB.sub("", jsonable.to_text(exception))
    if has_type(exception, Terminated) and type(first) is int:
        return f"the task was terminated (signal {abs(first)})"
    if has_type(exception, NotRegistered):
        return f"the worker does not know the task {jsonable.to_text(first)}"
    if has_type(exception, ChordError):
        return _chord_error(jsonable.to_text(first))
    if has_type(exception, BaseExceptionGroup):
        return _group_error(exception)
    if "pydantic" in type(exception).__module__ and hasattr(exception, "errors"):
        return _validation_error(exception)
    return None


def _seconds(limit: Any) -> str:
    return f" of {limit:g} seconds" if type(limit) in {int, float} else ""


def _group_error(exception: Any) -> str:
    parts = [
        f"{name}: {text}" for text, name in map(describe_failure, exception.exceptions[:_MAX_PARTS])
    ]
    return without_arguments(jsonable.to_text(f"{jsonable.to_text(exception)}: {'; '.join(parts)}"))


def _validation_error(exception: Any) -> str:
    """Describe an error of pydantic in a task's arguments, without their values."""
    found = exception.errors(include_url=False, include_context=False, include_input=False)
    parts = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found[:_MAX_PARTS]]
    return f"{len(found)} invalid in {exception.title}: {'; '.join(parts)}"
