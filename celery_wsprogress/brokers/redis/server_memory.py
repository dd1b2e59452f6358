"""The share of a Redis server's memory that the log may take, and the warnings about it.

Used by :mod:`.exchange` and :mod:`.reader`. With ``maxmemory`` the log takes memory from Celery's
queues. A server that evicts removes whole keys, and the log is one key.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from typing import Any, Final, NamedTuple

from celery_wsprogress.brokers import MAX_BATCH_BYTES
from celery_wsprogress.common_settings import LOG_BYTES

logger = logging.getLogger(__name__)

#: The largest share of ``maxmemory`` for the log, unless ``wsprogress_log_bytes`` is set.
SHARE: Final = 1 / 4
#: The share of ``maxmemory`` beyond which a warning is logged.
WARN_SHARE: Final = 1 / 2
#: The server's memory by the bytes of the batches, at most. jemalloc rounds up, by up to a quarter
#: (jemalloc(3), "size classes").
OVERHEAD: Final = 1.3
#: Entries that the log keeps at most, however small.
MAX_ENTRIES: Final = 100_000

_FIELD: Final = re.compile(rb"^(maxmemory|maxmemory_policy):(\S*)", re.MULTILINE)

_warned: Final = (threading.Event(), threading.Event())


class ServerMemory(NamedTuple):
    """The server's settings for its memory."""

    maxmemory: int = 0
    """Bytes; 0 for no limit or an unknown one."""
    policy: str = ""
    """The eviction policy; ``""`` if unknown."""


def parse_memory(info: Any) -> ServerMemory:
    """Parse the reply to ``INFO memory``."""
    found = dict(_FIELD.findall(info if isinstance(info, bytes) else b""))
    maxmemory = found.get(b"maxmemory", b"")
    policy = found.get(b"maxmemory_policy", b"").decode(errors="replace")
    return ServerMemory(int(maxmemory) if maxmemory.isdigit() else 0, policy)


def max_log_bytes(log_bytes: int | None, memory: ServerMemory) -> int:
    """Return how many bytes of the server's memory the log may take.

    Args:
        log_bytes: The setting, or None.
        memory: The server's settings.
    """
    if log_bytes is not None:
        return log_bytes
    return min(LOG_BYTES, int(memory.maxmemory * SHARE)) if memory.maxmemory else LOG_BYTES


def max_entries_for(bound: int, size: float, kept: float = 0.0) -> int:
    """Return how many entries fit into ``bound`` bytes.

    Args:
        bound: See :func:`max_log_bytes`.
        size: Bytes of a recent batch.
        kept: Bytes of the server's memory per entry of the log; 0 where unknown.
    """
    largest = MAX_BATCH_BYTES * OVERHEAD
    count = int(bound / min(max(size * OVERHEAD, kept, 1), largest))
    return min(max(count, 1), MAX_ENTRIES)


def warn(log_bytes: int | None, memory: ServerMemory, place: str) -> None:
    """Warn, once in a process, of a log that is too large or that the server may evict.

    Args:
        log_bytes: The setting, or None.
        memory: The server's settings.
        place: The name of the log.
    """
    if not memory.maxmemory or _is_pool_process():
        return
    bound = max_log_bytes(log_bytes, memory)
    too_much, evicts = _warned
    if bound > memory.maxmemory * WARN_SHARE and not too_much.is_set():
        too_much.set()
        logger.warning(
            "The event log %s may take %d bytes (wsprogress_log_bytes) of the %d of the "
            "Redis server (maxmemory), and a full server refuses tasks. Lower wsprogress_log_bytes "
            "to a quarter, or give the events a server of their own (wsprogress_url)",
            place, bound, memory.maxmemory,
        )  # fmt: skip
    if memory.policy not in ("", "noeviction") and not evicts.is_set():
        evicts.set()
        lost = "Celery's queues" if memory.policy.startswith("allkeys") else "Celery's results"
        logger.warning(
            "The Redis server evicts keys when its %d bytes are used (maxmemory-policy %s). %s and "
            "the event log %s may be lost. Celery needs noeviction",
            memory.maxmemory, memory.policy, lost, place,
        )  # fmt: skip


def _is_pool_process() -> bool:
    """Return whether this is a process of a worker's pool, whose parent logs the warnings."""
    billiard = sys.modules.get("billiard.process")
    return billiard is not None and billiard.current_process().name != "MainProcess"
