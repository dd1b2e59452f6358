"""The listening sockets of the sidecar, and how their addresses and errors are shown.

``localhost`` means both loopback addresses on one port. Several processes can share a port
(``SO_REUSEPORT``); the supervisor reserves it for them.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from celery_wsprogress.access.addresses import UNIX_PEER
from celery_wsprogress.urls import is_loopback

if TYPE_CHECKING:
    from asyncio import BaseTransport

Bind: TypeAlias = Callable[[socket.socket, tuple[str, int]], None]

_LOOPBACK: Final[list[tuple[Any, ...]]] = [
    (socket.AF_INET, "127.0.0.1"),
    (socket.AF_INET6, "::1"),
]

_PORT_ATTEMPTS: Final = 5
"""Ports that are tried when the port is 0."""

BACKLOG: Final = 1024
"""The listen backlog: connections that wait to be accepted."""


def listen(host: str, port: int, *, shared: bool = False) -> list[socket.socket]:
    """Listen on a host. For ``localhost`` these are both loopback addresses, on one port.

    Args:
        host: Host name or address.
        port: 0 means any free one.
        shared: Share the port with other processes; it is reserved (:func:`reserve_port`).

    Raises:
        OSError: the port is in use, or the host is no address of this machine.
    """
    addresses, bind = _addresses(host), _listen_shared if shared else _listen
    for _ in range(_PORT_ATTEMPTS if port == 0 else 0):
        # A free port of the first address may be in use on the second address.
        with contextlib.suppress(OSError):
            return _bind_all(addresses, port, bind)
    return _bind_all(addresses, port, bind)


def reserve_port(host: str, port: int) -> list[socket.socket]:
    """Bind a port for processes that will share it, without listening.

    Raises:
        OSError: the port is in use, the host is no address of this machine, or the system has
            no ``SO_REUSEPORT``.
    """
    if not hasattr(socket, "SO_REUSEPORT"):
        raise OSError(errno.EOPNOTSUPP, "processes cannot share a port on this system")
    # SO_REUSEPORT would let us share the port with a stranger that set it, too. So first bind
    # exclusively, which fails if anybody listens there.
    exclusive = listen(host, port)
    port = exclusive[0].getsockname()[1]
    for one in exclusive:
        one.close()
    return _bind_all(_addresses(host), port, _bind_shared)


def display_address(host: str, port: int) -> str:
    """Return ``host:port``, for clients on this machine."""
    # A client cannot connect to the address that means all addresses.
    reachable = {"0.0.0.0": "localhost", "::": "localhost"}.get(host, host)  # noqa: S104
    return address_of(reachable, port)


def address_of(host: str, port: int) -> str:
    """Return ``host:port``, with brackets around an IPv6 address."""
    return f"{f'[{host}]' if ':' in host else host}:{port}"


def peer_host(transport: BaseTransport) -> str:
    """Return the address of the peer; an empty text if the socket is closed already."""
    if transport.get_extra_info("socket").family is socket.AF_UNIX:
        return UNIX_PEER
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if peer else ""


def explain_oserror(exc: OSError, host: str, port: int) -> str:
    """Return why it cannot listen there, as part of a sentence for a person."""
    if exc.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use"
    if exc.errno in {errno.EACCES, errno.EPERM}:
        return f"port {port} on {host} needs privileges"
    return f"cannot listen on {host}, port {port}: {exc.strerror or exc}"


def reachable_addresses(host: str) -> list[str]:
    """Return this machine's addresses, for a host that means all of them; else an empty list."""
    family = {"0.0.0.0": socket.AF_INET, "::": socket.AF_INET6}.get(host)  # noqa: S104
    if family is None:
        return []
    found = [_source_address(family)]
    with contextlib.suppress(OSError):
        named = socket.getaddrinfo(socket.gethostname(), None, family, socket.SOCK_STREAM)
        found += [str(address[0]) for *_, address in named]
    return [one for one in dict.fromkeys(found) if one and not is_loopback(one)]


def _source_address(family: socket.AddressFamily) -> str:
    """Return the address that this machine sends from. Nothing is sent to find it."""
    documented = "2001:db8::1" if family == socket.AF_INET6 else "192.0.2.1"
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as one:
            one.connect((documented, 9))
            return str(one.getsockname()[0])
    except OSError:
        return ""


def _bind_all(addresses: list[tuple[Any, ...]], port: int, bind: Bind) -> list[socket.socket]:
    with contextlib.ExitStack() as stack:
        sockets: list[socket.socket] = []
        for family, address in addresses:
            chosen = sockets[0].getsockname()[1] if sockets else port
            one = _bind_one(family, (address, chosen), bind, required=not sockets)
            if one is not None:
                sockets.append(stack.enter_context(one))
        stack.pop_all()
    return sockets


def _addresses(host: str) -> list[tuple[Any, ...]]:
    if host == "localhost":
        # Whatever /etc/hosts says: browsers try both.
        return _LOOPBACK
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except UnicodeError:
        raise OSError(errno.EINVAL, "this is no host name") from None
    return list(dict.fromkeys((family, address[0]) for family, _, _, _, address in found))


def _bind_one(
    family: int, address: tuple[str, int], bind: Bind, *, required: bool
) -> socket.socket | None:
    """Bind to one address; None if it is not required and this machine does not have it."""
    sock: socket.socket | None = None
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
        bind(sock, address)
    except OSError as exc:
        if sock is not None:
            sock.close()
        if required or exc.errno == errno.EADDRINUSE:
            raise
        return None
    return sock


def _listen(sock: socket.socket, address: tuple[str, int]) -> None:
    _bind(sock, address)
    sock.listen(BACKLOG)


def _bind_shared(sock: socket.socket, address: tuple[str, int]) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    _bind(sock, address)


def _listen_shared(sock: socket.socket, address: tuple[str, int]) -> None:
    _bind_shared(sock, address)
    sock.listen(BACKLOG)


def _bind(sock: socket.socket, address: tuple[str, int]) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind(address)
