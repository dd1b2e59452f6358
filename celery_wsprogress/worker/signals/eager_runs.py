"""Runs that no worker has received: of tasks that are called eagerly, in the process of the caller.

``task_always_eager`` and ``apply()`` publish no message. What they run begins with ``started``, and
ends as its ``EagerResult`` says. The process that runs them vouches for them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.worker.publishing.heartbeats import ActiveRun
from celery_wsprogress.worker.run_info import HEADER, read_header

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from celery_wsprogress.worker.apps import AppPublishing
    from celery_wsprogress.worker.publishing.encoded_events import EncodedEvent
    from celery_wsprogress.worker.run_info import Run

#: Left from outside, not failed.
CANCELLED: Final = (KeyboardInterrupt, GeneratorExit)


def runs_in_tests() -> bool:
    """Whether this process runs tests: by pytest, Django's runner, or ``python -m unittest``."""
    if "pytest" in sys.modules or "django.test.runner" in sys.modules:
        return True
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return spec is not None and spec.name == "unittest.__main__"


def headers_of(request: Any) -> Mapping[str, Any]:
    """What its message would have said: the caller's headers stand apart in an eager request."""
    headers = vars(request)
    return {**headers, HEADER: read_header(headers.get("headers") or {})}


class EagerRuns:
    """The eager runs of one app that go on; a :data:`.ActiveRunSource`."""

    def __init__(self) -> None:
        self._going: dict[str, ActiveRun] = {}

    def begin(self, run: Run, now: float, announce: Callable[[], EncodedEvent]) -> None:
        """This run goes on from now on."""
        self._going[run.run] = ActiveRun(run.operation_id, run.run, now, announce)

    def end(self, run: Run) -> None:
        """This one does not any more."""
        self._going.pop(run.run, None)

    def forget(self) -> None:
        """They are the parent's. Called in a child."""
        self._going = {}

    def __call__(self) -> Sequence[ActiveRun] | None:
        """Name the runs that go on."""
        return list(self._going.copy().values()) or None


def give_heartbeats_for(reporting: AppPublishing) -> None:
    """Have this process vouch for its eager runs, where nobody vouches for those of a worker."""
    if reporting.publisher.heartbeat_source is None:
        reporting.eager_runs.forget()
        reporting.publisher.heartbeat_source = reporting.eager_runs
