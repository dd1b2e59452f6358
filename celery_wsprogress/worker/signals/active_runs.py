"""The active runs of a worker's pool, for the heartbeats of its main process.

They come from Celery's own set of active requests. A request enters it when the pool takes it, and
leaves it with every end, also with those that have no signal: a pool process that died after its
success was stored, or whose message was requeued. Forked children have no such source.
"""

from __future__ import annotations

import functools
from importlib import import_module
from typing import TYPE_CHECKING, Any

from celery_wsprogress.worker.policies import publishing_for, run_of, run_options_of
from celery_wsprogress.worker.publishing import encoded_events
from celery_wsprogress.worker.publishing.heartbeats import ActiveRun
from celery_wsprogress.worker.run_info import read_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from celery_wsprogress.worker.apps import AppPublishing
    from celery_wsprogress.worker.publishing.queue_entries import EncodedEvent
    from celery_wsprogress.worker.signals.received_requests import ReceivedRequests
    from celery_wsprogress.worker.signals.terminations import Terminations


class ActiveRuns:
    """The active runs of one app; a :data:`.ActiveRunSource`.

    Args:
        publishing: The settings and the publisher of the app.
        received: The received requests that still exist. While there are any, a run may start
            without an event of this process.
        terminations: Runs that Celery no longer calls active, but that may still be running.
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
        """Return the active runs; None if none can start before the next event."""
        active = [
            one for one in map(self.find, copy_of_changing_set(self._active)) if one is not None
        ]
        active += self._by_app.eager_runs() or ()
        active += self._terminations.active()
        return active if active or self._received else None

    def find(self, request: Any) -> ActiveRun | None:
        """Return the active run of a request; None if it is not started or not of this app."""
        header = read_header(request.request_dict)
        run, since = header.get("run"), request.time_start
        if not run or since is None or publishing_for(request.task, header) is not self._by_app:
            return None
        return ActiveRun(request.id, run, since, functools.partial(self._announce, request))

    def _announce(self, request: Any) -> EncodedEvent:
        run = run_of(request.task, request.request_dict)
        options = run_options_of(request.task, read_header(request.request_dict))
        return encoded_events.started(run, request.time_start, **options)


def copy_of_changing_set(changing: Iterable[Any]) -> Sequence[Any]:
    """Copy a set that another thread may change meanwhile."""
    while True:
        try:
            return tuple(changing)
        except RuntimeError:
            # It changed its size. It is as small as the pool, so that is seldom twice in a row.
            continue
