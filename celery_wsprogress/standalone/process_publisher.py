"""Where the operations of this process are written to: one publisher, made when first needed.

It is as safe to fork as every :class:`.Publisher`. Whoever
ends in peace waits for it: a script, a child of :mod:`multiprocessing`, a pool process of
Celery's.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from importlib import import_module
from typing import Final

from celery_wsprogress import brokers, fork
from celery_wsprogress.brokers.discovery import default_address, load_settings
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.settings import WorkerSettings
from celery_wsprogress.urls import masked
from celery_wsprogress.worker.publishing.publisher import Publisher
from celery_wsprogress.worker.publishing.publishers import children, drain_all

logger = logging.getLogger(__name__)

DRAIN_TIMEOUT: Final = 5.0
"""Seconds a process that ends waits for its last events to leave; 0 when the broker is known to
be away."""

_lock = threading.Lock()
_cache: list[Publisher | None] = []
"""Empty until the first operation. None in it: the settings switch events off."""
_drained_pid = 0
"""The process that was last arranged to wait at its end."""


def process_publisher() -> Publisher | None:
    """The publisher of this process's operations; None where events are switched off.

    A bad setting is logged once, and switches them off.
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
    return Publisher(
        lambda: brokers.open_writer(address),
        masked(address.url),
        settings,
        address.secrets,
        trusted=settings.url is None,
    )


def _warn_if_unseen(url: str) -> None:
    """Say so where nobody can see what is published: in memory, and no server in this process."""
    server = sys.modules.get("celery_wsprogress.sidecar.embedded.background")
    if url.startswith("memory:") and (server is None or not server.is_websocket_running()):
        logger.warning(
            "Nobody can see the operations of this process: they go to no broker, and no server "
            "runs here. Set WSPROGRESS_URL (redis://localhost:6379/0), make the Celery application "
            "with its broker before the first operation, or call start_websocket_background()"
        )


def _drain_at_exit() -> None:
    """Have this process wait at its end until its events are written."""
    global _drained_pid
    first, _drained_pid = not _drained_pid, os.getpid()
    if first:
        atexit.register(drain_all, DRAIN_TIMEOUT)
    if "celery" in sys.modules:
        # Celery's pool processes leave without a word to `atexit`, but not to its signals.
        import_module("celery_wsprogress.worker.signals.handlers").connect()
    children.arrange()


def _reset() -> None:
    global _lock  # noqa: PLW0603 - whoever held it is not in this process
    _lock = threading.Lock()


fork.register(_reset)
