"""What systemd and a service have to say to each other: sockets that it has opened, and readiness.

With a socket unit the port is open before the service runs, so that nobody is refused while it
starts. With ``Type=notify`` the unit is started when the sidecar listens (systemd 252, the manual
pages sd_listen_fds(3) and sd_notify(3)).
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import MutableMapping

FIRST_DESCRIPTOR: Final = 3
"""``SD_LISTEN_FDS_START``: the number of the first socket."""


def has_sockets(environ: MutableMapping[str, str]) -> bool:
    """Return whether systemd has passed sockets to this process."""
    return environ.get("LISTEN_PID") == str(os.getpid()) and _count(environ) > 0


def take_sockets(environ: MutableMapping[str, str]) -> list[socket.socket]:
    """Return the listening sockets that systemd has passed to this process, once.

    Raises:
        OSError: one of them is no socket.
    """
    number = _count(environ) if has_sockets(environ) else 0
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        environ.pop(name, None)
    found = [
        socket.socket(fileno=one) for one in range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + number)
    ]
    for one in found:
        one.set_inheritable(False)
        one.setblocking(False)
    return found


def notify(state: str, environ: MutableMapping[str, str]) -> None:
    """Tell systemd a state, such as ``READY=1``, if it wants to know. Never fails."""
    place = environ.get("NOTIFY_SOCKET", "")
    if not place:
        return
    address = f"\0{place[1:]}" if place.startswith("@") else place
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.setblocking(False)
        one.sendto(state.encode(), address)


def _count(environ: MutableMapping[str, str]) -> int:
    text = environ.get("LISTEN_FDS", "")
    return int(text) if text.isascii() and text.isdigit() else 0
