"""Speed, as ratios measured side by side in one run. See ``python -m benchmarks --help``."""

from __future__ import annotations

from typing import Final

NAMES: Final = (
    "task_overhead",
    "delay",
    "fan_out",
    "many_operations",
    "ingest",
    "memory",
    "growth",
    "slow_client",
)
"""The benchmarks. Each is a module with a function ``measure``, which returns a table."""
