"""CPU time, memory and descriptors of this process, as the operating system counts them."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Final

if sys.platform != "win32":
    import resource

_STATM: Final = Path("/proc/self/statm")


def process_samples() -> dict[str, float]:
    """Return figures under Prometheus's own names, as far as the system has them."""
    return {"process_cpu_seconds_total": time.process_time(), **_descriptors(), **_memory()}


def _descriptors() -> dict[str, float]:
    if sys.platform == "win32":
        return {}
    # A list of 10,000 takes a few milliseconds; a `Path` for each of them would take ten times as
    # long.
    try:
        with os.scandir("/dev/fd") as found:
            in_use = sum(1 for _ in found)
    except OSError:
        # It needs a descriptor itself; and a container may have no such folder.
        return {}
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return {"process_open_fds": in_use}
    return {"process_open_fds": in_use, "process_max_fds": limit}


def _memory() -> dict[str, float]:
    """Return the resident bytes, on Linux."""
    try:
        pages = int(_STATM.read_text().split()[1])
    except OSError:
        return {}
    return {"process_resident_memory_bytes": pages * os.sysconf("SC_PAGESIZE")}
