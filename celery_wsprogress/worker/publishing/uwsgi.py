"""The state of uWSGI in this process: it forks in C, and may not run our threads."""

from __future__ import annotations

import logging
import os
import sys
from typing import Final

logger = logging.getLogger(__name__)

DRAIN_TIMEOUT: Final = 1.0
"""Seconds to write everything before the master forks in C."""


def is_master() -> bool:
    """Return whether this is uWSGI's master, which imports the application and then forks."""
    module = sys.modules.get("uwsgi")
    try:
        return (
            module is not None
            # Workers and mules are numbered from 1. A spooler is 0, too, but not its own master.
            and module.worker_id() == module.mule_id() == 0
            and module.masterpid() in {0, os.getpid()}
        )
    except AttributeError:
        # Another module of this name.
        return False


def warn_without_threads() -> None:
    """Warn where threads run only during a request, which delays the last events of each.

    Without ``enable-threads`` a worker of uWSGI 2.0 holds the GIL while it waits (plugins/python).
    """
    module = sys.modules.get("uwsgi")
    if module is not None and not getattr(module, "has_threads", True):
        logger.warning(
            "Task events leave late: uWSGI runs without threads, and none while it waits for "
            "requests; set `enable-threads = true`"
        )
