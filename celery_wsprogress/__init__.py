"""Live progress for Celery, as it should have been.

The public names are loaded when they are first used: a worker that imports this package
loads no websockets, and a client or a sidecar that does loads no Celery.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

__version__ = "0.1.0"

if TYPE_CHECKING:
    from celery_wsprogress.operations.by_id import ws_manager as ws_manager
    from celery_wsprogress.operations.callbacks import ProgressTracker as ProgressTracker
    from celery_wsprogress.operations.callbacks import create_log_callback as create_log_callback
    from celery_wsprogress.operations.callbacks import (
        create_progress_callback as create_progress_callback,
    )
    from celery_wsprogress.operations.mixin import StreamingMixin as StreamingMixin
    from celery_wsprogress.operations.scope import operation as operation
    from celery_wsprogress.sidecar.background import WEBSOCKETS_AVAILABLE as WEBSOCKETS_AVAILABLE
    from celery_wsprogress.sidecar.background import get_websocket_status as get_websocket_status
    from celery_wsprogress.sidecar.background import is_websocket_running as is_websocket_running
    from celery_wsprogress.sidecar.background import (
        start_websocket_background as start_websocket_background,
    )
    from celery_wsprogress.sidecar.background import (
        stop_websocket_background as stop_websocket_background,
    )
    from celery_wsprogress.tokens import create_token as create_token
    from celery_wsprogress.worker.signals import install as install
    from celery_wsprogress.worker.task import StreamingTask as StreamingTask
    from celery_wsprogress.worker.tracking import log as log
    from celery_wsprogress.worker.tracking import steps as steps
    from celery_wsprogress.worker.tracking import update_progress as update_progress
    from celery_wsprogress.worker.tracking import update_status as update_status

_HOMES: Final = {
    "ProgressTracker": "celery_wsprogress.operations.callbacks",
    "StreamingMixin": "celery_wsprogress.operations.mixin",
    "StreamingTask": "celery_wsprogress.worker.task",
    "WEBSOCKETS_AVAILABLE": "celery_wsprogress.sidecar.background",
    "create_log_callback": "celery_wsprogress.operations.callbacks",
    "create_progress_callback": "celery_wsprogress.operations.callbacks",
    "create_token": "celery_wsprogress.tokens",
    "get_websocket_status": "celery_wsprogress.sidecar.background",
    "install": "celery_wsprogress.worker.signals",
    "is_websocket_running": "celery_wsprogress.sidecar.background",
    "log": "celery_wsprogress.worker.tracking",
    "operation": "celery_wsprogress.operations.scope",
    "start_websocket_background": "celery_wsprogress.sidecar.background",
    "steps": "celery_wsprogress.worker.tracking",
    "stop_websocket_background": "celery_wsprogress.sidecar.background",
    "update_progress": "celery_wsprogress.worker.tracking",
    "update_status": "celery_wsprogress.worker.tracking",
    "ws_manager": "celery_wsprogress.operations.by_id",
}

__all__ = [
    "WEBSOCKETS_AVAILABLE",
    "ProgressTracker",
    "StreamingMixin",
    "StreamingTask",
    "__version__",
    "create_log_callback",
    "create_progress_callback",
    "create_token",
    "get_websocket_status",
    "install",
    "is_websocket_running",
    "log",
    "operation",
    "start_websocket_background",
    "steps",
    "stop_websocket_background",
    "update_progress",
    "update_status",
    "ws_manager",
]


if not TYPE_CHECKING:
    # A type checker would take it as a promise that there is every name.

    def __getattr__(name: str) -> Any:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(home), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
