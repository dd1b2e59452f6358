"""Forks as Python makes them; those of C are in :mod:`support.c_forks`."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 60
"""Seconds after which a child is killed."""


def in_child(work: Callable[[], object]) -> str:
    """What this returns in a child, as text, or how it failed; of one that hangs nothing."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        tell(work, write)
    os.close(write)
    timer = threading.Timer(PATIENCE, os.kill, (pid, signal.SIGKILL))
    timer.start()
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode()
    timer.cancel()
    os.waitpid(pid, 0)
    return said


def tell(work: Callable[[], object], pipe: int) -> None:
    """Write what this returns, or how it fails, and end this process."""
    try:
        os.write(pipe, repr(work()).encode())
    except BaseException as exc:
        os.write(pipe, repr(exc).encode())
    finally:
        os._exit(0)
