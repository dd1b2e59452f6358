"""The limit on open files of the process, and how many of them connections may take."""

from __future__ import annotations

import sys
from typing import Final

if sys.platform != "win32":
    import resource

RESERVED_FILES: Final = 128
"""Descriptors that no connection takes: for the broker, the result backend, the log, and others."""

_UNLIMITED: Final = 1_000_000


def raise_limit() -> int:
    """Raise the soft limit on open files to the hard limit, and return what holds then."""
    if sys.platform == "win32":
        return _UNLIMITED
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _UNLIMITED if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            # macOS allows less than its hard limit says.
            return soft
        return wanted
    return _UNLIMITED if soft == resource.RLIM_INFINITY else soft


def max_connections(wanted: int, files: int, unfinished: int) -> int:
    """Return how many connections may be open.

    Args:
        wanted: The setting.
        files: The limit on open files.
        unfinished: The limit on connections that are not WebSockets yet.
    """
    return max(1, min(wanted, files - RESERVED_FILES - unfinished))
