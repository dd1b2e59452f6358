"""In a worker with the solo pool: read ``revoke`` while its only thread is busy with a task.

Such a worker reads no control message before the task has ended (celery/concurrency/solo.py). So a
thread reads them, too, from a queue of its own. It tells the running task, and nothing else: Celery
executes the commands later as well.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.worker.apps import publishing_of
from celery_wsprogress.worker.signals import revoke_commands

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger(__name__)

RETRY_INTERVAL: Final = 2.0
"""Seconds after which a lost connection is made again."""

WAIT: Final = 0.5
"""Seconds after which a thread that waits for messages looks whether it should stop."""

STOP_TIMEOUT: Final = 2.0
"""Seconds for which a worker that stops waits for the thread."""

_running: Final[dict[str, SoloControl]] = {}


def worker_ready(sender: Any = None, **_: Any) -> None:
    """Start the thread, if the worker has a solo pool. ``sender`` is Celery's consumer."""
    solo = import_module("celery.concurrency.solo").TaskPool
    app = sender.app
    if not isinstance(sender.pool, solo) or not app.conf.worker_enable_remote_control:
        return
    # Celery sends the signal again when it has connected again.
    if publishing_of(app).settings.enabled and sender.hostname not in _running:
        control = _running[sender.hostname] = SoloControl(app, sender.hostname)
        control.start()


def worker_shutdown(**_: Any) -> None:
    """Stop the threads, so that they leave no queue behind."""
    while _running:
        _running.popitem()[1].stop()


class SoloControl:
    """Reads the control messages of one worker.

    Args:
        app: Its Celery app.
        hostname: Its name.
    """

    def __init__(self, app: Any, hostname: str) -> None:
        self._app = app
        self._hostname = hostname
        self._stopped = threading.Event()
        name = "celery-wsprogress-control"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread, and wait for it."""
        self._stopped.set()
        self._thread.join(STOP_TIMEOUT)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._listen()
            except Exception as exc:  # noqa: BLE001 - whatever the transport raises
                logger.debug("Control messages cannot be read: %s", type(exc).__name__)
            self._stopped.wait(RETRY_INTERVAL)

    def _listen(self) -> None:
        # Without heartbeats, which somebody would have to send.
        with self._app.connection_for_read(heartbeat=0) as connection:
            consumer = import_module("kombu").Consumer
            mailbox = self._app.control.mailbox(connection)
            # The same after a restart: transports may keep what is bound to the exchange.
            queue = mailbox.get_queue(f"wsprogress.{self._hostname}")
            with (
                connection.channel() as channel,
                consumer(
                    channel,
                    [queue],
                    accept=mailbox.accept,
                    no_ack=True,
                    callbacks=[self.on_message],
                ),
            ):
                while not self._stopped.is_set():
                    with contextlib.suppress(TimeoutError):
                        connection.drain_events(timeout=WAIT)

    def on_message(self, body: Any, _message: Any = None) -> None:
        """Tell the running task, if a control message revokes it."""
        if body.get("method") not in revoke_commands.COMMANDS or not self._is_addressed(body):
            return
        arguments = body.get("arguments") or {}
        ids = arguments.get("task_id") or ()
        ids = {ids} if isinstance(ids, str) else set(ids)
        stamps = arguments.get("headers") or {}
        if isinstance(stamps, list):
            stamps = dict(one.split("=", 1) for one in stamps)
        revoke_commands.mark_running(
            lambda one: one.id in ids or revoke_commands.has_stamp(one, stamps),
            revoke_commands.remember_reason(ids, arguments.get("reason")),
            terminate=bool(arguments.get("terminate")),
        )

    def _is_addressed(self, body: Mapping[str, Any]) -> bool:
        """Return whether this worker is meant, as kombu decides it (kombu/pidbox.py, ``Node``)."""
        destination, pattern = body.get("destination"), body.get("pattern")
        if destination:
            return self._hostname in destination
        matcher = body.get("matcher")
        match = import_module("kombu.matcher").match
        return not (pattern and matcher) or bool(match(self._hostname, pattern, matcher))
