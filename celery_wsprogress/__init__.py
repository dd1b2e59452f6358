"""Live progress for Celery, as it should have been.

The public names are loaded when they are first used: a worker that imports this package
loads no websockets, and a client or a sidecar that does loads no Celery.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

__version__ = "0.1.0"

if TYPE_CHECKING:
    from celery_wsprogress.tokens import create_token as create_token
    from celery_wsprogress.worker.signals import install as install
    from celery_wsprogress.worker.task import StreamingTask as StreamingTask
    from celery_wsprogress.worker.tracking import log as log
    from celery_wsprogress.worker.tracking import update_progress as update_progress
    from celery_wsprogress.worker.tracking import update_status as update_status

_HOMES: Final = {
    "StreamingTask": "celery_wsprogress.worker.task",
    "create_token": "celery_wsprogress.tokens",
    "install": "celery_wsprogress.worker.signals",
    "log": "celery_wsprogress.worker.tracking",
    "update_progress": "celery_wsprogress.worker.tracking",
    "update_status": "celery_wsprogress.worker.tracking",
}

__all__ = [
    "StreamingTask",
    "__version__",
    "create_token",
    "install",
    "log",
    "update_progress",
    "update_status",
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
