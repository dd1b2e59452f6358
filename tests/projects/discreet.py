"""A Celery project whose tasks show some of their arguments and hide some of their values."""

import os

from celery import Celery

from celery_wsprogress import StreamingTask

app = Celery("discreet", broker=os.environ["BROKER_URL"], backend=os.environ["RESULT_BACKEND"])


@app.task(base=StreamingTask)
def by_default(self, order, secret):
    """Shows no argument."""
    self.update_progress(0.5, "half of it")
    return {"order": order}


def say(task, secret):
    """Use the secret wherever it can be redacted."""
    task.set_metadata(password=secret, color="red")
    task.update_progress(0.5, "half of it", details={"parts": [{"password": secret}]})
    task.update_status("checking", details={"password": secret})
    task.log("info", "checked", password=secret)


@app.task(base=StreamingTask, expose_args=["order"], redact=["pass*"])
def by_name(self, order, secret):
    """Shows its order, and hides passwords."""
    say(self, secret)
    return {"order": order, "password": secret}


def without_password(value):
    """Drop the one name that is known."""
    return {name: one for name, one in value.items() if name not in {"password", "parts"}}


@app.task(base=StreamingTask, expose_args=("order",), redact=without_password)
def by_function(self, order, secret):
    """Has a function decide."""
    say(self, secret)
    return {"order": order, "password": secret}


def broken(value):
    """Quote what it was to hide."""
    raise ValueError(value)


@app.task(base=StreamingTask, expose_args=["order"], redact=broken)
def by_broken_function(self, order, secret):
    """Publishes nothing of a value, and succeeds."""
    say(self, secret)
    return {"order": order, "password": secret}


@app.task(base=StreamingTask, stream_errors="traceback")
def fails_in_full(self, order, secret):
    """Shows where it failed."""
    raise ValueError("it broke")


@app.task(base=StreamingTask)
def fails(self, order, secret):
    """Shows that it failed."""
    raise ValueError("it broke")


@app.task(base=StreamingTask, redact=["password"], ignore_result=False)
def dies_afterwards(self, order, secret):
    """Has its result stored, and loses its process before it can say so."""
    self.backend.store_result(self.request.id, {"password": secret}, "SUCCESS")
    os._exit(1)
