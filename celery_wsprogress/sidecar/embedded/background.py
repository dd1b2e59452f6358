"""Start and stop one sidecar in this process, for instance in that of a web application.

These are functions of the package's public API. The server runs in a daemon thread with an event
loop of its own (:mod:`.thread`). Everything here may be called from any thread, also from one
that runs another event loop. Starting and stopping block for a fraction of a second.

After a fork no server runs in the child: it closes its copies of the listening sockets.
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
from celery_wsprogress.access.exposure import describe_exposure
from celery_wsprogress.brokers.discovery import (
    default_address,
    find_celery_app,
    load_settings,
)
from celery_wsprogress.errors import ServerNotStarted
from celery_wsprogress.setting_sources import websocket_enabled
from celery_wsprogress.settings import ServeSettings
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
    """The default of ``host``. A host that was passed is always taken; this one only with a key."""

    __slots__ = ()


class DefaultPort(int):
    """The default of ``port``. A port that was passed overrides the settings; this one does not."""

    __slots__ = ()


HOST: Final = DefaultHost("0.0.0.0")  # noqa: S104 - without a key it is not listened on
PORT: Final = DefaultPort(8765)


def start_websocket_background(host: str = HOST, port: int = PORT) -> ServerAddress | None:
    """Serve progress over WebSocket from this process. Return once the server listens.

    The server reads the broker of this process's Celery application, else the one in
    ``WSPROGRESS_URL``. Without either it shows the operations of this process only, without
    history. Its settings are those of ``celery-wsprogress serve``: ``WSPROGRESS_…`` in the
    environment, ``wsprogress_…`` in Celery's configuration.

    With a key (``WSPROGRESS_KEY``) clients need a token. Without one the server listens on the
    loopback addresses. If you pass a public host all the same, clients may watch by exact id only.

    Args:
        host: Host name or address to listen on. If not given: ``WSPROGRESS_HOST``, else every
            address of the machine if a key is set, else the loopback addresses.
        port: Port to listen on; 0 means any free one. If not given: ``WSPROGRESS_PORT``, else
            ``WEBSOCKET_PORT``, else 8765.

    Returns:
        The address of the server, which may have been running already; None if
        ``ENABLE_WEBSOCKET`` is false.

    Raises:
        ConfigurationError: a setting is bad.
        ServerNotStarted: it cannot listen there; the message says why.
    """
    global _server  # noqa: PLW0603 - one a process
    fork.notice()
    if not websocket_enabled(os.environ):
        logger.info("ENABLE_WEBSOCKET is false: the WebSocket server is not started")
        return None
    with _lock:
        if _server is None or not _server.running:
            _server = _start(host, port)
        return _server.address


def stop_websocket_background() -> None:
    """Close every connection (1012: clients connect again) and stop the server, if one runs."""
    global _server
    fork.notice()
    with _lock:
        server, _server = _server, None
        if server is not None:
            server.stop()


def is_websocket_running() -> bool:
    """Return whether a server runs in this process."""
    fork.notice()
    server = _server
    return server is not None and server.running


def get_websocket_status() -> dict[str, Any]:
    """Return the state of the server in this process.

    Returns:
        ``available`` (bool: websockets is installed), ``running`` (bool), and ``stats``, the
        figures of :func:`stats`.
    """
    return {
        "available": WEBSOCKETS_AVAILABLE,
        "running": is_websocket_running(),
        "stats": stats(),
    }


def stats() -> dict[str, int]:
    """Return the figures of ``get_stats`` of the server in this process; zeros without one."""
    return call(lambda sidecar: sidecar.stats(), dict(running_server.NO_STATS))


def call(function: Callable[[Sidecar], T], default: T) -> T:
    """Call a function in the thread of the server in this process, and return its result.

    Args:
        function: Called with the sidecar. It blocks the event loop, so it must be quick.
        default: Returned if no server runs, or if there is no result within two seconds.
    """
    fork.notice()
    server = _server
    return default if server is None else server.call(function, default)


def _start(host: str, port: int) -> EmbeddedSidecar:
    if not WEBSOCKETS_AVAILABLE:
        raise ServerNotStarted("The library `websockets` is not installed")
    settings = _settings(host, port)
    address, app = default_address(), find_celery_app()
    from celery_wsprogress.brokers.control_address import ControlAddress  # noqa: PLC0415 - not needed else
    from celery_wsprogress.sidecar.embedded.thread import EmbeddedSidecar  # noqa: PLC0415

    server = EmbeddedSidecar(
        settings,
        address,
        write_address=default_address(write=True),
        backend=find_backend(app, settings.result_backend),
        control=None if app is None else ControlAddress.of_app(app),
    )
    try:
        server.start()
    except TimeoutError:
        raise ServerNotStarted(
            "The WebSocket server does not start: the machine is too busy"
        ) from None
    except OSError as exc:
        raise ServerNotStarted(_explain(exc, settings)) from exc
    _log_startup(server, address)
    return server


def _settings(host: str, port: int) -> ServeSettings:
    """Return the settings of the process, with the host and the port that were passed."""
    settings = load_settings(ServeSettings)
    changes: dict[str, Any] = {}
    if not isinstance(port, DefaultPort):
        changes["port"] = port
    if not isinstance(host, DefaultHost):
        changes["host"] = host
    elif settings.host == ServeSettings().host and settings.needs_tokens:
        changes["host"] = str(host)
    return _restrict_public(_with_changes(settings, changes))


def _with_changes(settings: ServeSettings, changes: dict[str, Any]) -> ServeSettings:
    checked = ServeSettings.load(changes)
    return dataclasses.replace(settings, **{name: getattr(checked, name) for name in changes})


def _restrict_public(settings: ServeSettings) -> ServeSettings:
    """Allow exact ids only, if the settings expose an address without saying so."""
    return settings if settings.may_be_served else _with_changes(settings, {"exact_only": True})


def _log_startup(server: EmbeddedSidecar, address: BrokerAddress) -> None:
    settings, url = server.sidecar.settings, server.address.url
    logger.info("WebSocket server started on %s; broker: %s", url, masked(address.url))
    open_to = describe_exposure(settings)
    if open_to is not None:
        logger.warning(
            "THE WEBSOCKET SERVER ON %s, PORT %d, IS PUBLIC AND HAS NO KEY: %s; set WSPROGRESS_KEY "
            "and use create_token()",
            settings.host,
            server.sidecar.port,
            open_to,
        )
    elif not settings.needs_tokens:
        logger.info(
            "No key is set, so only this machine can connect; set WSPROGRESS_KEY to serve others"
        )


def _explain(exc: OSError, settings: ServeSettings) -> str:
    from celery_wsprogress.sidecar.sockets import explain_oserror  # noqa: PLC0415 - not needed else

    reason = explain_oserror(exc, settings.host, settings.port)
    hint = (
        ", perhaps by this program's own reloader or another worker process of it; choose another "
        "port (WSPROGRESS_PORT), or start the server in one process only"
    )
    in_use = exc.errno == errno.EADDRINUSE
    return f"The WebSocket server cannot start: {reason}{hint if in_use else ''}"


_server: EmbeddedSidecar | None = None
_lock = threading.Lock()
"""Held while a server starts or stops."""
_parent_servers: list[EmbeddedSidecar] = []
"""In a child: the servers of its parents. They are kept for ever, because collecting them would
close file descriptors, whose numbers may belong to other files by then."""


def _reset() -> None:
    global _server, _lock  # noqa: PLW0603 - its holder is not in this process
    _lock = threading.Lock()
    server, _server = _server, None
    if server is not None:
        _parent_servers.append(server)
        server.abandon()


fork.register(_reset)
running_server.register(call, is_websocket_running)

# Clients get 1012, and so connect again, also if the program did not stop the server.
atexit.register(stop_websocket_background)
