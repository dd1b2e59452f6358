"""How a task ended, as Celery's result backend tells it.

Asked where nobody else can say: by the flusher of a worker, of a task that stored its outcome
itself and raised ``Ignore``; and by a sidecar, of a run that fell silent.
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
    ImproperlyConfigured,
    NotRegistered,
    SoftTimeLimitExceeded,
    Terminated,
    TimeLimitExceeded,
    WorkerLostError,
)
from celery.utils.serialization import UnpickleableExceptionWrapper

from celery_wsprogress import rendering
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.guard import guarded, is_really
from celery_wsprogress.settings import masked

if TYPE_CHECKING:
    from typing import Literal


class Outcome(NamedTuple):
    """The end of a task."""

    end: Literal["completed", "error", "cancelled"]
    result: Any = None
    """What it returned, not yet rendered."""
    error: str = ""
    error_type: str = ""


REVOKED = ("the task was revoked", "TaskRevokedError")


def open_backend(app: Any, url: str | None = None) -> Any:
    """Make a result backend of one's own: that of the application, or another one.

    Connects to nothing. One that tells results only to the process that started a task
    (``rpc://``) is none: nobody else can ask it.

    Args:
        app: The Celery application; None where there is none.
        url: Another backend than the application's.

    Returns:
        None where there is none.

    Raises:
        ConfigurationError: Celery knows no such backend, or its library is missing.
    """
    if app is None and url is None:
        return None
    app = app or Celery("celery_wsprogress", set_as_current=False)
    named = url or app.backend_cls or app.conf.result_backend
    try:
        cls, own_url = backends.by_url(named, app.loader)
        return cls(app=app, url=own_url) if can_be_asked(cls) else None
    except (ImproperlyConfigured, ImportError, ValueError, TypeError, AttributeError) as exc:
        # What these say may quote a part of the URL, and so of a password.
        shown = masked(named) if isinstance(named, str) else named
        allowed = f"a result backend that Celery knows ({type(exc).__name__})"
        raise ConfigurationError("result backend", shown, allowed) from None


def can_be_asked(cls: type) -> bool:
    """Whether a result backend of this class tells anyone how a task ended.

    ``rpc://`` sends each result to the process that started the task, once, and to read it there
    takes it away (celery/backends/rpc.py).
    """
    return not issubclass(cls, (DisabledBackend, RPCBackend))


def outcome_of(backend: Any, task_id: str) -> Outcome | None:
    """Ask the backend. Blocks as long as its client library does.

    Args:
        backend: What :func:`open_backend` made, or ``app.backend``.
        task_id: Whose outcome.

    Returns:
        None where it knows of no end.

    Raises:
        Exception: whatever the client library raises when the backend is away.
    """
    if not can_be_asked(type(backend)):
        return None
    try:
        meta = backend.get_task_meta(task_id, cache=False)
    except (KeyError, TypeError, ValueError) as exc:
        if not _is_about_stored_exception(exc):
            raise
        # A state of an exception, stored by hand with something that is none: it is common.
        return Outcome("error", None, *failure("the task says that it failed"))
    match meta.get("status"):
        case states.SUCCESS:
            return Outcome("completed", meta.get("result"))
        case states.FAILURE:
            return Outcome("error", None, *failure(meta.get("result")))
        case states.REVOKED:
            return Outcome("cancelled", None, *REVOKED)
    return None


def _is_about_stored_exception(exc: Exception) -> bool:
    """Whether Celery could not make an exception of what was stored as one.

    Every other error of the same class is of the backend or its library, and no end of a task
    (celery/backends/base.py, ``Backend.exception_to_python``).
    """
    frames = traceback.walk_tb(exc.__traceback__)
    return any(frame.f_code.co_name == "exception_to_python" for frame, _ in frames)


def failure(exception: Any) -> tuple[str, str]:
    """The text and the type of what a task failed with.

    The text is what the task's code, or Celery, says of it, without what Celery puts there of the
    task's arguments.
    """
    if isinstance(exception, UnpickleableExceptionWrapper):
        # Celery's stand-in for an exception that cannot leave its process.
        said = ", ".join(rendering.text(argument) for argument in exception.exc_args)
        return without_arguments(said) or exception.exc_cls_name, exception.exc_cls_name
    said, name = rendering.error(exception)
    return guarded(_for_people, exception) or without_arguments(said), name


def without_arguments(said: str) -> str:
    """A text of Celery's, or of somebody who quotes it, without the task's arguments.

    ``self.retry()`` without tries left (celery/app/task.py) says ``Can't retry name[id] args:…
    kwargs:…``; a chord repeats what its parts say.
    """
    return _ARGUMENTS.sub(r"\1 any more: it was tried as often as max_retries allows", said)


_ARGUMENTS: Final = re.compile(r"(Can\\*'t retry .{1,500}?)\[[^\]]{0,1000}\] args:.*", re.DOTALL)
_JOB: Final = re.compile(r" Job: \d+\.$")
_MAX_PARTS: Final = 5


def _for_people(exception: Any) -> str | None:  # noqa: PLR0911 - a table
    """What Celery and billiard mean; None of what says it well enough itself."""
    first = exception.args[0] if exception.args else None
    if is_really(exception, TimeLimitExceeded):
        return f"the task ran longer than its time limit{_seconds(first)}"
    if is_really(exception, SoftTimeLimitExceeded):
        return f"the task ran longer than its soft time limit{_seconds(first)}"
    if is_really(exception, WorkerLostError):
        return _JOB.sub("", rendering.text(exception))
    if is_really(exception, Terminated) and type(first) is int:
        return f"the task was terminated (signal {abs(first)})"
    if is_really(exception, NotRegistered):
        return f"the worker does not know the task {rendering.text(first)}"
    if is_really(exception, BaseExceptionGroup):
        return _group(exception)
    if "pydantic" in type(exception).__module__ and hasattr(exception, "errors"):
        return _invalid(exception)
    return None


def _seconds(limit: Any) -> str:
    return f" of {limit:g} seconds" if type(limit) in {int, float} else ""


def _group(exception: Any) -> str:
    parts = [f"{name}: {said}" for said, name in map(failure, exception.exceptions[:_MAX_PARTS])]
    return without_arguments(rendering.text(f"{rendering.text(exception)}: {'; '.join(parts)}"))


def _invalid(exception: Any) -> str:
    """Of pydantic, which Celery has check a task's arguments: what is wrong, not with what."""
    found = exception.errors(include_url=False, include_context=False, include_input=False)
    parts = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found[:_MAX_PARTS]]
    return f"{len(found)} invalid in {exception.title}: {'; '.join(parts)}"
