"""The listening sockets: both loopback addresses on one port, alone or with other processes."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from celery_wsprogress.urls import is_loopback

Bind: TypeAlias = Callable[[socket.socket, tuple[str, int]], None]

_LOOPBACK: Final[list[tuple[Any, ...]]] = [
    (socket.AF_INET, "127.0.0.1"),
    (socket.AF_INET6, "::1"),
]

_PORT_ATTEMPTS: Final = 5
"""Ports that are tried where any free one will do."""

BACKLOG: Final = 1024
"""Connections that may wait to be accepted."""


def listen(host: str, port: int, *, shared: bool = False) -> list[socket.socket]:
    """Listen on a host; on ``localhost`` that is both loopback addresses, on one port.

    Args:
        host: Host name or address.
        port: 0 is any free one.
        shared: The port is reserved (:func:`reserve_port`), and others listen on it, too.

    Raises:
        OSError: the port is in use, or the host is none of this machine.
    """
    addresses, bind = _addresses(host), _listen_shared if shared else _listen
    for _ in range(_PORT_ATTEMPTS if port == 0 else 0):
        # A port that is free on the first address may be in use on the second.
        with contextlib.suppress(OSError):
            return _bind_all(addresses, port, bind)
    return _bind_all(addresses, port, bind)


def reserve_port(host: str, port: int) -> list[socket.socket]:
    """Hold a port for processes that share it, without listening.

    Raises:
        OSError: somebody listens there already, the host is none of this machine, or processes
            cannot share a port on this system.
    """
    if not hasattr(socket, "SO_REUSEPORT"):
        raise OSError(errno.EOPNOTSUPP, "processes cannot share a port on this system")
    # Those who share a port are let in to others who do: so ask first for all of it.
    alone = listen(host, port)
    port = alone[0].getsockname()[1]
    for one in alone:
        one.close()
    return _bind_all(_addresses(host), port, _bind_shared)


def display_address(host: str, port: int) -> str:
    """Host and port, for clients on this machine."""
    # An address that means all of them is none to connect to.
    near = {"0.0.0.0": "localhost", "::": "localhost"}.get(host, host)  # noqa: S104
    return address_of(near, port)


def address_of(host: str, port: int) -> str:
    """Host and port as they stand in an address."""
    return f"{f'[{host}]' if ':' in host else host}:{port}"


def outer_addresses(host: str) -> list[str]:
    """The addresses by which others find a host that means all addresses; for any other nothing."""
    family = {"0.0.0.0": socket.AF_INET, "::": socket.AF_INET6}.get(host)  # noqa: S104
    if family is None:
        return []
    found = [_towards_others(family)]
    with contextlib.suppress(OSError):
        named = socket.getaddrinfo(socket.gethostname(), None, family, socket.SOCK_STREAM)
        found += [str(place[0]) for *_, place in named]
    return [one for one in dict.fromkeys(found) if one and not is_loopback(one)]


def _towards_others(family: socket.AddressFamily) -> str:
    """The address that this machine would send from. Nothing is sent for it."""
    documented = "2001:db8::1" if family == socket.AF_INET6 else "192.0.2.1"
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as one:
            one.connect((documented, 9))
            return str(one.getsockname()[0])
    except OSError:
        return ""


def _bind_all(addresses: list[tuple[Any, ...]], port: int, bind: Bind) -> list[socket.socket]:
    with contextlib.ExitStack() as unless_all_goes_well:
        sockets: list[socket.socket] = []
        for family, address in addresses:
            chosen = sockets[0].getsockname()[1] if sockets else port
            one = _open(family, (address, chosen), bind, needed=not sockets)
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


def _open(family: int, place: tuple[str, int], bind: Bind, *, needed: bool) -> socket.socket | None:
    """Bind to one address; None where it is a second one that this machine does not have."""
    one: socket.socket | None = None
    try:
        one = socket.socket(family, socket.SOCK_STREAM)
        bind(one, place)
    except OSError as exc:
        if one is not None:
            one.close()
        if needed or exc.errno == errno.EADDRINUSE:
            raise
        return None
    return one


def _listen(one: socket.socket, place: tuple[str, int]) -> None:
    _bind(one, place)
    one.listen(BACKLOG)


def _bind_shared(one: socket.socket, place: tuple[str, int]) -> None:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    _bind(one, place)


def _listen_shared(one: socket.socket, place: tuple[str, int]) -> None:
    _bind_shared(one, place)
    one.listen(BACKLOG)


def _bind(one: socket.socket, place: tuple[str, int]) -> None:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if one.family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    one.bind(place)
