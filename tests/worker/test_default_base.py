from __future__ import annotations

import pickle
import subprocess
import sys
from contextlib import contextmanager

import pytest
from celery import Celery, Task, current_app, shared_task

from celery_wsprogress import StreamingTask

seen: list[str] = []


@contextmanager
def context():
    seen.append("entered")
    yield
    seen.append("left")


class ContextTask(Task):
    """The base class of Flask's documentation: every task runs inside the application's context."""

    abstract = True
    time_limit = 77

    def __call__(self, *args, **kwargs):
        with context():
            return self.run(*args, **kwargs)


class OwnBase(StreamingTask):
    abstract = True


@pytest.fixture(autouse=True)
def nothing_seen():
    seen.clear()


def make(**how):
    # Shared tasks of other tests would be made for every app, too, each under its own name.
    return Celery("based", broker="memory://", set_as_current=False, **how)


@pytest.mark.parametrize("task_cls", [ContextTask, f"{__name__}:ContextTask"], ids=repr)
def test_the_apps_default_base_is_kept(task_cls):
    app = make(task_cls=task_cls)

    @app.task(base=StreamingTask, name="based.add")
    def add(self, x, y):
        assert isinstance(self, StreamingTask)
        seen.append("running")
        return x + y

    assert add(1, 2) == 3
    assert add.apply((1, 2)).get() == 3
    assert seen == ["entered", "running", "left"] * 2
    assert add.time_limit == 77
    assert add.__class__.__mro__.index(StreamingTask) < add.__class__.__mro__.index(ContextTask)


def test_what_a_task_says_of_itself_wins():
    app = make(task_cls=ContextTask)

    @app.task(base=StreamingTask, time_limit=5)
    def limited():
        pass

    assert limited.time_limit == 5


def test_a_shared_task_has_the_base_of_each_app():
    @shared_task(base=StreamingTask, name="based.shared")
    def shared():
        return "ran"

    plain, wrapped = make(), make(task_cls=ContextTask)
    assert plain.tasks["based.shared"]() == wrapped.tasks["based.shared"]() == "ran"
    assert seen == ["entered", "left"]


def test_a_base_of_its_own_replaces_the_default_one_as_in_celery():
    app = make(task_cls=ContextTask)

    @app.task(base=OwnBase)
    def own():
        return "ran"

    assert own() == "ran"
    assert seen == []


def test_a_base_that_is_there_already_is_not_put_there_twice():
    class Both(StreamingTask, ContextTask):
        abstract = True

    app = make(task_cls=ContextTask)

    @app.task(base=Both)
    def both():
        return "ran"

    assert both() == "ran"
    assert seen == ["entered", "left"]
    assert both.__class__.__mro__.count(ContextTask) == 1


class Registering(ContextTask):
    """A default that takes part in making classes and tasks."""

    def __init_subclass__(cls, **keywords):
        super().__init_subclass__(**keywords)
        seen.append(cls.__name__)

    def __init__(self):
        self.of_the_task = "made"


def test_a_default_base_takes_part_in_making_the_task():
    app = make(task_cls=Registering)

    @app.task(base=StreamingTask)
    def made():
        pass

    assert made.of_the_task == "made"
    assert seen == ["Task", "made"]


def test_a_default_base_is_what_a_project_has_put_in_its_place():
    """As the documentation of older versions of Flask has it."""
    app = make()
    app.Task = ContextTask

    @app.task(base=StreamingTask)
    def wrapped():
        return "ran"

    assert wrapped() == "ran"
    assert seen == ["entered", "left"]


def test_what_a_project_has_put_onto_the_default_base():
    app = make()
    app.Task.resultrepr_maxsize = 2_000

    @app.task(base=StreamingTask)
    def plain():
        pass

    assert plain.resultrepr_maxsize == 2_000


def test_a_default_base_that_is_made_of_ours(caplog):
    class Default(OwnBase, ContextTask):
        abstract = True

    app = make(task_cls=Default)

    @app.task(base=StreamingTask)
    def ours():
        return "ran"

    assert ours() == "ran"
    assert seen == ["entered", "left"]
    assert not caplog.text


def test_a_task_with_a_default_base_can_be_pickled():
    app = make(task_cls=ContextTask)

    @app.task(base=StreamingTask, name="based.pickled")
    def pickled():
        pass

    app.finalize()
    before = current_app._get_current_object()
    app.set_current()
    try:
        assert pickle.loads(pickle.dumps(pickled)) is app.tasks["based.pickled"]
    finally:
        before.set_current()


def test_a_base_that_cannot_be_joined_costs_no_task(caplog):
    class Slotted(Task):
        abstract = True
        __slots__ = ("more",)

    app = make(task_cls=Slotted)

    @app.task(base=StreamingTask)
    def plain():
        return "ran"

    assert plain() == "ran"
    assert "cannot have the base" in caplog.text


DJANGO = """
from django.conf import settings
database = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
settings.configure(DATABASES={"default": database})
import django
django.setup()
from celery import Celery, Task, shared_task
from celery_wsprogress import StreamingTask

class OwnDefault(StreamingTask):
    abstract = True

def make(**how):
    return Celery("proj", broker="memory://", **how)

@shared_task(base=StreamingTask)
def shared():
    pass

def check(task):
    for name in ("delay_on_commit", "apply_async_on_commit"):
        assert callable(getattr(task, name)), name
    assert isinstance(task, StreamingTask)

for how in ({}, {"task_cls": StreamingTask}, {"task_cls": "celery_wsprogress:StreamingTask"}):
    app = make(**how)

    @app.task(**({} if how else {"base": StreamingTask}))
    def one(self):
        pass

    check(one)
    check(app.tasks[shared.name])

app = make(task_cls=OwnDefault)

@app.task
def two():
    pass

check(two)
from django.db import transaction
from unittest.mock import patch
with patch.object(two.__class__, "apply_async") as sent, transaction.atomic():
    two.delay_on_commit()
    assert not sent.called
assert sent.called
print("kept")
"""


def test_django_s_methods_are_kept_wherever_celery_would_have_given_them(tmp_path):
    program = [sys.executable, "-c", DJANGO]
    environment = {"PATH": "/usr/bin", "DJANGO_SETTINGS_MODULE": "proj.settings"}
    done = subprocess.run(
        program,
        check=False,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == "kept\n", done.stderr
