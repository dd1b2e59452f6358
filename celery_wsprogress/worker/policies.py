"""The policy of a task: whether its life cycle is published, with or without result and errors.

The attributes of the task come first, then the settings of its app. Signal handlers ask here.
"""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import structs

from celery_wsprogress.protocol import jsonable
from celery_wsprogress.setting_parsers import ERROR_CHOICES, FULL, TRACEBACK, TYPE, error_choice
from celery_wsprogress.worker.apps import publishing_of
from celery_wsprogress.worker.logs.options import LogOptions, find_log_options
from celery_wsprogress.worker.redaction import Redactor, exposed_arguments, find_redactor
from celery_wsprogress.worker.run_info import WITHHOLD, WITHHOLD_ERRORS, RunInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery_wsprogress.settings import WorkerSettings
    from celery_wsprogress.worker.apps import AppPublishing
    from celery_wsprogress.worker.publishing.encoded_events import RunOptions

logger = logging.getLogger(__name__)


class TaskPolicy(NamedTuple):
    """The parts of a task's life cycle that are published."""

    publishing: AppPublishing
    always: bool
    """Whether it is published whatever the header of its message says."""
    streams_result: bool
    streams_errors: bool
    streams_tracebacks: bool
    redactor: Redactor | None
    logs: LogOptions | None
    """What is streamed of its log records and printed lines; None for nothing."""


_POLICY_ATTRIBUTE: Final = "_wsprogress_policy"


def policy_of(task: Any) -> TaskPolicy:
    """Return the policy of a task that is bound to its app."""
    # Needed several times a run, of plain tasks, too: the task itself caches it.
    found: TaskPolicy | None = vars(task).get(_POLICY_ATTRIBUTE)
    if found is None:
        publishing = publishing_of(task.app)
        streaming = getattr(task, "_streams_progress", False)
        always = publishing.publishes(task.name, streaming=streaming, header={})
        settings = publishing.settings
        errors = _error_choice(settings, task)
        found = TaskPolicy(
            publishing,
            always,
            _streams_result(settings, task),
            errors != TYPE,
            errors == TRACEBACK,
            find_redactor(task, settings.redact),
            find_log_options(task, settings),
        )
        setattr(task, _POLICY_ATTRIBUTE, found)
    return found


def publishing_for(task: Any, header: Mapping[str, Any]) -> AppPublishing | None:
    """Return the settings and the publisher for a run; None if it is not published.

    Args:
        task: The task, bound to its app.
        header: Our header of its message.
    """
    policy = policy_of(task)
    if policy.always or (
        header and policy.publishing.publishes(task.name, streaming=False, header=header)
    ):
        return policy.publishing
    return None


def streams_result(task: Any, header: Mapping[str, Any]) -> bool:
    """Return whether the events of a run contain its result; arguments as above."""
    return policy_of(task).streams_result and not (header and header.get(WITHHOLD))


def streams_errors(task: Any, header: Mapping[str, Any]) -> bool:
    """Return whether the events of a run contain the texts of its errors; arguments as above."""
    return policy_of(task).streams_errors and not (header and header.get(WITHHOLD_ERRORS))


def run_options_of(task: Any, header: Mapping[str, Any]) -> RunOptions:
    """Return the options in a run's ``received`` and ``started``; arguments as above."""
    return {
        # A sidecar that reads a result from the backend cannot redact it.
        "stream_result": streams_result(task, header) and policy_of(task).redactor is None,
        "stream_errors": streams_errors(task, header),
        "acks_late": bool(task.acks_late),
    }


def run_of(task: Any, request: Any) -> RunInfo:
    """Return the run of a request, as :meth:`.RunInfo.from_request`, with redacted metadata."""
    run, redactor = RunInfo.from_request(request, task.name), policy_of(task).redactor
    if redactor is None or not run.metadata:
        return run
    return structs.replace(run, metadata=redactor.to_object(run.metadata))


def with_exposed_arguments(
    task: Any, header: Mapping[str, Any], args: Any, kwargs: Any
) -> Mapping[str, Any]:
    """Return a header whose metadata contain the arguments that the task shows."""
    exposed = exposed_arguments(task, args, kwargs)
    if not exposed:
        return header
    return {**header, "metadata": {**jsonable.to_object(header.get("metadata")), **exposed}}


def _streams_result(settings: WorkerSettings, task: Any) -> bool:
    own = getattr(task, "stream_result", None)
    return settings.stream_result if own is None else bool(own)


def _error_choice(settings: WorkerSettings, task: Any) -> str:
    choice = _own_choice(task) or settings.stream_errors
    return choice or (FULL if _streams_result(settings, task) else TYPE)


def _own_choice(task: Any) -> str | None:
    """Return the task's own ``stream_errors``; an invalid one is ``"type"``, with a warning."""
    own = getattr(task, "stream_errors", None)
    if own is None:
        return None
    try:
        return error_choice(own)
    except ValueError:
        shown = jsonable.to_text(own, 100)
        _warn_once(
            f"stream_errors of the task {task.name} is {shown!r}, but must be {ERROR_CHOICES}; "
            f"it is taken for {TYPE!r}"
        )
        return TYPE


@functools.cache
def _warn_once(sentence: str) -> None:
    logger.warning("%s", sentence)
