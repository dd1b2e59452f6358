"""How much of a Redis server's memory the log may take, and what is said where that is too much.

The log lives beside Celery's queues: where the server has a limit (``maxmemory``), what the log
takes is missing to them. A server that evicts takes whole keys, and the log is one key.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from typing import Any, Final, NamedTuple

from celery_wsprogress.brokers import MAX_BATCH_BYTES
from celery_wsprogress.settings import LOG_BYTES

logger = logging.getLogger(__name__)

#: What of the server's memory the log takes at the most, unless ``wsprogress_log_bytes`` is set.
SHARE: Final = 1 / 4
#: Beyond this share one warning is given.
WARN_SHARE: Final = 1 / 2
#: How much more memory the server takes than the batches have bytes, at the most: it rounds up
#: what it asks the system for (jemalloc's classes are a quarter apart).
OVERHEAD: Final = 1.3
#: The most entries the log keeps, however small they are.
MAX_ENTRIES: Final = 100_000

_FIELD: Final = re.compile(rb"^(maxmemory|maxmemory_policy):(\S*)", re.MULTILINE)

_warned: Final = (threading.Event(), threading.Event())


class ServerMemory(NamedTuple):
    """What the server says about its memory."""

    most: int = 0
    """``maxmemory``, in bytes; 0 where there is no limit, or none is known."""
    policy: str = ""
    """``maxmemory-policy``."""


def parse_memory(info: Any) -> ServerMemory:
    """Take it out of what ``INFO memory`` returns."""
    found = dict(_FIELD.findall(info if isinstance(info, bytes) else b""))
    most = found.get(b"maxmemory", b"")
    policy = found.get(b"maxmemory_policy", b"").decode(errors="replace")
    return ServerMemory(int(most) if most.isdigit() else 0, policy)


def max_log_bytes(log_bytes: int | None, memory: ServerMemory) -> int:
    """Return how many bytes of the server's memory the log may take.

    Args:
        log_bytes: What is set; None where nothing is.
        memory: The server's.
    """
    if log_bytes is not None:
        return log_bytes
    return min(LOG_BYTES, int(memory.most * SHARE)) if memory.most else LOG_BYTES


def max_entries_for(bound: int, size: float, kept: float = 0.0) -> int:
    """Return how many entries have room.

    Args:
        bound: See :func:`max_log_bytes`.
        size: Bytes of a batch lately.
        kept: Bytes of the server's memory that an entry of the log takes now; 0 where that is not
            known.
    """
    # One large batch more or less: no entry takes more than the largest.
    largest = MAX_BATCH_BYTES * OVERHEAD
    most = int(bound / min(max(size * OVERHEAD, kept, 1), largest))
    return min(max(most, 1), MAX_ENTRIES)


def warn(log_bytes: int | None, memory: ServerMemory, place: str) -> None:
    """Say once a process what may go wrong for want of memory.

    Args:
        log_bytes: What is set; None where nothing is.
        memory: The server's.
        place: The name of the log.
    """
    if not memory.most or _is_of_a_pool():
        return
    bound = max_log_bytes(log_bytes, memory)
    too_much, evicts = _warned
    if bound > memory.most * WARN_SHARE and not too_much.is_set():
        too_much.set()
        logger.warning(
            "The event log %s may take %d bytes (wsprogress_log_bytes) of the %d that the Redis "
            "server has (maxmemory): when they are used up, it takes no tasks; a quarter is "
            "enough, or a server of its own (wsprogress_url)",
            place, bound, memory.most,
        )  # fmt: skip
    if memory.policy not in ("", "noeviction") and not evicts.is_set():
        evicts.set()
        lost = "Celery's queues" if memory.policy.startswith("allkeys") else "Celery's results"
        logger.warning(
            "The Redis server evicts keys when its %d bytes are used up (maxmemory-policy %s): "
            "%s may vanish, and so may the event log %s; Celery wants noeviction",
            memory.most, memory.policy, lost, place,
        )  # fmt: skip


def _is_of_a_pool() -> bool:
    """Whether this is one of the processes of a worker's pool: its parent says it for all."""
    billiard = sys.modules.get("billiard.process")
    return billiard is not None and billiard.current_process().name != "MainProcess"
