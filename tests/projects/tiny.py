"""A Celery project as small as one can be. Its broker is nowhere, and has a password."""

from celery import Celery

app = Celery("tiny", broker="redis://user:hunter2@localhost:1/0")


@app.task
def add(x, y):
    return x + y


def helper():
    """Something else than an application."""
