"""The publisher of the standalone operations of this process, made when first needed.

Used by :mod:`.registry`. It survives a fork as every :class:`.Publisher`. A process that ends
regularly waits for it: a script, a child of :mod:`multiprocessing`, a pool process of Celery's.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Final

from celery_wsprogress import brokers, fork, running_server
from celery_wsprogress.brokers.discovery import default_address, load_settings
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.settings import WorkerSettings
from celery_wsprogress.worker.publishing.publishers import children, drain_all, open_publisher

if TYPE_CHECKING:
    from celery_wsprogress.worker.publishing.publisher import Publisher

logger = logging.getLogger(__name__)

DRAIN_TIMEOUT: Final = 5.0
"""Seconds that a process waits at its end until its last events are written; 0 when the broker is
known to be down."""

_lock = threading.Lock()
_cache: list[Publisher | None] = []
"""Empty until the first operation; None in it where the settings switch events off."""
_drained_pid = 0
"""The id of the process whose end was last made to wait; 0 for none."""


def process_publisher() -> Publisher | None:
    """Return the publisher of this process's operations; None where events are switched off.

    A bad setting is logged once, and switches events off.
    """
    fork.notice()
    if not _cache:
        with _lock:
            if not _cache:
                _cache.append(_create())
    if _drained_pid != os.getpid():
        _drain_at_exit()
    return _cache[0]


def _create() -> Publisher | None:
    try:
        settings = load_settings(WorkerSettings)
        address = default_address(write=True)
        # As in worker/apps: imported here, because the flusher's import may be cut by a fork.
        brokers.prepare(address)
    except ConfigurationError as exc:
        logger.error("Operation events are switched off: %s", exc)  # noqa: TRY400 - no traceback
        return None
    if not settings.enabled:
        return None
    _warn_if_unseen(address.url)
    return open_publisher(address, settings)


def _warn_if_unseen(url: str) -> None:
    """Warn where the events stay in memory and no server runs in this process to show them."""
    if url.startswith("memory:") and not running_server.is_running():
        logger.warning(
            "Nobody can see the operations of this process: they go to no broker, and no server "
            "runs here. Set WSPROGRESS_URL (redis://localhost:6379/0), make the Celery application "
            "with its broker before the first operation, or call start_websocket_background()"
        )


def _drain_at_exit() -> None:
    """Make the end of this process wait until its events are written."""
    global _drained_pid
    first, _drained_pid = not _drained_pid, os.getpid()
    if first:
        atexit.register(drain_all, DRAIN_TIMEOUT)
    if "celery" in sys.modules:
        # billiard's processes end by os._exit(), which skips `atexit`; Celery's signals are sent.
        import_module("celery_wsprogress.worker.signals.handlers").connect()
    children.arrange()


def _reset() -> None:
    global _lock  # noqa: PLW0603 - whoever held it is not in this process
    _lock = threading.Lock()


fork.register(_reset)
