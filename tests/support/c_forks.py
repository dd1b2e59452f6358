"""Forks as C makes them: none of Python's hooks is called, in neither process."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

from support.conditions import eventually
from support.forks import tell

#: Not released while it forks: who forks in C and comes back to Python must hold Python's lock.
_libc = ctypes.PyDLL(None)

PATIENCE = 60
"""Seconds after which a child that says nothing is taken to hang."""


def in_child(work) -> str:
    """What this returns in a child, as text, or how it failed; of one that hangs nothing."""
    read, write = os.pipe()
    # A thread that waits for Python's lock, or is about to take it, leaves the child one that
    # nobody can take any more. That is so of every program that forks in C.
    eventually(_others_sleep, what="a moment in which no other thread runs")
    pid = _libc.fork()
    if pid == 0:
        os.close(read)
        tell(work, write)
    os.close(write)
    # Without a thread that watches the time: the next fork would meet it while it ends.
    said = b""
    while select.select([read], [], [], PATIENCE)[0]:
        more = os.read(read, 65536)
        if not more:
            break
        said += more
    os.close(read)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return said.decode()


def _others_sleep() -> bool:
    before = _turns_of_others()
    time.sleep(0.02)
    return before == _turns_of_others() and all(state == "S" for state, *_ in before.values())


def _turns_of_others() -> dict[str, list[str]]:
    """The state of each other thread, and how often it has had its turn."""
    found = {}
    for task in Path("/proc/self/task").iterdir():
        if int(task.name) == threading.get_native_id():
            continue
        with suppress(OSError):  # It has ended meanwhile.
            found[task.name] = [
                line.split()[1]
                for line in (task / "status").read_text().splitlines()
                if line.startswith(("State:", "voluntary_ctxt", "nonvoluntary_ctxt"))
            ]
    return found
