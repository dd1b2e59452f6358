"""The running tasks that were cancelled, in memory that all processes of a worker share.

The worker's main process makes a table before it forks its pool, and is the only one that writes
it. Tasks read it, in the processes of the pool or in the main process: neither a lock nor a socket
is needed for that. A number counts the changes, so that a check is one read of that number nearly
always (:class:`.CancelCheck`). A pool process that was spawned, and not forked, has no table.

The layout: the number of changes (8 bytes), the keys of all slots, the reasons of all slots. A key
is a hash of a task id, a free slot has a key of zeros.
"""

from __future__ import annotations

import hashlib
import logging
import mmap
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Container

logger = logging.getLogger(__name__)

SLOTS: Final = 1_024
"""Tasks that may be cancelled at once while they run in one worker."""

REASON_BYTES: Final = 240
"""Bytes of a reason in UTF-8, one of them for its length."""

_KEY_BYTES: Final = 16
_KEYS_AT: Final = 8


def key_of(task_id: str) -> bytes:
    """Return the key of a task id. It is never that of a free slot, nor the key of another id."""
    return hashlib.blake2b(task_id.encode(errors="surrogatepass"), digest_size=_KEY_BYTES).digest()


class CancelTable:
    """The table of one worker.

    Args:
        slots: The number of tasks that it has room for.
    """

    def __init__(self, slots: int = SLOTS) -> None:
        # Zeros, shared with all processes that are forked later. Memory is used where it is written
        # or searched, 16 KB of it as long as nothing is cancelled.
        self._memory = mmap.mmap(-1, _KEYS_AT + slots * (_KEY_BYTES + REASON_BYTES))
        self.changes = memoryview(self._memory).cast("Q")
        """The number of changes is its first item."""
        self._reasons_at = _KEYS_AT + slots * _KEY_BYTES
        self._lock = threading.Lock()
        self._ids: dict[str, int] = {}
        self._free = list(reversed(range(slots)))

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, task_id: str, reason: str) -> bool:
        """Add a running task. Return whether it is new. Only for the main process."""
        with self._lock:
            if task_id in self._ids:
                return False
            if not self._free:
                logger.warning("More than %d running tasks are cancelled at once", len(self._ids))
                return False
            slot = self._ids[task_id] = self._free.pop()
            text = reason.encode(errors="replace")[: REASON_BYTES - 1]
            at = self._reasons_at + slot * REASON_BYTES
            self._memory[at : at + 1 + len(text)] = bytes((len(text),)) + text
            self._write_key(slot, key_of(task_id))
        self._count()
        return True

    def keep(self, task_ids: Container[str]) -> None:
        """Forget all other tasks: they have ended. Only for the main process."""
        with self._lock:
            for task_id in [one for one in self._ids if one not in task_ids]:
                slot = self._ids.pop(task_id)
                self._write_key(slot, bytes(_KEY_BYTES))
                self._free.append(slot)

    def reason(self, key: bytes) -> str | None:
        """Return why a task was cancelled, maybe an empty text; None if it was not."""
        at = _KEYS_AT - 1
        # Two neighbours may look like a third.
        while (at := self._memory.find(key, at + 1, self._reasons_at)) >= 0:
            slot, rest = divmod(at - _KEYS_AT, _KEY_BYTES)
            if not rest:
                start = self._reasons_at + slot * REASON_BYTES
                end = start + 1 + self._memory[start]
                return self._memory[start + 1 : end].decode(errors="ignore")
        return None

    def _write_key(self, slot: int, key: bytes) -> None:
        at = _KEYS_AT + slot * _KEY_BYTES
        self._memory[at : at + _KEY_BYTES] = key

    def _count(self) -> None:
        # Apart from the lock's other section: so no processor shows the new number to somebody who
        # does not see the slot yet.
        with self._lock:
            self.changes[0] += 1


_current: CancelTable | None = None


def renew() -> CancelTable:
    """Make and return the table of this worker, in its main process and before it forks.

    A table that it inherited belongs to another worker.
    """
    global _current  # noqa: PLW0603 - one a process
    _current = CancelTable()
    return _current


def current_table() -> CancelTable | None:
    """Return the table of the worker that this process belongs to; None outside of workers."""
    return _current
