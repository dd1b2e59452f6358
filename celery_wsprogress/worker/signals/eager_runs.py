"""Eager runs (``task_always_eager``, ``apply()``), which have no message and no worker.

They run in the process of the caller, which sends their events, from ``started`` on, and their
heartbeats.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.worker.publishing.heartbeats import ActiveRun
from celery_wsprogress.worker.run_info import HEADER, read_header

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from celery_wsprogress.worker.publishing.publisher import Publisher
    from celery_wsprogress.worker.publishing.queue_entries import EncodedEvent
    from celery_wsprogress.worker.run_info import RunInfo

#: Exceptions that cancel a run from outside; it has not failed.
CANCELLED: Final = (KeyboardInterrupt, GeneratorExit)


def runs_in_tests() -> bool:
    """Return whether this process runs pytest, Django's tests, or ``python -m unittest``."""
    if "pytest" in sys.modules or "django.test.runner" in sys.modules:
        return True
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return spec is not None and spec.name == "unittest.__main__"


def headers_of(request: Any) -> Mapping[str, Any]:
    """Return the headers that a message would have; an eager request keeps the caller's apart."""
    headers = vars(request)
    return {**headers, HEADER: read_header(headers.get("headers") or {})}


class EagerRuns:
    """The active eager runs of one app; a :data:`.ActiveRunSource`."""

    def __init__(self) -> None:
        self._active: dict[str, ActiveRun] = {}

    def begin(self, run: RunInfo, timestamp: float, announce: Callable[[], EncodedEvent]) -> None:
        """Add a run, with its start in epoch seconds."""
        self._active[run.run_id] = ActiveRun(run.operation_id, run.run_id, timestamp, announce)

    def end(self, run: RunInfo) -> None:
        """Remove a run."""
        self._active.pop(run.run_id, None)

    def forget(self) -> None:
        """Remove all runs, which are the parent's, in a forked child."""
        self._active = {}

    def give_heartbeats_to(self, publisher: Publisher) -> None:
        """Send heartbeats for these runs, unless the publisher has another source: a worker's."""
        if publisher.heartbeat_source is None:
            self.forget()
            publisher.heartbeat_source = self

    def __call__(self) -> Sequence[ActiveRun] | None:
        """Return the active runs; None if there are none."""
        return list(self._active.copy().values()) or None
