"""The commands of clients: how many of each there were, and how long they kept the event loop.

The time is that of their steps. A command that waits, for a key or for workers, costs nothing
meanwhile.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from celery_wsprogress.hub.commands import Executed
    from celery_wsprogress.hub.steps import Steps

OTHER: Final = "other"
"""The name of what is no command: clients may send any name."""


class CommandCosts:
    """The commands of one process, by name. Runs in: the event loop."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        """Number of commands that were answered."""
        self.seconds: defaultdict[str, float] = defaultdict(float)
        """Seconds that their steps took."""

    def measure(self, steps: Steps[Executed]) -> Steps[Executed]:
        """Take the steps of a command, and count it when it is answered."""
        spent = 0.0
        try:
            while True:
                began = time.perf_counter()
                try:
                    next(steps)
                except StopIteration as end:
                    executed: Executed = end.value
                    name = executed.command or OTHER
                    self.counts[name] += 1
                    self.seconds[name] += spent + time.perf_counter() - began
                    return executed
                spent += time.perf_counter() - began
                yield
        finally:
            steps.close()
