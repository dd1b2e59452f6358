"""The project ``life`` with more ways to end."""

import os
import re
import signal
import threading
import time

from celery.exceptions import SoftTimeLimitExceeded
from life import app

from celery_wsprogress import StreamingTask, raise_if_cancelled


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


@app.task(base=StreamingTask)
def looks_whether_it_is_cancelled(self):
    """Works, and looks now and then."""
    self.log("info", "ready")
    while not self.cancelled:
        time.sleep(0.01)
    self.raise_if_cancelled()


@app.task(base=StreamingTask)
def is_cancelled_in_its_helper(self):
    """Does not look itself, and its helper does."""
    self.log("info", "ready")
    while True:
        raise_if_cancelled()
        time.sleep(0.01)


@app.task(base=StreamingTask)
def returns_what_it_has(self):
    """Looks, and returns in order."""
    self.log("info", "ready")
    while not self.cancelled:
        time.sleep(0.01)
    return "half of it"


@app.task(base=StreamingTask)
def looks_between_long_calls(self):
    """Calls C code that holds the interpreter's lock, for some tenths of a second each time."""
    self.log("info", "ready")
    while True:
        re.match(r"(a+)+$", "a" * 22 + "b")
        # Greenlets of others run here only.
        time.sleep(0.01)
        self.raise_if_cancelled()


@app.task(base=StreamingTask)
def never_looks(self):
    """Works, and has no time to look."""
    self.log("info", "ready")
    time.sleep(2)
    return "all of it"


@app.task(base=StreamingTask)
def collects(*_):
    """Takes whatever it is given."""


@app.task(bind=True)
def plain_and_cancelled(self, _unique):
    """A task of Celery's own class, which revokes itself."""
    self.app.control.revoke(self.request.id)
    while True:
        raise_if_cancelled()
        time.sleep(0.01)
