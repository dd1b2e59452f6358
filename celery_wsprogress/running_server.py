"""The WebSocket server that runs in this process, if any.

:mod:`celery_wsprogress.sidecar.embedded.background` registers it and
:mod:`celery_wsprogress.standalone` calls it, so that neither imports the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

NO_STATS: Final = {
    "connected_clients": 0,
    "active_operations": 0,
    "total_operations": 0,
    "subscriptions": 0,
}
"""The figures while no server runs."""


class _Call(Protocol):
    def __call__(self, function: Callable[[Any], T], default: T) -> T: ...


_registered: list[tuple[_Call, Callable[[], bool]]] = []


def register(call_server: _Call, is_running: Callable[[], bool]) -> None:
    """Register the functions that reach the server of this process."""
    _registered[:] = [(call_server, is_running)]


def call(function: Callable[[Any], T], default: T) -> T:
    """Call ``function`` with the running :class:`~.sidecar.server.Sidecar`, in its own thread.

    Args:
        function: Must be quick: it runs on the server's event loop.
        default: Returned if no server runs, or it does not answer within two seconds.
    """
    return _registered[0][0](function, default) if _registered else default


def is_running() -> bool:
    """Return whether a server runs in this process."""
    return bool(_registered) and _registered[0][1]()


def stats() -> dict[str, int]:
    """Return the figures of the server; :data:`NO_STATS` while none runs."""
    return call(lambda sidecar: sidecar.stats(), dict(NO_STATS))
