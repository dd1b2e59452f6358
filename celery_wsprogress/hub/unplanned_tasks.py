"""The tasks that no plan names which was read so far: tasks start them, or they are of a group.

A plan is published by the process that calls a canvas, and a task is spoken of by its worker: a
task that a step has started may be over before the plan is read. Then the plan finds it here.

Pure. Runs in: the event loop.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from celery_wsprogress.protocol.events import MAX_ID_LENGTH

MAX_UNPLANNED: Final = 10_000
"""Maximum number of tasks that are kept, the newest: a few MB. A plan is read seconds later at the
most, while the log is read in its order."""


class UnplannedTasks:
    """The newest of them, by the id of the task that started them, and by that of their group."""

    def __init__(self) -> None:
        self._keys: OrderedDict[str, tuple[str, ...]] = OrderedDict()
        self._by_key: dict[str, dict[str, None]] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, task_id: str, *keys: str | None) -> None:
        """Keep a task.

        Args:
            task_id: Its id.
            keys: Ids of the task that started it and of its group, where it has them.
        """
        known = tuple({key: None for key in keys if key and len(key) <= MAX_ID_LENGTH})
        if self._keys.get(task_id, ()) == known:
            return
        self.remove(task_id)
        if not known:
            return
        self._keys[task_id] = known
        for key in known:
            self._by_key.setdefault(key, {})[task_id] = None
        if len(self._keys) > MAX_UNPLANNED:
            self.remove(next(iter(self._keys)))

    def remove(self, task_id: str) -> None:
        """Keep a task no longer."""
        for key in self._keys.pop(task_id, ()):
            among = self._by_key[key]
            among.pop(task_id, None)
            if not among:
                del self._by_key[key]

    def of(self, key: str) -> list[str]:
        """Return the ids of the tasks that a task has started, or of those of a group."""
        return [*self._by_key.get(key, ())]
