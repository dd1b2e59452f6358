"""The line of the log with which a worker says, once it is ready, that its events are on.

Runs in: the worker's main process.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.urls import masked
from celery_wsprogress.worker.apps import publishing_of
from celery_wsprogress.worker.policies import publishing_for

if TYPE_CHECKING:
    from celery_wsprogress.worker.apps import AppPublishing

logger = logging.getLogger(__name__)

MAX_NAMES: Final = 5
"""Tasks that are named."""

_told: Final[set[str]] = set()
"""The names of the workers that have said it: Celery sends the signal again after an outage."""


def worker_ready(sender: Any = None, **_: Any) -> None:
    """Log it. ``sender`` is Celery's consumer."""
    if sender.hostname in _told:
        return
    _told.add(sender.hostname)
    publishing = publishing_of(sender.app)
    if publishing.settings.enabled:
        logger.info("%s", _line(sender.app, publishing))
    else:
        logger.info("Task events are off (wsprogress_enabled)")


def _line(app: Any, publishing: AppPublishing) -> str:
    address = publishing.address
    line = f"Task events are on, to {masked(address.url)}, exchange {address.exchange}"
    names = sorted(one.name for one in app.tasks.values() if publishing_for(one, {}) is not None)
    own = [one for one in names if not one.startswith("celery.")]
    if not own:
        advice = "say @app.task(base=StreamingTask), or set wsprogress_tasks"
        return f"{line}, and no task of this worker sends any: {advice}"
    more = len(own) - MAX_NAMES
    named = ", ".join(own[:MAX_NAMES]) + (f" and {more:,} more" if more > 0 else "")
    return f"{line}, for {'one task' if len(own) == 1 else f'{len(own):,} tasks'}: {named}"
