"""The sidecar in a thread of somebody else's process, a web application's for instance.

The server has a daemon thread and an event loop of its own. Everything here may be called from
any thread, also from one that runs another event loop; starting and stopping block it, for the
fraction of a second that they take.

A process that forks takes its server along only as far as the child does not hold on to the
port: in the child no server runs.
"""

from __future__ import annotations

import atexit
import dataclasses
import errno
import importlib.util
import logging
import os
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar

from celery_wsprogress import fork, running_server
from celery_wsprogress.brokers.discovery import (
    default_address,
    find_celery_app,
    load_settings,
)
from celery_wsprogress.errors import ServerNotStarted
from celery_wsprogress.settings import ServeSettings, websocket_enabled
from celery_wsprogress.sidecar.liveness.result_lookup import find_backend
from celery_wsprogress.urls import masked

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery_wsprogress.brokers import BrokerAddress
    from celery_wsprogress.sidecar.embedded.thread import EmbeddedSidecar, ServerAddress
    from celery_wsprogress.sidecar.server import Sidecar

logger = logging.getLogger(__name__)

T = TypeVar("T")

WEBSOCKETS_AVAILABLE: Final[bool] = importlib.util.find_spec("websockets") is not None
"""Whether the server can run here: the library ``websockets`` is installed."""


class DefaultHost(str):
    """The host, where nobody named one: what it means depends on the key."""

    __slots__ = ()


class DefaultPort(int):
    """The port, where nobody named one: the environment may."""

    __slots__ = ()


HOST: Final = DefaultHost("0.0.0.0")  # noqa: S104 - without a key it is not listened on
PORT: Final = DefaultPort(8765)


def start_websocket_background(host: str = HOST, port: int = PORT) -> ServerAddress | None:
    """Serve progress over WebSocket from this process. Returns once the server listens.

    It shows what is on the broker of this process's Celery application, else on that of
    ``WSPROGRESS_URL``, as every sidecar does. Without either it shows the operations of this
    process, live only. Its settings are those of ``celery-wsprogress serve``: ``WSPROGRESS_…`` in
    the environment, ``wsprogress_…`` in Celery's configuration.

    Who may connect: with a key (``WSPROGRESS_KEY``) whoever has a token. Without one a host that
    is not named means the loopback addresses; a public host that is named is served, and there
    one may watch by exact id only.

    Args:
        host: Host name or address to listen on. Where it is not given, ``WSPROGRESS_HOST``, else
            every address of the machine if a key is set, else the loopback addresses.
        port: Port to listen on; 0 is any free one. Where it is not given, ``WSPROGRESS_PORT``,
            else ``WEBSOCKET_PORT``, else 8765.

    Returns:
        Where it listens: that of the running server where there is one already. None where
        ``ENABLE_WEBSOCKET`` says no.

    Raises:
        ConfigurationError: a setting is bad.
        ServerNotStarted: it cannot listen there; the sentence says why.
    """
    global _server  # noqa: PLW0603 - one a process
    fork.notice()
    if not websocket_enabled(os.environ):
        logger.info("ENABLE_WEBSOCKET is false: the WebSocket server is not started")
        return None
    with _changing:
        if _server is None or not _server.running:
            _server = _start(host, port)
        return _server.place


def stop_websocket_background() -> None:
    """Close every connection (1012, so that clients come back) and stop. Nothing if none runs."""
    global _server
    fork.notice()
    with _changing:
        server, _server = _server, None
        if server is not None:
            server.stop()


def is_websocket_running() -> bool:
    """Whether a server runs in this process."""
    fork.notice()
    server = _server
    return server is not None and server.running


def get_websocket_status() -> dict[str, Any]:
    """``available`` (it could run), ``running``, and ``stats``, all 0 while none runs."""
    return {
        "available": WEBSOCKETS_AVAILABLE,
        "running": is_websocket_running(),
        "stats": stats(),
    }


def stats() -> dict[str, int]:
    """The figures of the server in this process; the protocol's own, all 0, without one."""
    return ask(lambda sidecar: sidecar.stats(), dict(running_server.NO_STATS))


def ask(question: Callable[[Sidecar], T], otherwise: T) -> T:
    """Ask the server in this process something, in its thread.

    Args:
        question: Called with the sidecar. Must be quick.
        otherwise: The answer where no server runs, or it does not answer within two seconds.
    """
    fork.notice()
    server = _server
    return otherwise if server is None else server.ask(question, otherwise)


def _start(host: str, port: int) -> EmbeddedSidecar:
    if not WEBSOCKETS_AVAILABLE:
        raise ServerNotStarted("The library `websockets` is not installed")
    settings = _settings(host, port)
    address = default_address()
    from celery_wsprogress.sidecar.embedded.thread import EmbeddedSidecar  # noqa: PLC0415

    server = EmbeddedSidecar(
        settings,
        address,
        write_address=default_address(write=True),
        backend=find_backend(find_celery_app(), settings.result_backend),
    )
    try:
        server.start()
    except TimeoutError:
        raise ServerNotStarted("The WebSocket server does not start: it is too busy") from None
    except OSError as exc:
        raise ServerNotStarted(_explain_oserror(settings, exc)) from exc
    _announce(server, address)
    return server


def _settings(host: str, port: int) -> ServeSettings:
    """The settings of the process, with the host and the port that were asked for."""
    settings = load_settings(ServeSettings)
    asked: dict[str, Any] = {}
    if not isinstance(port, DefaultPort):
        asked["port"] = port
    if not isinstance(host, DefaultHost):
        asked["host"] = host
    elif settings.host == ServeSettings().host and settings.key is not None:
        asked["host"] = str(host)
    return _restrict_public(_with(settings, asked))


def _with(settings: ServeSettings, changes: dict[str, Any]) -> ServeSettings:
    checked = ServeSettings.load(changes)
    return dataclasses.replace(settings, **{name: getattr(checked, name) for name in changes})


def _restrict_public(settings: ServeSettings) -> ServeSettings:
    """The settings, closed as far as a public address without a key must be."""
    if settings.may_be_served:
        return settings
    return _with(settings, {"exact_only": True})


def _announce(server: EmbeddedSidecar, address: BrokerAddress) -> None:
    settings, url = server.sidecar.settings, server.place.url
    logger.info("WebSocket server started on %s; broker: %s", url, masked(address.url))
    from celery_wsprogress.sidecar.http.handshake import exposure  # noqa: PLC0415 - loads websockets

    open_to = exposure(settings)
    if open_to is not None:
        logger.warning(
            "THE WEBSOCKET SERVER ON %s, PORT %d, IS PUBLIC AND HAS NO KEY: %s; set WSPROGRESS_KEY "
            "and use create_token()",
            settings.host,
            server.sidecar.port,
            open_to,
        )
    elif settings.key is None:
        logger.info(
            "No key is set, so it listens on this machine only; set WSPROGRESS_KEY to serve others"
        )


def _explain_oserror(settings: ServeSettings, exc: OSError) -> str:
    place = f"port {settings.port} on {settings.host}"
    if exc.errno == errno.EADDRINUSE:
        return (
            f"The WebSocket server cannot start: {place} is in use, perhaps by this program's own "
            "reloader or another worker process of it; choose another port (WSPROGRESS_PORT), or "
            "start the server in one process only"
        )
    if exc.errno in {errno.EACCES, errno.EPERM}:
        return f"The WebSocket server cannot start: {place} needs privileges"
    return f"The WebSocket server cannot start: cannot listen on {place}: {exc.strerror or exc}"


_server: EmbeddedSidecar | None = None
_changing = threading.Lock()
"""Held while a server is started or stopped."""
_abandoned: list[EmbeddedSidecar] = []
"""Of the parent. Never collected: that would close what has its file numbers by then."""


def _reset() -> None:
    global _server, _changing  # noqa: PLW0603 - whoever held it is not in this process
    _changing = threading.Lock()
    server, _server = _server, None
    if server is not None:
        _abandoned.append(server)
        server.abandon()


fork.register(_reset)
running_server.register(ask, is_websocket_running)

# Clients are told to come back also when nobody stopped the server.
atexit.register(stop_websocket_background)
