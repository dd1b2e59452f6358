"""The exit of children of :mod:`multiprocessing` and of billiard, Celery's copy of it.

They end by ``os._exit``, without :mod:`atexit`, but run the finalizers of their library before
(Python 3.11, multiprocessing/process.py; billiard 4.3, process.py). A finalizer waits until their
events are written. A child that is killed loses those that are not written, as at the end of a
``with multiprocessing.Pool()`` block.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

DRAIN: Final = 2.0
"""Seconds that a child waits for its last events, as a task may wait for the child; 0 when the
broker is known to be down."""

_LIBRARIES: Final = ("multiprocessing.util", "billiard.util")

_arranged_in = 0
"""The id of the process that last got the finalizer."""


class Children:
    """Makes the children of this process wait at their end.

    Args:
        drain: Waits until everything is written, for this many seconds at most.
    """

    def __init__(self, drain: Callable[[float], None]) -> None:
        self._drain = drain
        self._known: set[str] = set()

    def prepare(self) -> None:
        """Register the finalizer for later children. Called before each fork."""
        for name in _LIBRARIES:
            # A library that forks is loaded.
            util: Any = sys.modules.get(name)
            if util is not None and name not in self._known:
                self._known.add(name)
                # A child drops the finalizers of its parent, but calls these functions.
                util.register_after_fork(self, lambda _, util=util: self._arrange(util))

    def arrange(self) -> None:
        """Register the finalizer in this process, if it is a child, forked or spawned."""
        process: Any = sys.modules.get("multiprocessing.process")
        util: Any = sys.modules.get("multiprocessing.util")
        if util is not None and process is not None and process.parent_process() is not None:
            self._arrange(util)

    def _arrange(self, util: Any) -> None:
        global _arranged_in  # noqa: PLW0603 - one a process
        if _arranged_in != os.getpid():
            _arranged_in = os.getpid()
            util.Finalize(None, self._drain, args=(DRAIN,), exitpriority=10)
