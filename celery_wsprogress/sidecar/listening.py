"""The listening sockets: both loopback addresses on one port."""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import Any, Final

_LOOPBACK: Final[list[tuple[Any, ...]]] = [
    (socket.AF_INET, "127.0.0.1"),
    (socket.AF_INET6, "::1"),
]


def listen(host: str, port: int) -> list[socket.socket]:
    """Listen on a host; on ``localhost`` that is both loopback addresses, on one port.

    Raises:
        OSError: the port is in use, or the host is none of this machine.
    """
    with contextlib.ExitStack() as unless_all_goes_well:
        sockets: list[socket.socket] = []
        for family, address in _addresses(host):
            one = unless_all_goes_well.enter_context(socket.socket(family, socket.SOCK_STREAM))
            chosen = sockets[0].getsockname()[1] if sockets else port
            if _bind(one, (address, chosen), needed=not sockets):
                sockets.append(one)
            else:
                one.close()
        unless_all_goes_well.pop_all()
    return sockets


def _addresses(host: str) -> list[tuple[Any, ...]]:
    if host == "localhost":
        # Whatever the hosts file says: browsers try both.
        return _LOOPBACK
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, place[0]) for family, _, _, _, place in found))


def _bind(one: socket.socket, place: tuple[Any, int], *, needed: bool) -> bool:
    """Bind and listen. A second address that this machine does not have is left out."""
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if one.family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        one.bind(place)
    except OSError as exc:
        if needed or exc.errno == errno.EADDRINUSE:
            raise
        return False
    one.listen(1024)
    return True
