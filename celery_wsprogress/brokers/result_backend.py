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
    """What it returned, not yet rendered."""
    error: str = ""
    error_type: str = ""
    reason: str = ""
    """What may be said in place of ``error`` where that may not leave; empty: no more than that."""

    def shown(self, *, full: bool) -> str:
        """What watchers read of the error.

        Args:
            full: Whether the error's own text may leave its worker.
        """
        # How a task was revoked is said in words of ours.
        whole = full or self.end == "cancelled"
        return self.error if whole else self.reason or jsonable.WITHHELD


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
        return cls(app=app, url=own_url) if stores_results(cls) else None
    except (ImproperlyConfigured, ImportError, ValueError, TypeError, AttributeError) as exc:
        # What these say may quote a part of the URL, and so of a password.
        shown = masked(named) if isinstance(named, str) else named
        allowed = f"a result backend that Celery knows ({type(exc).__name__})"
        raise ConfigurationError("result backend", shown, allowed) from None


def stores_results(cls: type) -> bool:
    """Whether a result backend of this class tells anyone how a task ended.

    ``rpc://`` sends each result to the process that started the task, once, and to read it there
    takes it away (celery/backends/rpc.py).
    """
    return not issubclass(cls, (DisabledBackend, RPCBackend))


def fetch_outcome(backend: Any, task_id: str) -> Outcome | None:
    """Ask the backend. Blocks as long as its client library does.

    Args:
        backend: What :func:`open_backend` made, or ``app.backend``.
        task_id: Whose outcome.

    Returns:
        None where it knows of no end.

    Raises:
        Exception: whatever the client library raises when the backend is away.
    """
    if not stores_results(type(backend)):
        return None
    try:
        meta = backend.get_task_meta(task_id, cache=False)
    except (KeyError, TypeError, ValueError) as exc:
        if not _is_about_stored_exception(exc):
            raise
        # A state of an exception, stored by hand with something that is none: it is common.
        said = "the task says that it failed"
        return Outcome("error", None, *failure(said), said)
    match meta.get("status"):
        case states.SUCCESS:
            return Outcome("completed", meta.get("result"))
        case states.FAILURE:
            return _failed(meta.get("result"))
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


def _failed(exception: Any) -> Outcome:
    """The end of a task, by the exception that the backend has made of what was stored."""
    said, name = failure(exception)
    reason = call_safely(_reason, exception) or ""
    if type(exception) is Exception and (found := _NOT_REBUILT.match(jsonable.to_text(exception))):
        # Celery could not call the class with what was stored, and quotes both.
        said, name = said.removeprefix(found[0]).strip() or found[1], found[1]
    # A class that is not known here has its qualified name.
    return Outcome("error", None, said, name.rpartition(".")[2] or name, reason)


_NOT_REBUILT: Final = re.compile(r"<class '(?:[^']*\.)?([^'.]+)'>")
"""celery/backends/base.py, ``Backend.exception_to_python``."""


def failure(exception: Any, *, full: bool = True) -> tuple[str, str]:
    """The text and the type of what a task failed with.

    The text is what the task's code, or Celery, says of it, without what Celery puts there of the
    task's arguments.

    Args:
        exception: What it failed with.
        full: Whether the text that code of the user's or of a library has made may leave. Else it
            is a sentence of ours.
    """
    if not full:
        wrapped = isinstance(exception, UnpickleableExceptionWrapper)
        name = exception.exc_cls_name if wrapped else jsonable.type_name(exception)
        return call_safely(_reason, exception) or jsonable.WITHHELD, name
    if isinstance(exception, UnpickleableExceptionWrapper):
        # Celery's stand-in for an exception that cannot leave its process.
        said = ", ".join(jsonable.to_text(argument) for argument in exception.exc_args)
        return without_arguments(said) or exception.exc_cls_name, exception.exc_cls_name
    said, name = jsonable.describe_error(exception)
    return call_safely(_for_people, exception) or without_arguments(said), name


def without_arguments(said: str) -> str:
    """A text of Celery's, or of somebody who quotes it, without the task's arguments.

    ``self.retry()`` without tries left (celery/app/task.py) says ``Can't retry name[id] args:…
    kwargs:…``; a chord repeats what its parts say.
    """
    return _ARGUMENTS.sub(rf"\1 {_NO_MORE}", said)


_ARGUMENTS: Final = re.compile(r"(Can\\*'t retry .{1,500}?)\[[^\]]{0,1000}\] args:.*", re.DOTALL)
_JOB: Final = re.compile(r" Job: \d+\.$")
_MAX_PARTS: Final = 5


def _reason(exception: Any) -> str | None:
    """What is meant by an exception of Celery's own, where that is sure to quote nobody's values.

    Anybody may raise these classes, with any text: only what Celery itself writes is repeated.
    """
    first = exception.args[0] if exception.args else None
    said = first if type(first) is str else ""
    if has_type(exception, (TimeLimitExceeded, SoftTimeLimitExceeded, Terminated)):
        return _for_people(exception)
    if has_type(exception, WorkerLostError):
        return (_LOST.match(said) or ("the process that ran the task was lost",))[0]
    if has_type(exception, NotRegistered):
        known = f" {said}" if _TASK.fullmatch(said) else ""
        return f"the worker does not know the task{known}"
    if has_type(exception, MaxRetriesExceededError):
        name = _NO_TRY.match(said)
        return f"Can't retry {name[1] if name else 'it'} {_NO_MORE}"
    if has_type(exception, ChordError):
        return _chord(said) or "a part of the chord failed"
    return None


_NO_MORE: Final = "any more: it was tried as often as max_retries allows"
_LOST: Final = re.compile(r"Worker exited prematurely: (?:signal \d+(?: \(SIG\w+\))?|exitcode \d+)")
_TASK: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)
_NO_TRY: Final = re.compile(rf"Can't retry ({_TASK.pattern})\[[^\]]{{0,1000}}\] args:", re.ASCII)
_CHORD: Final = re.compile(
    r"(Dependency [\w-]{1,100} raised|Callback error:|Join error:|Cannot restore group:) "
    r"([A-Za-z_]\w{0,200})?",
    re.ASCII,
)


def _chord(said: str) -> str | None:
    """Which part of a chord failed, and with what; None of another text.

    Celery quotes what the part has raised (celery/backends/base.py, ``on_chord_part_return``). Who
    fails the chord does not know that task, nor whether its text may leave; those who may see it
    find it at the part itself.
    """
    found = _CHORD.match(said)
    return f"{found[1]} {found[2] or 'an error'}" if found else None


def _for_people(exception: Any) -> str | None:  # noqa: PLR0911 - a table
    """What Celery and billiard mean; None of what says it well enough itself."""
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
        return _chord(jsonable.to_text(first))
    if has_type(exception, BaseExceptionGroup):
        return _group(exception)
    if "pydantic" in type(exception).__module__ and hasattr(exception, "errors"):
        return _invalid(exception)
    return None


def _seconds(limit: Any) -> str:
    return f" of {limit:g} seconds" if type(limit) in {int, float} else ""


def _group(exception: Any) -> str:
    parts = [f"{name}: {said}" for said, name in map(failure, exception.exceptions[:_MAX_PARTS])]
    return without_arguments(jsonable.to_text(f"{jsonable.to_text(exception)}: {'; '.join(parts)}"))


def _invalid(exception: Any) -> str:
    """Of pydantic, which Celery has check a task's arguments: what is wrong, not with what."""
    found = exception.errors(include_url=False, include_context=False, include_input=False)
    parts = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found[:_MAX_PARTS]]
    return f"{len(found)} invalid in {exception.title}: {'; '.join(parts)}"
