"""What uWSGI is doing with this process: it forks in C, and may run no threads of ours."""

from __future__ import annotations

import logging
import os
import sys
from typing import Final

logger = logging.getLogger(__name__)

DRAIN_TIMEOUT: Final = 1.0
"""Seconds to write everything before the master forks in C."""


def is_master() -> bool:
    """Whether this is uWSGI while it imports the application of which it will fork its workers."""
    module = sys.modules.get("uwsgi")
    try:
        return (
            module is not None
            # A worker has a number from 1 on; so has a mule. A spooler has its master's id.
            and module.worker_id() == module.mule_id() == 0
            and module.masterpid() in {0, os.getpid()}
        )
    except AttributeError:
        # Somebody else's module of this name.
        return False


def warn_without_threads() -> None:
    """Warn where threads run only during a request: the last events of each request are late.

    uWSGI's worker keeps Python's lock while it waits, unless it was told that there are threads
    (uWSGI 2.0, plugins/python; ``uwsgi.has_threads`` is what it was told).
    """
    module = sys.modules.get("uwsgi")
    if module is not None and not getattr(module, "has_threads", True):
        logger.warning(
            "Task events leave late: uWSGI runs without threads, and so none while it waits for "
            "requests; set `enable-threads = true`"
        )
