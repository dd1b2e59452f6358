"""Live progress for Celery tasks, pushed to browsers and other clients over WebSocket.

:class:`StreamingTask` is the base class for tasks that report progress, :class:`operation` does the
same for code outside of Celery, and ``ws_manager`` for code written against it. The sidecar, which
serves the clients, is a program: ``celery-wsprogress serve``.

Every public name is imported from its module when it is first used. A worker that imports this
package loads no websockets, and a client or a sidecar that does loads no Celery.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from celery_wsprogress.access.issue import create_token as create_token
    from celery_wsprogress.client.client import Client as Client
    from celery_wsprogress.client.operation_snapshot import Operation as Operation
    from celery_wsprogress.client.outcome import OperationOutcome as OperationOutcome
    from celery_wsprogress.client.watch import Watch as Watch
    from celery_wsprogress.client.watch import wait as wait
    from celery_wsprogress.client.watch import watch as watch
    from celery_wsprogress.client.websocket_event import EventType as EventType
    from celery_wsprogress.client.websocket_event import WebSocketEvent as WebSocketEvent
    from celery_wsprogress.sidecar.embedded.background import (
        WEBSOCKETS_AVAILABLE as WEBSOCKETS_AVAILABLE,
    )
    from celery_wsprogress.sidecar.embedded.background import (
        get_websocket_status as get_websocket_status,
    )
    from celery_wsprogress.sidecar.embedded.background import (
        is_websocket_running as is_websocket_running,
    )
    from celery_wsprogress.sidecar.embedded.background import (
        start_websocket_background as start_websocket_background,
    )
    from celery_wsprogress.sidecar.embedded.background import (
        stop_websocket_background as stop_websocket_background,
    )
    from celery_wsprogress.standalone.callbacks import ProgressTracker as ProgressTracker
    from celery_wsprogress.standalone.callbacks import create_log_callback as create_log_callback
    from celery_wsprogress.standalone.callbacks import (
        create_progress_callback as create_progress_callback,
    )
    from celery_wsprogress.standalone.manager import ws_manager as ws_manager
    from celery_wsprogress.standalone.mixin import StreamingMixin as StreamingMixin
    from celery_wsprogress.standalone.operation import operation as operation
    from celery_wsprogress.started import start as start
    from celery_wsprogress.version import __version__ as __version__
    from celery_wsprogress.worker.cancel.cancel_tasks import acancel as acancel
    from celery_wsprogress.worker.cancel.cancel_tasks import cancel as cancel
    from celery_wsprogress.worker.cancel.checks import is_cancelled as is_cancelled
    from celery_wsprogress.worker.cancel.checks import raise_if_cancelled as raise_if_cancelled
    from celery_wsprogress.worker.cancel.task_cancelled import TaskCancelled as TaskCancelled
    from celery_wsprogress.worker.capture.block import capture_tqdm as capture_tqdm
    from celery_wsprogress.worker.context import copy_context as copy_context
    from celery_wsprogress.worker.context import log as log
    from celery_wsprogress.worker.context import steps as steps
    from celery_wsprogress.worker.context import update_progress as update_progress
    from celery_wsprogress.worker.context import update_status as update_status
    from celery_wsprogress.worker.logs.handler import log_handler as log_handler
    from celery_wsprogress.worker.relay import relay as relay
    from celery_wsprogress.worker.signals.handlers import install as install
    from celery_wsprogress.worker.stream_methods import stream as stream
    from celery_wsprogress.worker.task import StreamingTask as StreamingTask
    from celery_wsprogress.worker.track_methods import phase as phase
    from celery_wsprogress.worker.track_methods import phases as phases
    from celery_wsprogress.worker.track_methods import track as track

_HOMES: Final = {
    "Client": "celery_wsprogress.client.client",
    "EventType": "celery_wsprogress.client.websocket_event",
    "Operation": "celery_wsprogress.client.operation_snapshot",
    "OperationOutcome": "celery_wsprogress.client.outcome",
    "ProgressTracker": "celery_wsprogress.standalone.callbacks",
    "StreamingMixin": "celery_wsprogress.standalone.mixin",
    "StreamingTask": "celery_wsprogress.worker.task",
    "TaskCancelled": "celery_wsprogress.worker.cancel.task_cancelled",
    "WEBSOCKETS_AVAILABLE": "celery_wsprogress.sidecar.embedded.background",
    "Watch": "celery_wsprogress.client.watch",
    "WebSocketEvent": "celery_wsprogress.client.websocket_event",
    "__version__": "celery_wsprogress.version",
    "acancel": "celery_wsprogress.worker.cancel.cancel_tasks",
    "cancel": "celery_wsprogress.worker.cancel.cancel_tasks",
    "capture_tqdm": "celery_wsprogress.worker.capture.block",
    "copy_context": "celery_wsprogress.worker.context",
    "create_log_callback": "celery_wsprogress.standalone.callbacks",
    "create_progress_callback": "celery_wsprogress.standalone.callbacks",
    "create_token": "celery_wsprogress.access.issue",
    "get_websocket_status": "celery_wsprogress.sidecar.embedded.background",
    "install": "celery_wsprogress.worker.signals.handlers",
    "is_cancelled": "celery_wsprogress.worker.cancel.checks",
    "is_websocket_running": "celery_wsprogress.sidecar.embedded.background",
    "log": "celery_wsprogress.worker.context",
    "log_handler": "celery_wsprogress.worker.logs.handler",
    "operation": "celery_wsprogress.standalone.operation",
    "phase": "celery_wsprogress.worker.track_methods",
    "phases": "celery_wsprogress.worker.track_methods",
    "raise_if_cancelled": "celery_wsprogress.worker.cancel.checks",
    "relay": "celery_wsprogress.worker.relay",
    "start": "celery_wsprogress.started",
    "start_websocket_background": "celery_wsprogress.sidecar.embedded.background",
    "steps": "celery_wsprogress.worker.context",
    "stop_websocket_background": "celery_wsprogress.sidecar.embedded.background",
    "stream": "celery_wsprogress.worker.stream_methods",
    "track": "celery_wsprogress.worker.track_methods",
    "update_progress": "celery_wsprogress.worker.context",
    "update_status": "celery_wsprogress.worker.context",
    "wait": "celery_wsprogress.client.watch",
    "watch": "celery_wsprogress.client.watch",
    "ws_manager": "celery_wsprogress.standalone.manager",
}

__all__ = [
    "WEBSOCKETS_AVAILABLE",
    "Client",
    "EventType",
    "Operation",
    "OperationOutcome",
    "ProgressTracker",
    "StreamingMixin",
    "StreamingTask",
    "TaskCancelled",
    "Watch",
    "WebSocketEvent",
    "__version__",
    "acancel",
    "cancel",
    "capture_tqdm",
    "copy_context",
    "create_log_callback",
    "create_progress_callback",
    "create_token",
    "get_websocket_status",
    "install",
    "is_cancelled",
    "is_websocket_running",
    "log",
    "log_handler",
    "operation",
    "phase",
    "phases",
    "raise_if_cancelled",
    "relay",
    "start",
    "start_websocket_background",
    "steps",
    "stop_websocket_background",
    "stream",
    "track",
    "update_progress",
    "update_status",
    "wait",
    "watch",
    "ws_manager",
]


if not TYPE_CHECKING:
    # A type checker would take this function as a promise that every name exists.

    def __getattr__(name: str) -> Any:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(home), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
