"""Ports for servers of the tests, each for one process of the tests only.

Nothing here knows pytest. Whoever asks the kernel for a free port and closes it again can lose it
before the server that it was meant for is there; several processes that run tests do that to each
other. Here a port belongs to the process that asked, as long as that lives, and to no other that
asks here, whatever run of the tests it is of.
"""

from __future__ import annotations

import errno
import fcntl
import functools
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import Final

#: Below what the kernel gives to outgoing connections. A client that keeps trying to reach a
#: server which is down would otherwise be given the server's own port one day, connect to
#: itself, and keep the port from the server.
_RANGE: Final = range(15_000, 32_000)

_ours: Final[set[int]] = set()


def free_port() -> int:
    """Find a port nobody listens on, on either loopback address, and keep it for this process."""
    draws = random.SystemRandom()
    while True:
        port = draws.choice(_RANGE)
        if port not in _ours and _reserve(port):
            _ours.add(port)
            if _is_free(port):
                return port


def _reserve(port: int) -> bool:
    """Lock one byte of a file that all processes share: the lock ends with the process."""
    try:
        fcntl.lockf(_reservations(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError as exc:
        if exc.errno in (errno.EACCES, errno.EAGAIN):
            return False
        raise
    return True


@functools.cache
def _reservations() -> int:
    # Open for good: to close it anywhere in this process would end all of its locks.
    path = Path(tempfile.gettempdir()) / f"wsp-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _is_free(port: int) -> bool:
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            with socket.socket(family) as probe:
                probe.bind((address, port))
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                return False
            # A machine without IPv6 has no such address: nobody listens there.
    return True
