"""A Celery project whose tasks write down, outside of everything that may die, what they say.

``BROKER_URL`` and ``RESULT_BACKEND`` say where. ``RECORDS`` is a folder in which each process
has a file; a line is appended to it, and so handed to the kernel, *before* it is said: what
stands there and never reached the log died with its process. ``CLOCK_SKEW`` is how many seconds
the clock of this process is ahead.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from itertools import count
from pathlib import Path

from celery import Celery

SKEW = float(os.environ.get("CLOCK_SKEW", "0"))
true_time = time.time
if SKEW:
    # For all who are imported from here on; Celery's own timers took the function before.
    time.time = lambda: true_time() + SKEW

from celery_wsprogress import StreamingTask  # noqa: E402 - see above


class Records:
    """The file of this process. A forked process opens its own."""

    def __init__(self):
        self._pid = 0

    def write(self, operation_id, kind, text):
        """Append one line."""
        if self._pid != os.getpid():
            self._open()
        line = json.dumps([operation_id, kind, text]) + "\n"
        os.write(self._file, line.encode())

    def token(self):
        """A text that nothing else anywhere says."""
        if self._pid != os.getpid():
            self._open()
        return f"{self._name}-{next(self._numbers)}"

    def _open(self):
        self._pid = os.getpid()
        self._name = f"{self._pid}.{secrets.token_hex(3)}"
        self._numbers = count(1)
        path = Path(os.environ["RECORDS"], self._name)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


records = Records()


def speak(self, lines=5, pause=0.0, end="result", ballast=0):
    """Say lines (with so many bytes more) and progress, and end in one of the ways there are."""
    operation_id = self.request.id
    records.write(operation_id, "start", str(self.request.retries))
    for number in range(1, lines + 1):
        token = records.token()
        records.write(operation_id, "log", token)
        self.log("info", token, **({"ballast": "x" * ballast} if ballast else {}))
        self.update_progress(current=number, total=lines, message=token)
        time.sleep(pause)
    if end == "retry" and self.request.retries == 0:
        records.write(operation_id, "retrying", "")
        raise self.retry(countdown=0.1, exc=ConnectionError("once"))
    if end == "failure":
        records.write(operation_id, "error", "ValueError")
        raise ValueError("as it was asked to")
    token = records.token()
    records.write(operation_id, "result", token)
    return token


def make_app(broker, backend, **conf):
    """The same app, wherever it is wanted."""
    app = Celery("emitter", broker=broker, backend=backend)
    app.conf.update(
        broker_connection_retry_on_startup=True,
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=2,
        # Else Celery makes a task fail whose result it cannot store at the first attempt.
        result_backend_always_retry=True,
        # A worker that is killed gives its messages back soon.
        broker_transport_options={
            "visibility_timeout": int(os.environ.get("VISIBILITY_TIMEOUT", "3600")),
            "unacked_restore_interval": 1,
            "unacked_restore_throttle": 1,
            # Also where the one that is killed was giving some back.
            "unacked_mutex_expire": 2,
        }
        if "redis" in broker
        # The caller knows that RabbitMQ has the message on its disk.
        else {"confirm_publish": True},
        **conf,
    )
    late = {"acks_late": True, "reject_on_worker_lost": True}
    app.task(base=StreamingTask, name="emitter.once")(speak)
    app.task(base=StreamingTask, name="emitter.again", **late)(speak)
    return app


if "BROKER_URL" in os.environ:
    app = make_app(os.environ["BROKER_URL"], os.environ["RESULT_BACKEND"])
