"""A Celery project whose tasks stream what they find, piece by piece."""

import logging
import os
import threading
import time

from celery import Celery
from celery.exceptions import Ignore, Reject

from celery_wsprogress import StreamingTask, copy_context, operation, stream

app = Celery("orator", broker=os.environ["BROKER_URL"], backend=os.environ["RESULT_BACKEND"])
app.conf.update(broker_connection_retry_on_startup=True)
logger = logging.getLogger("orator")


@app.task(base=StreamingTask)
def answer(self, words):
    """Speaks in two streams, one of them from a helper, and in an operation of its own."""
    with self.stream("answer") as out:
        for word in words:
            out.write(f"{word} ")
        thread = threading.Thread(target=copy_context(speak), args=(len(words),))
        thread.start()
        thread.join()
    with operation("inner", operation_id=f"inner-{self.request.id}") as inner:
        inner.stream("answer").write("inside")


def speak(count):
    """A helper that does not know who calls it."""
    stream("rows").send({"count": count})


@app.task(base=StreamingTask)
def fails(self):
    self.stream("answer").write("so far")
    raise ValueError("and no further")


@app.task(base=StreamingTask, bind=True, max_retries=1)
def again(self):
    self.stream("answer").write(f"attempt {self.request.retries}")
    raise self.retry(countdown=0)


@app.task(base=StreamingTask, stream_logs="INFO", soft_time_limit=2)
def ends(self, how):
    """Streams and logs, and then ends in a way of Celery's own."""
    self.stream("answer").write("so far")
    logger.info("before the end")
    if how == "replaced":
        raise self.replace(successor.si().set(queue=self.request.delivery_info["routing_key"]))
    if how == "ignored":
        raise Ignore
    if how == "rejected":
        raise Reject("no", requeue=False)
    if how == "eager":
        successor.apply(task_id=f"inner-{self.request.id}")
        return
    time.sleep(60)


@app.task(base=StreamingTask, stream_logs="INFO")
def successor(self):
    self.stream("answer").write("the other")
    logger.info("of the other")


@app.task(base=StreamingTask)
def one_of_many(self, name, count):
    out = self.stream(name)
    for number in range(count):
        out.write(f"{name}{number} ")


_begun = []
_all_begun = threading.Event()


@app.task(base=StreamingTask, stream_logs="INFO", ignore_result=True)
def says_everything(self, name, tasks, count):
    """Tracks a loop, logs and streams, as soon as so many tasks of this process have begun."""
    _begun.append(name)
    if len(_begun) == tasks:
        _all_begun.set()
    _all_begun.wait(300)
    with self.stream("answer") as out:
        for number in self.track(range(count), f"track {name}"):
            logger.info("%s logs %d", name, number)
            out.write(f"{name} writes {number}. ")
            time.sleep(0.001)
