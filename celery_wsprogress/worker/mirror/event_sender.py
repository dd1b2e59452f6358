"""A connection to Celery's broker, over which events of tasks are sent as a worker sends its own.

Whether they are is known in the worker's main process (:func:`sends_events`). A process of the pool
has no dispatcher of the worker; Celery's ``default_dispatcher()`` borrows one of the connections by
which tasks send messages, and may wait for it without limit (celery 5.7, celery/app/events.py).
"""

from __future__ import annotations

from typing import Any


def sends_events(request: Any) -> bool:
    """Return whether the worker sends events of this request's task.

    It does with ``-E`` or ``worker_send_task_events``, and from the moment at which a monitor asks
    for them. Without, a worker sends events of the group ``worker`` only (celery 5.7,
    celery/worker/consumer/events.py).

    Args:
        request: The request of the worker's main process.
    """
    eventer = request.eventer
    if not (eventer and eventer.enabled and request.task.send_events):
        return False
    return not eventer.groups or "task" in eventer.groups


class EventSender:
    """One open connection. For one thread.

    Args:
        app: The Celery app.

    Raises:
        Exception: The broker cannot be reached; of the transport's kinds.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._dispatchers: dict[str, Any] = {}
        self._connection = app.connection_for_write()
        # Otherwise the first event would connect, and try for ever.
        self._connection.connect()

    def send(self, worker: str, fields: dict[str, Any]) -> None:
        """Send ``task-progress``.

        Args:
            worker: The name of the worker.
            fields: With the task's id as ``uuid``.

        Raises:
            Exception: It was not sent; of the transport's kinds.
        """
        dispatcher = self._dispatchers.get(worker)
        if dispatcher is None:
            dispatcher = self._app.events.Dispatcher(
                self._connection, hostname=worker, buffer_while_offline=False
            )
            self._dispatchers[worker] = dispatcher
        dispatcher.send("task-progress", **fields)

    def close(self) -> None:
        """Close the connection."""
        self._dispatchers.clear()
        self._connection.release()
