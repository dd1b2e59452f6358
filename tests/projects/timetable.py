"""Two apps in one process, each on a broker of its own, for beat: one sends by the clock."""

import os

from celery import Celery

from celery_wsprogress import StreamingTask

OTHER = Celery("other", broker=os.environ["OTHER_URL"], set_as_current=False)
app = Celery("timetable")
app.conf.beat_schedule = {
    "bill": {"task": "timetable.bill", "schedule": 0.2},
    "unknown here": {"task": "elsewhere.bill", "schedule": 0.2},
}


@OTHER.task(base=StreamingTask, name="elsewhere.bill", shared=False)
def bill_elsewhere():
    """Of the other app: what beat sends by this name is a message of the first one."""


@app.task(base=StreamingTask, name="timetable.bill")
def bill():
    """Sent by the clock."""
