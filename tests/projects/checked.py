"""A Celery project in which the environment plants what is configured wrongly."""

import os

from celery import Celery

from celery_wsprogress import StreamingTask

app = Celery(
    "checked", broker=os.environ["BROKER_URL"], backend=os.environ.get("RESULT_BACKEND") or None
)
app.conf.update(
    broker_connection_retry_on_startup=True,
    wsprogress_exchange=os.environ.get("CHECKED_EXCHANGE"),
    result_backend_transport_options={
        "retry_policy": {"max_retries": 1, "interval_start": 0, "interval_max": 0.1},
    },
)


@app.task(name="checked.plain")
def plain():
    """Report nothing."""


if "CHECKED_UNFOLLOWED" not in os.environ:

    @app.task(base=StreamingTask, name="checked.followed")
    def followed(self):
        """Report something."""
        self.update_progress(0.5)
