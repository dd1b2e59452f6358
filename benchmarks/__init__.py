"""Speed, as ratios measured side by side in one run. See ``python -m benchmarks --help``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

# The servers of the tests are used here, too, and what they import stands beside them.
sys.path.append(str(Path(__file__).parent.parent / "tests"))

NAMES: Final = (
    "task_overhead",
    "delay",
    "fan_out",
    "many_operations",
    "ingest",
    "memory",
    "growth",
    "slow_client",
    "smoothness",
    "streams",
)
"""The benchmarks. Each is a module with a function ``measure``, which returns a table."""
