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

_DRAWS: Final = 5
"""Ports that are tried where any free one will do."""


def listen(host: str, port: int) -> list[socket.socket]:
    """Listen on a host; on ``localhost`` that is both loopback addresses, on one port.

    Raises:
        OSError: the port is in use, or the host is none of this machine.
    """
    addresses = _addresses(host)
    for _ in range(_DRAWS if port == 0 else 0):
        # A port that is free on the first address may be in use on the second.
        with contextlib.suppress(OSError):
            return _listen_on(addresses, port)
    return _listen_on(addresses, port)


def _listen_on(addresses: list[tuple[Any, ...]], port: int) -> list[socket.socket]:
    with contextlib.ExitStack() as unless_all_goes_well:
        sockets: list[socket.socket] = []
        for family, address in addresses:
            chosen = sockets[0].getsockname()[1] if sockets else port
            one = _open(family, (address, chosen), needed=not sockets)
            if one is not None:
                sockets.append(unless_all_goes_well.enter_context(one))
        unless_all_goes_well.pop_all()
    return sockets


def _addresses(host: str) -> list[tuple[Any, ...]]:
    if host == "localhost":
        # Whatever the hosts file says: browsers try both.
        return _LOOPBACK
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except UnicodeError:
        raise OSError(errno.EINVAL, "this is no host name") from None
    return list(dict.fromkeys((family, place[0]) for family, _, _, _, place in found))


def _open(family: int, place: tuple[str, int], *, needed: bool) -> socket.socket | None:
    """Listen on one address; None where it is a second one that this machine does not have."""
    one: socket.socket | None = None
    try:
        one = socket.socket(family, socket.SOCK_STREAM)
        _bind(one, place)
    except OSError as exc:
        if one is not None:
            one.close()
        if needed or exc.errno == errno.EADDRINUSE:
            raise
        return None
    return one


def _bind(one: socket.socket, place: tuple[str, int]) -> None:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if one.family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    one.bind(place)
    one.listen(1024)
