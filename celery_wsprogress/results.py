"""How a task ended, as Celery's result backend tells it.

Asked where nobody else can say: by the flusher of a worker, of a task that stored its outcome
itself and raised ``Ignore``; and by a sidecar, of a run that fell silent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from celery import Celery, states
from celery.app import backends
from celery.backends.base import DisabledBackend
from celery.exceptions import ImproperlyConfigured
from celery.utils.serialization import UnpickleableExceptionWrapper

from celery_wsprogress import rendering
from celery_wsprogress.errors import ConfigurationError
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

    Connects to nothing.

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
        return None if cls is DisabledBackend else cls(app=app, url=own_url)
    except (ImproperlyConfigured, ImportError, ValueError, TypeError, AttributeError) as exc:
        # What these say may quote a part of the URL, and so of a password.
        shown = masked(named) if isinstance(named, str) else named
        allowed = f"a result backend that Celery knows ({type(exc).__name__})"
        raise ConfigurationError("result backend", shown, allowed) from None


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
    try:
        meta = backend.get_task_meta(task_id, cache=False)
    except (KeyError, TypeError, ValueError):
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


def failure(exception: Any) -> tuple[str, str]:
    """The text and the type of what a task failed with."""
    if isinstance(exception, UnpickleableExceptionWrapper):
        # Celery's stand-in for an exception that cannot leave its process.
        said = ", ".join(rendering.text(argument) for argument in exception.exc_args)
        return said or exception.exc_cls_name, exception.exc_cls_name
    return rendering.error(exception)
