"""A Celery project whose tasks show what a pool can do with them."""

import os
import time
from pathlib import Path

from celery import Celery

from celery_wsprogress import StreamingTask, cancel

app = Celery("pools", broker=os.environ["BROKER_URL"], backend=os.environ["RESULT_BACKEND"])
app.conf.broker_connection_retry_on_startup = True


@app.task(shared=False, base=StreamingTask)
def reports(self):
    """Says how far it is."""
    self.update_progress(0.5, "half")


@app.task(shared=False, base=StreamingTask, time_limit=240)
def looks(self):
    """Works until it is cancelled."""
    self.log("info", "ready")
    while not self.cancelled:
        time.sleep(0.01)
    self.raise_if_cancelled()


@app.task(shared=False, base=StreamingTask, time_limit=240)
def never_looks(self, end):
    """Works until there is a file."""
    self.log("info", "ready")
    while not Path(end).exists():
        time.sleep(0.05)


@app.task(shared=False, base=StreamingTask)
def cancels_itself(self):
    """Returns whether it hears that."""
    assert cancel(self.request.id)
    return self.cancelled
