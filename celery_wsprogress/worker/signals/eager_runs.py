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

    from celery_wsprogress.worker.publishing.publisher import Publisher
    from celery_wsprogress.worker.publishing.queue_entries import EncodedEvent
    from celery_wsprogress.worker.run_info import RunInfo

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
        self._active: dict[str, ActiveRun] = {}

    def begin(self, run: RunInfo, timestamp: float, announce: Callable[[], EncodedEvent]) -> None:
        """This run goes on from now on."""
        self._active[run.run_id] = ActiveRun(run.operation_id, run.run_id, timestamp, announce)

    def end(self, run: RunInfo) -> None:
        """This one does not any more."""
        self._active.pop(run.run_id, None)

    def forget(self) -> None:
        """They are the parent's. Called in a child."""
        self._active = {}

    def give_heartbeats_to(self, publisher: Publisher) -> None:
        """Have this process vouch for them, where nobody vouches for the runs of a worker."""
        if publisher.heartbeat_source is None:
            self.forget()
            publisher.heartbeat_source = self

    def __call__(self) -> Sequence[ActiveRun] | None:
        """Name the runs that go on."""
        return list(self._active.copy().values()) or None
