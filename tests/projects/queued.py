"""A Celery project with queues that are called otherwise than their routing keys."""

import os

from celery import Celery
from kombu import Exchange, Queue

from celery_wsprogress import StreamingTask

app = Celery("queued", broker=os.environ["BROKER_URL"], backend=os.environ.get("RESULT_BACKEND"))
QUORUM = {"x-queue-type": "quorum"} if "amqp" in os.environ["BROKER_URL"] else {}
events = Exchange("events", type="topic")
app.conf.task_queues = [
    Queue("q2", Exchange("q2", type="topic"), "q2", queue_arguments=QUORUM),
    Queue("news", events, "news.#", queue_arguments=QUORUM),
    Queue("mails", Exchange("post", type="direct"), "letters", queue_arguments=QUORUM),
    Queue("all", Exchange("loud", type="fanout"), "", queue_arguments=QUORUM),
]
app.conf.task_default_queue = "q2"


@app.task(base=StreamingTask)
def runs(self):
    """Runs, in whichever queue it was."""
