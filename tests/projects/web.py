"""A web application that publishes while it is imported, before its server forks.

``BROKER_URL`` says where. ``/operation/<id>`` is an operation, ``/task/<id>`` sends a task,
``/slow/<id>`` is an operation that takes longer than any server allows.
"""

from __future__ import annotations

import os
import time

from celery import Celery

from celery_wsprogress import StreamingTask, operation

app = Celery("web", broker=os.environ["BROKER_URL"])


@app.task(base=StreamingTask, name="web.work")
def work(self):
    """Do nothing."""


work.apply_async(task_id="at import")
with operation("import", operation_id="operation at import"):
    pass


def application(environ, start_response):
    _, what, name = environ["PATH_INFO"].split("/")
    if what == "operation":
        with operation("request", operation_id=name) as op:
            op.update_progress(0.5)
    elif what == "slow":
        with operation("request", operation_id=name):
            time.sleep(600)
    elif what == "task":
        work.apply_async(task_id=name)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
