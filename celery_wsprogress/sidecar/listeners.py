"""Where the sidecar listens: on sockets of systemd, on a Unix socket, or on a host and port."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from celery_wsprogress.access.exposure import check_exposure
from celery_wsprogress.sidecar.sockets import BACKLOG, display_address, explain_oserror, listen
from celery_wsprogress.sidecar.systemd import take_sockets

if TYPE_CHECKING:
    from celery_wsprogress.settings import ServeSettings

UNIX_MODE: Final = 0o660
"""The rights of the Unix socket: its user and its group, such as that of nginx, may connect."""


def open_listeners(settings: ServeSettings, *, shared: bool) -> list[socket.socket]:
    """Listen.

    Args:
        settings: Where.
        shared: Whether other processes share the port, which is reserved then.

    Raises:
        OSError: the port or the path is in use, or cannot be had.
        ConfigurationError: systemd has opened a public address that needs a key.
    """
    inherited = take_sockets(os.environ)
    if inherited:
        for one in inherited:
            if not is_unix(one):
                check_exposure(replace(settings, host=str(one.getsockname()[0]), unix_socket=None))
        return inherited
    if settings.unix_socket is not None:
        return [_listen_unix(settings.unix_socket)]
    return listen(settings.host, settings.port, shared=shared)


def is_unix(sock: socket.socket) -> bool:
    """Return whether it is a Unix socket."""
    return sock.family is socket.AF_UNIX


def remove_file(settings: ServeSettings, sockets: list[socket.socket]) -> None:
    """Remove the file of a Unix socket that :func:`open_listeners` has made."""
    path = settings.unix_socket
    if path is not None and any(is_unix(one) and one.getsockname() == path for one in sockets):
        with contextlib.suppress(OSError):
            Path(path).unlink()


def port_of(sock: socket.socket) -> int:
    """Return its port; 0 for a Unix socket."""
    return 0 if is_unix(sock) else int(sock.getsockname()[1])


def address_of(settings: ServeSettings, sockets: list[socket.socket], port: int) -> str:
    """Return ``host:port``, for clients on this machine, or ``unix:`` and a path.

    Args:
        settings: Where.
        sockets: Those that are open, perhaps by systemd and elsewhere than the settings say.
        port: The port, where there is one.
    """
    if sockets and is_unix(sockets[0]):
        return f"unix:{sockets[0].getsockname()}"
    return display_address(settings.host, port)


def explain(exc: OSError, settings: ServeSettings) -> str:
    """Return why it cannot listen, as part of a sentence for a person."""
    path = settings.unix_socket
    if path is None:
        return explain_oserror(exc, settings.host, settings.port)
    if exc.errno == errno.EADDRINUSE:
        return f"{path} is in use"
    return f"cannot listen on {path}: {exc.strerror or exc}"


def _listen_unix(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        try:
            sock.bind(path)
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE or not _is_left_behind(path):
                raise
            Path(path).unlink()
            sock.bind(path)
        Path(path).chmod(UNIX_MODE)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _is_left_behind(path: str) -> bool:
    """Return whether nobody listens on a Unix socket any more: its process was killed."""
    if not Path(path).is_socket():
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
        try:
            one.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False
