"""A Celery project without a single ``StreamingTask``: its tasks show a part of themselves."""

import os

from celery import Celery

from celery_wsprogress import operation

app = Celery(
    "unstreamed", broker=os.environ["BROKER_URL"], backend=os.environ.get("RESULT_BACKEND")
)
app.conf.broker_connection_retry_on_startup = True


@app.task
def plain(operation_id):
    with operation("part of a task", operation_id=operation_id) as op:
        op.log("info", "in a task")
        op.result("done")
