"""The project ``secretive`` with tasks whose errors quote their arguments and keep their texts."""

import urllib.error

import requests
import sqlalchemy
from celery import chain, chord, states
from celery.exceptions import Ignore, MaxRetriesExceededError, Reject, Retry
from pydantic import create_model
from secretive import *  # noqa: F403 - the tasks of both
from secretive import app

from celery_wsprogress import StreamingTask, operation


class Careful(StreamingTask):
    """Of what fails, watchers learn the type."""

    abstract = True
    stream_errors = "type"


def by_sql(secret):
    """A constraint that fails, with the statement's parameters."""
    with sqlalchemy.create_engine("sqlite://").begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE users (name TEXT PRIMARY KEY)"))
        insert = sqlalchemy.text("INSERT INTO users VALUES (:name)")
        connection.execute(insert, [{"name": secret}, {"name": secret}])


def by_http(secret):
    """An address with a token that nobody answers."""
    requests.get(f"http://127.0.0.1:1/?token={secret}", timeout=5)


def by_validation(secret):
    """An input that is none, in the words of pydantic."""
    try:
        create_model("Order", number=(int, ...))(number=secret)
    except ValueError as exc:
        raise RuntimeError(str(exc)) from exc


def by_key(secret):
    """A word that nobody knows."""
    return {}[secret]


def by_group(secret):
    """Several at once."""
    raise ExceptionGroup(secret, [KeyError(secret), urllib.error.URLError(secret)])


def by_celery_s_classes(secret):
    """One of Celery's own classes with a text of one's own."""
    raise MaxRetriesExceededError(f"Can't retry {secret}")


WAYS = {
    one.__name__: one
    for one in (by_sql, by_http, by_validation, by_key, by_group, by_celery_s_classes)
}


@app.task(base=Careful)
def breaks(self, secret, *, how="by_key"):
    """Fails in a way that quotes its argument."""
    WAYS[how](secret)


@app.task(base=StreamingTask, stream_result=False)
def keeps_its_result(self, secret):
    """Says nothing of its errors: their texts stay where its result does."""
    by_sql(secret)


@app.task(base=Careful, max_retries=1)
def tries_again(self, secret):
    """Says why it is tried again."""
    try:
        by_http(secret)
    except OSError as exc:
        raise self.retry(exc=exc, countdown=0) from None


@app.task(base=Careful)
def waits_in_words(self, secret):
    """Is tried again with a text of its own."""
    if self.request.retries:
        by_key(secret)
    self.apply_async((secret,), task_id=self.request.id, retries=1)
    raise Retry(secret, when=0)


@app.task(base=Careful)
def refuses(self, secret):
    """Rejects with an exception."""
    raise Reject(KeyError(secret), requeue=False)


@app.task(base=Careful)
def stores_it(self, secret):
    """Stores its failure itself."""
    self.update_state(state=states.FAILURE, meta=KeyError(secret))
    raise Ignore


@app.task(base=Careful)
def does_a_part(self, secret):
    """Has an operation inside, which fails as it does."""
    with operation("part", operation_id=f"part of {self.request.id}"):
        by_key(secret)


@app.task(base=Careful)
def returns_a_set(self, secret):
    """Returns what cannot be stored: Celery's error quotes it."""
    return {secret, object()}


@app.task(base=Careful)
def hands_over(self, secret):
    """Is replaced by a plain task that fails with the same argument."""
    raise self.replace(breaks_plainly.si(secret))


@app.task
def breaks_plainly(secret):
    """Has no say of its own."""
    by_key(secret)


@app.task(base=StreamingTask)
def replaced_by_chain(self, secret):
    """Would have its errors shown, but is replaced by what would not."""
    raise self.replace(chain(breaks.si(secret), talks.si()))


@app.task(base=StreamingTask)
def talks(self, found=None):
    """Has its errors shown, and stands behind others that do not."""


CANVASES = {
    "careful chord": lambda secret: chord([talks.si(), breaks.si(secret)], talks.s()),
    "careful chain": lambda secret: chain(breaks.si(secret), talks.s()),
    "careful map": lambda secret: breaks.map([secret]),
}
