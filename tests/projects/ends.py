"""The project ``life`` with more ways to end."""

import os
import signal
import threading
import time

from celery.exceptions import SoftTimeLimitExceeded
from life import app

from celery_wsprogress import StreamingTask


class Unpicklable(Exception):
    """Holds what cannot leave its process."""

    def __init__(self, text):
        super().__init__(text)
        self.lock = threading.Lock()


class Unsayable(Exception):
    """Has no text."""

    def __str__(self):
        raise RuntimeError

    __repr__ = __str__


class Expected(Exception):
    """One of ``throws``."""


@app.task(base=StreamingTask)
def raises(self, kind):
    """Fails with an exception that is hard to pass on."""
    raise {"unpicklable": Unpicklable, "unsayable": Unsayable}[kind]("no")


@app.task(base=StreamingTask, throws=(Expected,))
def throws(self):
    """Fails as it was said that it may."""
    raise Expected("as usual")


@app.task(base=StreamingTask, max_retries=1)
def gives_up(self, *, cause):
    """Retries until there are no tries left."""
    raise self.retry(exc=ValueError("the last straw") if cause else None, countdown=0.1)


@app.task(base=StreamingTask, ignore_result=True)
def forgets(self):
    """Its result is not wanted."""
    return "nothing"


@app.task(base=StreamingTask, store_errors_even_if_ignored=True)
def keeps_errors(self):
    """Its result is not wanted, but how it failed."""
    raise ValueError("to be known")


@app.task(base=StreamingTask)
def leaves(self):
    """Ends its process, and nobody is told."""
    os._exit(0)


@app.task(base=StreamingTask)
def cannot_be_stored(self):
    """Its result is no JSON."""
    return object()


@app.task(base=StreamingTask)
def handles_the_signal(self, how):
    """Is asked to stop, and ends as it likes."""
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked.set())
    self.log("info", "ready")
    while not asked.is_set():
        time.sleep(0.01)
    # As in catches_the_limit().
    time.sleep(2)
    if how == "fails":
        raise ValueError("asked to stop")
    return "stopped in order"


@app.task(base=StreamingTask)
def catches_the_limit(self, how="returns"):
    """Is told that its time is over, and returns what it has, or passes it on."""
    try:
        self.log("info", "ready")
        time.sleep(60)
    except SoftTimeLimitExceeded:
        # Celery stores REVOKED when it has sent the signal, also over what a quick task has stored.
        time.sleep(2)
        if how == "raises":
            raise
        return "half of it"


@app.task(base=StreamingTask)
def outlives_its_revocation(self):
    """Does not notice that it is revoked, and returns after that."""
    self.log("info", "ready")
    while self.AsyncResult(self.request.id).state != "REVOKED":
        time.sleep(0.1)
    time.sleep(0.5)
    return "all of it"


@app.task(base=StreamingTask)
def is_interrupted(self):
    """Is interrupted as from a keyboard."""
    raise KeyboardInterrupt


@app.task(base=StreamingTask, time_limit=2)
def limited(self):
    """Runs into its time limit, in a process with others."""
    time.sleep(60)


@app.task(base=StreamingTask)
def blocks(self):
    """Takes its time."""
    self.log("info", "busy")
    time.sleep(1)


@app.task
def mourns(request, exc, traceback):
    """A callback for errors."""
