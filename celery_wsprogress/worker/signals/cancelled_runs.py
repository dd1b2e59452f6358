"""In the process that runs a task: the end of one that was cancelled, and has stopped itself."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from celery_wsprogress.worker.error_log import log_internal_error
from celery_wsprogress.worker.signals import messages

if TYPE_CHECKING:
    from celery_wsprogress.worker.cancel.task_cancelled import TaskCancelled

logger = logging.getLogger(__name__)


def store_revoked(task: Any, exception: TaskCancelled) -> str:
    """Store ``REVOKED`` as Celery does for a task that does not run, and return the error's text.

    Celery stores nothing for an ``Ignore``. This tells a chord, too, that one of its tasks failed
    (celery 5.7, celery/backends/base.py, ``mark_as_revoked``).

    Args:
        task: The task, bound to its app, with the request that ends.
        exception: What the task has raised.
    """
    text, request = messages.cancellation(exception), task.request
    ignores = task.ignore_result if request.ignore_result is None else request.ignore_result
    stores = task.store_errors_even_if_ignored if ignores else not request.is_eager
    try:
        task.backend.mark_as_revoked(request.id, text, request=request, store_result=stores)
    except Exception as exc:  # noqa: BLE001 - whatever the backend raises
        log_internal_error(logger, logging.ERROR, "A cancelled task cannot be stored", exc)
    return text
