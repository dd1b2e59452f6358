"""Forks as C makes them: none of Python's hooks is called, in neither process."""

from __future__ import annotations

import ctypes
import os
import signal
import threading

#: Not released while it forks: who forks in C and comes back to Python must hold Python's lock.
_libc = ctypes.PyDLL(None)


def in_child(work) -> str:
    """What this returns in a child, as text, or how it failed; of one that hangs nothing."""
    read, write = os.pipe()
    pid = _libc.fork()
    if pid == 0:
        try:
            os.close(read)
            os.write(write, repr(work()).encode())
        except BaseException as exc:
            os.write(write, repr(exc).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        timer = threading.Timer(60, lambda: os.kill(pid, signal.SIGKILL))
        timer.start()
        said = pipe.read().decode()
        timer.cancel()
    os.waitpid(pid, 0)
    return said
