"""Celery's signals, connected once per process, and the line that connects them by hand.

Creating a ``StreamingTask`` connects them. ``install(app)`` is needed only where nothing else
imports the package: for ``wsprogress_tasks = "all"`` or a list of globs.

No handler ever raises: what goes wrong here is a line in the log, and the task runs on.
"""

from __future__ import annotations

import atexit
import functools
import logging
from typing import TYPE_CHECKING, Any, Final

from celery import signals

from celery_wsprogress.worker import apps, sending_apps
from celery_wsprogress.worker.error_log import log_internal_error
from celery_wsprogress.worker.logs import current
from celery_wsprogress.worker.plans.hooks import patch_canvases
from celery_wsprogress.worker.publishing.publishers import drain_all
from celery_wsprogress.worker.signals import (
    caller,
    main_process,
    shutdown,
    solo_control,
    start_line,
    successors,
    task_process,
)

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

WARM_SHUTDOWN_DRAIN: Final = 5.0
"""Seconds a process that ends in peace waits for its last events to leave."""
RECYCLE_DRAIN: Final = 1.0
"""Seconds a pool process that is recycled or terminated waits at the most: it holds the slot in
which the next task would run. A broker that is near takes milliseconds, one that is 30 ms away a
quarter of a second, since each process opens a connection of its own."""
UNTRUSTED_DRAIN: Final = 0.1
"""The same for a broker of which nobody knows that it answers."""


def install(app: Any) -> None:
    """Publish the life of this app's tasks as its settings say.

    Call it beside the app, after the app is configured, in every process: callers and workers.

    Raises:
        ConfigurationError: a ``wsprogress_…`` setting is bad.
    """
    apps.read_settings(app)
    sending_apps.register_app(app)
    connect()


@functools.cache
def connect() -> None:
    """Connect the handlers. Once per process, however often it is called."""
    for signal, handler in _HANDLERS:
        signal.connect(
            _log_errors(handler), weak=False, dispatch_uid=f"celery_wsprogress.{signal.name}"
        )
    successors.patch_chords()
    patch_canvases()
    atexit.register(_at_exit)


def _on_failure(**named: Any) -> None:
    if not task_process.failed(**named):
        main_process.failed(**named)
    successors.failed(main_process.request_of(named["sender"], named["task_id"]), **named)


def _on_retry(**named: Any) -> None:
    if not task_process.retried(**named):
        main_process.retried(**named)


def _on_postrun(**named: Any) -> None:
    left = task_process.postrun(**named)
    if left is not None:
        shutdown.record_abandoned(named["task"], left)


def _on_process_shutdown(exitcode: Any = None, **_: Any) -> None:
    # Anything but 0 is a pool process that was terminated, or recycled for its age or size.
    if exitcode == 0:
        drain_all(WARM_SHUTDOWN_DRAIN)
    else:
        drain_all(RECYCLE_DRAIN, UNTRUSTED_DRAIN)


def _on_worker_ready(**named: Any) -> None:
    solo_control.worker_ready(**named)
    start_line.worker_ready(**named)


def _on_worker_shutdown(**_: Any) -> None:
    solo_control.worker_shutdown()
    drain_all(WARM_SHUTDOWN_DRAIN)


def _at_exit() -> None:
    # After a shutdown that was interrupted tasks may have gone on until now, in threads.
    drain_all(WARM_SHUTDOWN_DRAIN)
    _log_errors(shutdown.worker_ended)()
    drain_all(WARM_SHUTDOWN_DRAIN)


def _log_errors(handler: Callable[..., Any]) -> Callable[..., None]:
    """The handler with its errors logged: the first one in full."""
    level = logging.ERROR

    @functools.wraps(handler)
    def handle(**named: Any) -> None:
        nonlocal level
        try:
            handler(**named)
        except Exception as exc:  # noqa: BLE001 - whatever goes wrong here
            log_internal_error(logger, level, f"Task events: {handler.__name__} failed", exc)
            level = logging.DEBUG

    return handle


_HANDLERS: Final[tuple[tuple[Any, Callable[..., Any]], ...]] = (
    (signals.before_task_publish, caller.before_publish),
    (signals.after_task_publish, caller.after_publish),
    (signals.worker_process_init, current.worker_process_init),
    (signals.worker_init, main_process.patch_worker),
    (signals.worker_ready, _on_worker_ready),
    (signals.task_received, main_process.received),
    (signals.task_prerun, task_process.started),
    (signals.task_success, task_process.succeeded),
    (signals.task_failure, _on_failure),
    (signals.task_retry, _on_retry),
    (signals.task_revoked, main_process.revoked),
    (signals.task_unknown, main_process.unknown),
    (signals.task_rejected, main_process.rejected),
    (signals.task_internal_error, task_process.internal_error),
    (signals.task_postrun, _on_postrun),
    (signals.worker_process_shutdown, _on_process_shutdown),
    (signals.worker_shutting_down, shutdown.shutting_down),
    (signals.worker_shutdown, _on_worker_shutdown),
)
