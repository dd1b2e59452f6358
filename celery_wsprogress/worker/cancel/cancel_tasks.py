"""Cancel tasks from a program that has their Celery application: a web process, a script.

No sidecar is needed: the workers are told as by Celery's own ``revoke()``, with a reason, and with
a time-out for every wait.
"""

from __future__ import annotations

import logging
from typing import Any

from celery_wsprogress.brokers.control_address import ControlAddress, revoke_arguments
from celery_wsprogress.brokers.discovery import find_celery_app
from celery_wsprogress.errors import ConfigurationError

logger = logging.getLogger(__name__)


def cancel(task_id: str, terminate: bool = False, reason: str = "", *, app: Any = None) -> bool:
    """Ask all workers to cancel a task. Blocks for as long as the broker takes, seconds at most.

    How the task ends comes as its events. One that runs is told, and ends if it looks
    (:attr:`.StreamingTask.cancelled`); one that does not run yet is dropped.

    Args:
        task_id: The task.
        terminate: Whether its process should be sent SIGTERM if it runs, where the pool can.
        reason: Why, a short text for its watchers.
        app: The Celery application; by default the current one.

    Returns:
        Whether the broker has taken the request. If not, the reason is in the log.

    Raises:
        ConfigurationError: There is no Celery application that names its broker.
        TypeError: ``task_id`` or ``reason`` is not a string.
    """
    for value in (task_id, reason):
        if not isinstance(value, str):
            raise TypeError(f"a task id and a reason are strings, not {type(value).__name__}")
    return _send(_app(app), task_id, reason, terminate=bool(terminate))


async def acancel(
    task_id: str, terminate: bool = False, reason: str = "", *, app: Any = None
) -> bool:
    """Do the same as :func:`cancel`, in asynchronous code: it waits in a thread."""
    import asyncio  # noqa: PLC0415 - who calls it has loaded it, and no worker needs it

    # The current application is one of this thread.
    return await asyncio.to_thread(cancel, task_id, terminate, reason, app=_app(app))


def _app(app: Any) -> Any:
    found = find_celery_app() if app is None else app
    if found is None:
        raise ConfigurationError("the Celery application", None, "one that names its broker")
    return found


def _send(app: Any, task_id: str, reason: str, *, terminate: bool) -> bool:
    # Here: kombu is not needed by those who only import the name.
    from celery_wsprogress.brokers.control import broadcast  # noqa: PLC0415

    address = ControlAddress.of_app(app)
    arguments = revoke_arguments([task_id], terminate=terminate, reason=reason)
    try:
        reached = broadcast(address, "revoke", [arguments])
    except ConfigurationError:
        raise
    except Exception as exc:  # noqa: BLE001 - whatever the client library raises
        # Its text may quote the URL.
        logger.warning("A task cannot be cancelled: the broker fails (%s)", type(exc).__name__)
        return False
    if not reached:
        logger.warning("A task cannot be cancelled: this broker cannot tell all workers")
    return reached
