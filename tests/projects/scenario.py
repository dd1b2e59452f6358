"""The tasks of the end-to-end scenario, for a worker process and for a worker in this one.

``BROKER_URL`` and ``RESULT_BACKEND`` say where; :func:`make_app` makes the same app elsewhere.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

from celery import Celery

from celery_wsprogress import StreamingTask


def wait_for(path):
    """Wait until a test creates the file; fail when it does not for a long time."""
    deadline = time.monotonic() + 60
    while not Path(path).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} never appeared")
        time.sleep(0.01)


def steps(self, gate):
    self.update_progress(0.25, "quarter", details={"part": 1})
    self.log(logging.WARNING, "careful", gate=str(gate))
    wait_for(gate)
    self.update_progress(float("nan"), "who knows")
    self.update_status("halfway")
    self.update_progress(current=3, total=4, unit="parts")
    return {"parts": 4}


def big(self):
    self.log(30, "this will be large")
    return "x" * 2_000_000


def second_time_lucky(self, path):
    if Path(path).exists():
        return "lucky"
    Path(path).touch()
    raise ValueError("not the first time")


def retries_once(self):
    if self.request.retries == 0:
        raise self.retry(countdown=0.5, exc=ValueError("again"))
    return "done"


def carries_on(self, gate, done):
    """Reports a lot after the gate opens, and says in a file that it got through."""
    self.update_progress(0.1)
    wait_for(gate)
    for number in range(1, 10_001):
        self.update_progress(current=number, total=10_000)
        if number % 1_000 == 0:
            self.log("info", f"line {number}")
    Path(done).touch()
    return "through"


def dictated(self, path):
    """Log what a test writes into a file, line by line, until it writes ``end``."""
    said = 0
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        written = Path(path).read_text()
        for line in written[: written.rfind("\n") + 1].splitlines()[said:]:
            if line == "end":
                return said
            said += 1
            self.log("info", line)
            self.update_progress(current=said, total=said + 1, message=line)
        time.sleep(0.02)
    raise TimeoutError(f"{path} never came to its end")


def make_app(broker, backend):
    app = Celery("scenario", broker=broker, backend=backend)
    app.conf.update(
        broker_connection_retry_on_startup=True,
        broker_transport_options={"polling_interval": 0.02} if "memory" in broker else {},
        worker_hijack_root_logger=False,
        task_track_started=True,
    )
    for function in (steps, big, second_time_lucky, retries_once, carries_on, dictated):
        app.task(base=StreamingTask, name=f"scenario.{function.__name__}")(function)
    return app


if "BROKER_URL" in os.environ:
    app = make_app(os.environ["BROKER_URL"], os.environ["RESULT_BACKEND"])
