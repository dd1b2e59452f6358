"""In the worker's main process: which runs its pool is busy with.

The truth is Celery's own set of active requests. A request enters it when a process or thread of
the pool takes it, and leaves it with every end there is, also with those that have no signal: a
pool process that died after its success was stored, or whose message went back into its queue.
What is forked of this process, a child of the pool or of a task's own, is never asked:
witnesses do not survive a fork.
"""

from __future__ import annotations

import functools
from importlib import import_module
from typing import TYPE_CHECKING, Any

from celery_wsprogress.worker.policies import publishing_for, run_options_of
from celery_wsprogress.worker.publishing import encoded_events
from celery_wsprogress.worker.publishing.heartbeats import ActiveRun
from celery_wsprogress.worker.run_info import RunInfo, read_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from celery_wsprogress.worker.apps import AppPublishing
    from celery_wsprogress.worker.publishing.queue_entries import EncodedEvent
    from celery_wsprogress.worker.signals.received_requests import ReceivedRequests
    from celery_wsprogress.worker.signals.terminations import Terminations


class ActiveRuns:
    """Vouches for the runs of one app; a :data:`.ActiveRunSource`.

    Args:
        reporting: Of the app.
        received: Everything that was received and still exists. While there is something, a run
            may begin without a word from this process.
        terminations: Runs that Celery does not call active any more, and that may still go on.
    """

    def __init__(
        self, publishing: AppPublishing, received: ReceivedRequests, terminations: Terminations
    ) -> None:
        self._by_app = publishing
        self._received = received
        self._terminations = terminations
        # Callers load this module, too, and have no use for the whole of Celery's worker.
        self._active: Iterable[Any] = import_module("celery.worker.state").active_requests

    def __call__(self) -> Sequence[ActiveRun] | None:
        """Name the runs that go on."""
        active = [
            one for one in map(self.find, copy_of_changing_set(self._active)) if one is not None
        ]
        active += self._by_app.eager_runs() or ()
        active += self._terminations.active()
        return active if active or self._received else None

    def find(self, request: Any) -> ActiveRun | None:
        """What is said of a request that is being run; None where it is not this app's to say."""
        header = read_header(request.request_dict)
        run, since = header.get("run"), request.time_start
        if not run or since is None or publishing_for(request.task, header) is not self._by_app:
            return None
        return ActiveRun(request.id, run, since, functools.partial(self._announce, request))

    def _announce(self, request: Any) -> EncodedEvent:
        run = RunInfo.from_request(request.request_dict, request.task.name)
        options = run_options_of(request.task, read_header(request.request_dict))
        return encoded_events.started(run, request.time_start, **options)


def copy_of_changing_set(changing: Iterable[Any]) -> Sequence[Any]:
    """What is in a set that another thread changes meanwhile."""
    while True:
        try:
            return tuple(changing)
        except RuntimeError:
            # It changed its size. It is as small as the pool, so that is seldom twice in a row.
            continue
