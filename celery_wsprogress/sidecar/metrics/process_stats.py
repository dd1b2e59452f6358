"""What this process takes of the machine, as the operating system says it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

_STATM: Final = Path("/proc/self/statm")


def usage() -> dict[str, float]:
    """Seconds of processor, and bytes of memory where the system says how many (Linux)."""
    found: dict[str, float] = {"process_cpu_seconds_total": time.process_time()}
    try:
        pages = int(_STATM.read_text().split()[1])
    except OSError:
        return found
    return {**found, "process_resident_memory_bytes": pages * os.sysconf("SC_PAGESIZE")}
