"""The ends of runs that the worker's main process publishes, each once."""

from __future__ import annotations

import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.worker.policies import publishing_for, streams_errors, streams_result
from celery_wsprogress.worker.publishing.lookups import Lookup
from celery_wsprogress.worker.run_info import read_header
from celery_wsprogress.worker.signals.backend_outcome import events_from_backend

if TYPE_CHECKING:
    from celery_wsprogress.worker.publishing.queue_entries import EncodedEvent
    from celery_wsprogress.worker.run_info import RunInfo

#: Ids of runs whose end was published here: Celery signals a hard time limit twice.
published: Final[deque[str]] = deque(maxlen=1_000)


def publish(task: Any, request: Any, run: RunInfo, end: EncodedEvent) -> None:
    """Publish the end of a run.

    Args:
        task: The task, bound to its app.
        request: Celery's request of it, or its headers.
        run: The run.
        end: Its last event.
    """
    publishing = publishing_for(task, read_header(request))
    if publishing is not None and run.run_id not in published:
        published.append(run.run_id)
        publishing.publisher.emit((end,))


def publish_from_backend(
    task: Any, request: Any, run: RunInfo, otherwise: EncodedEvent, revoked: str = ""
) -> None:
    """Publish the end of a run whose process is gone: what the backend has, else ``otherwise``.

    Args:
        task: The task, bound to its app.
        request: Celery's request of it, or its headers.
        run: The run.
        otherwise: The event if the backend knows no end.
        revoked: The error of a revoked run, if it is better known than in the backend.
    """
    header = read_header(request)
    publishing = publishing_for(task, header)
    if publishing is None or run.run_id in published:
        return
    published.append(run.run_id)
    ask = partial(
        events_from_backend,
        task,
        run,
        time.time(),
        lambda: (otherwise,),
        streams_result=streams_result(task, header),
        streams_errors=streams_errors(task, header),
        revoked=revoked,
    )
    publishing.publisher.look_up(Lookup(ask, lambda: (otherwise,)))
