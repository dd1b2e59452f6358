"""What a fork copies and must not: renewed in the child, whoever forked it.

Python calls hooks in the child where Python forks (``os.fork``, multiprocessing, gunicorn). What
forks in C calls none, as uWSGI's master does by default: its children have the random numbers of
their master, its locks as other threads held them, and threads in name only. So whatever keeps such
a state registers here how it is renewed, and calls :func:`notice` before it is used.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_renewals: list[Callable[[], object]] = []
_process = os.getpid()
"""The process whose state this is."""
_renewing: dict[int, Any] = {}
"""A lock by process, so that nobody inherits one that is held."""


def renew_in_child(renew: Callable[[], object]) -> None:
    """Have this called in every child, in the order of registration, before it does anything."""
    _renewals.append(renew)


def notice() -> None:
    """Renew everything if this process is a child in which nobody has done so yet."""
    if os.getpid() != _process:
        _renew()


def _renew() -> None:
    global _process, _renewing
    process = os.getpid()
    with _renewing.setdefault(process, threading.RLock()):
        if _process != process:
            for renew in _renewals:
                renew()
            _process, _renewing = process, {}


def _after_fork_in_child() -> None:
    global _process  # noqa: PLW0603 - one a process
    # In a namespace of its own the child may have its parent's number.
    _process = 0
    _renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
