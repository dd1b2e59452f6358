"""In the worker's main process: tasks whose process was sent a signal, until they have ended.

Celery calls a task revoked as soon as it has sent the signal (celery/worker/request.py,
``Request.terminate``). What the signal does is another matter: a task may handle SIGTERM and return
its result, SIGUSR1 is a soft time limit to a pool process, and SIGCONT is nothing at all. So its
process is watched: where that dies, the run ends as the result backend says, and as cancelled where
that does not know; where the task ends otherwise, its own process says how.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from celery_wsprogress.worker.error_log import log_internal_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from celery_wsprogress.worker.publishing.heartbeats import ActiveRun

logger = logging.getLogger(__name__)

POLL_INTERVAL: Final = 0.02
"""Seconds between two looks at the processes."""

RESULT_TIMEOUT: Final = 0.2
"""Seconds in which the result of a task may still arrive whose process is gone."""

TERMINATING_TIMEOUT: Final = 1.0
"""Seconds after which a task that still runs gets the status ``terminating``."""


class Termination(NamedTuple):
    """A run whose process was sent a signal."""

    request: Any
    """Celery's request in the main process."""
    active: ActiveRun
    """The run in the heartbeats until then."""
    report_end: Callable[[], None]
    """Publishes the end. Called by the watching thread once the process is gone."""
    report_terminating: Callable[[], None]
    """Publishes the status ``terminating``. Called once, by the same thread."""


class Terminations:
    """Watches the processes, in a thread that there is only as long as there are some."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: dict[int, _WatchedTask] = {}

    def add(self, termination: Termination) -> bool:
        """Watch a run. False where it is no child of this process that runs it."""
        pid = termination.request.worker_pid
        if not _is_child(pid):
            return False
        with self._lock:
            self._watched[id(termination.request)] = _WatchedTask(termination, time.monotonic())
            if len(self._watched) == 1:
                name = "celery-wsprogress-terminations"
                threading.Thread(target=self._run, name=name, daemon=True).start()
        return True

    def active(self) -> Sequence[ActiveRun]:
        """The runs that are watched: they may still go on."""
        with self._lock:
            return [watch.termination.active for watch in self._watched.values()]

    def _run(self) -> None:
        while True:
            with self._lock:
                watched = list(self._watched.items())
            for number, watch in watched:
                if watch.check(time.monotonic()):
                    with self._lock:
                        del self._watched[number]
                        if not self._watched:
                            return
            time.sleep(POLL_INTERVAL)


class _WatchedTask:
    """Looks at one of them again and again."""

    def __init__(self, termination: Termination, since: float) -> None:
        self.termination = termination
        # The pool forgets it as soon as it is there.
        self._result = _result_of(termination.request)
        self._since = since
        self._gone_since: float | None = None
        self._reported = False

    def check(self, now: float) -> bool:
        """Publish what is due. True when the watch is over."""
        if self._gone_since is None and not _is_child(self.termination.request.worker_pid):
            self._gone_since = now
        result = self._result
        if result is not None and result.ready():
            # A task that has ended otherwise was spoken for by its own process.
            if self._gone_since is not None and not result.successful():
                _call_logged(self.termination.report_end)
            return True
        if self._gone_since is not None and now - self._gone_since > RESULT_TIMEOUT:
            _call_logged(self.termination.report_end)
            return True
        if not self._reported and now - self._since > TERMINATING_TIMEOUT:
            self._reported = True
            _call_logged(self.termination.report_terminating)
        return False


def _result_of(request: Any) -> Any:
    """The pool's result of a request, as long as it exists (celery/worker/request.py)."""
    reference = request._apply_result  # noqa: SLF001 - nothing public leads there
    return None if reference is None else reference()


def _is_child(pid: Any) -> bool:
    """Whether this is a child of this process that runs. It is left to its pool to reap."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except (OSError, TypeError, ValueError, OverflowError):
        return False


def _call_logged(report: Callable[[], None]) -> None:
    try:
        report()
    except Exception as exc:  # noqa: BLE001 - whatever goes wrong here
        log_internal_error(logger, logging.ERROR, "Task events: an end cannot be published", exc)
