"""Children of :mod:`multiprocessing`, and of billiard, which is Celery's.

They leave by ``os._exit``, without a word to :mod:`atexit`, but run the finalizers of their library
before (Python 3.11, multiprocessing/process.py; billiard 4.3, process.py): there they wait until
what they said is written. A child that is killed loses what it has not written, and so do those of
a ``with multiprocessing.Pool()`` block, which ends by killing them.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

DRAIN: Final = 2.0
"""Seconds a child waits for its last events to leave: a task may wait for the child. 0 when the
broker is known to be away."""

_LIBRARIES: Final = ("multiprocessing.util", "billiard.util")

_arranged_in = 0
"""The process that was last arranged to wait at its end."""


class Children:
    """Has the children of this process wait at their end.

    Args:
        drain: Waits for so many seconds at the most until everything is written.
    """

    def __init__(self, drain: Callable[[float], None]) -> None:
        self._drain = drain
        self._known: set[str] = set()

    def prepare(self) -> None:
        """Arrange it for those that are forked from now on. Called before each fork."""
        for name in _LIBRARIES:
            # Who forks by a library has loaded it.
            util: Any = sys.modules.get(name)
            if util is not None and name not in self._known:
                self._known.add(name)
                # A finalizer that is there at the fork is forgotten; what this calls is not.
                util.register_after_fork(self, lambda _, util=util: self._arrange(util))

    def arrange(self) -> None:
        """Arrange it for this process, if it is such a child: one that was not forked, too."""
        process: Any = sys.modules.get("multiprocessing.process")
        util: Any = sys.modules.get("multiprocessing.util")
        if util is not None and process is not None and process.parent_process() is not None:
            self._arrange(util)

    def _arrange(self, util: Any) -> None:
        global _arranged_in  # noqa: PLW0603 - one a process
        if _arranged_in != os.getpid():
            _arranged_in = os.getpid()
            util.Finalize(None, self._drain, args=(DRAIN,), exitpriority=10)
