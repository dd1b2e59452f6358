"""A Celery project whose tasks end in every way, with an argument that nobody may be told."""

import ctypes
import os
import signal
import threading
import time

from celery import Celery
from celery.exceptions import Ignore, Reject, Retry
from pydantic import BaseModel

from celery_wsprogress import StreamingTask, log

app = Celery("secretive", broker=os.environ["BROKER_URL"], backend=os.environ["RESULT_BACKEND"])
# With the logger's name in front, so that a test can tell whose line it is.
app.conf.worker_log_format = app.conf.worker_task_log_format = "<%(name)s> %(message)s"


class Order(BaseModel):
    """What a task with pydantic takes."""

    number: int


class Unpicklable(Exception):
    """Cannot leave its process."""

    def __init__(self, said):
        super().__init__(said, ctypes.pointer(ctypes.c_int(1)))


def refusal(task, secret):
    """What Celery says where no try is left: it quotes the arguments."""
    try:
        task.retry(args=(secret,), kwargs={"named": secret}, max_retries=-1)
    except task.MaxRetriesExceededError as exc:
        if secret not in str(exc):
            raise AssertionError("Celery does not quote them any more") from exc
        return exc


@app.task(base=StreamingTask, max_retries=0)
def exhausts(self, secret, *, named=None):
    """Has no try left, and no exception of its own."""
    self.retry(countdown=0)


@app.task(base=StreamingTask, max_retries=1)
def quotes(self, secret, *, named=None):
    """Tries again because of what Celery said, and fails with it."""
    self.retry(exc=refusal(self, secret), countdown=0)


@app.task(base=StreamingTask)
def waits(self, secret, *, named=None):
    """Says why it is tried again in a text that it was given, and then fails."""
    if not self.request.retries:
        self.apply_async((secret,), task_id=self.request.id, retries=1)
        raise Retry(str(refusal(self, secret)), when=0)
    raise refusal(self, secret)


@app.task(base=StreamingTask)
def rejects(self, secret, *, named=None):
    """Rejects with what Celery said."""
    raise Reject(refusal(self, secret), requeue=False)


@app.task(base=StreamingTask)
def rejects_in_words(self, secret, *, named=None):
    """Rejects with a text."""
    raise Reject(str(refusal(self, secret)), requeue=False)


@app.task(base=StreamingTask)
def ignores(self, secret, *, named=None):
    """Is to be ignored."""
    raise Ignore(refusal(self, secret))


@app.task(base=StreamingTask)
def groups(self, secret, *, named=None):
    """Fails with several at once."""
    raise ExceptionGroup("several", [refusal(self, secret), ValueError("plain")])


@app.task(base=StreamingTask)
def unpicklable(self, secret, *, named=None):
    """Fails with what cannot be stored as it is."""
    raise Unpicklable(str(refusal(self, secret)))


@app.task(base=StreamingTask, pydantic=True)
def checked(self, order: Order, *, named=None):
    """Its argument is checked by pydantic, in the worker."""


@app.task(base=StreamingTask, typing=False)
def narrow(self):
    """Takes no argument at all."""


@app.task(base=StreamingTask)
def unstorable(self, secret, *, named=None):
    """Returns what cannot be stored."""
    return {secret: object()}


@app.task(base=StreamingTask, time_limit=1)
def hard(self, secret, *, named=None):
    """Runs into its limit."""
    time.sleep(60)


@app.task(base=StreamingTask, soft_time_limit=1)
def soft(self, secret, *, named=None):
    """Runs into its soft limit."""
    time.sleep(60)


@app.task(base=StreamingTask)
def dies(self, secret, *, named=None):
    """Loses its process."""
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(base=StreamingTask)
def loses_its_thread(self, secret, *, named=None):
    """Has a thread say something that nobody can place: a line in the log."""
    thread = threading.Thread(target=log, args=("info", secret))
    thread.start()
    thread.join()


@app.task(base=StreamingTask)
def collects(self, found=None, secret=None, *, named=None):
    """What stands behind another task: the body of a chord, or the rest of a chain."""
