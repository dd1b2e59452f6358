"""The base class, in every way a task can be made; the workers run by threads in this process."""

from __future__ import annotations

import functools
import typing
from contextlib import contextmanager

import celery
import pytest
from celery import Celery, Task, shared_task, signals
from celery.contrib.testing.worker import start_worker
from kombu.transport import memory
from pydantic import BaseModel

from celery_wsprogress import StreamingTask
from celery_wsprogress.worker import context


class ProjectBase(Task):
    """A base class as projects have one; it calls nobody's ``__init_subclass__``."""

    abstract = True

    def __init_subclass__(cls, **keywords):
        cls.of_the_project = True

    def helper(self):
        return f"helped {self.name}"


class Ours(StreamingTask, ProjectBase):
    pass


class Theirs(ProjectBase, StreamingTask):
    pass


@pytest.fixture
def app():
    app = Celery(f"project-{id(object())}", broker="memory://", backend="cache+memory://")
    app.conf.update(broker_transport_options={"polling_interval": 0.02}, task_always_eager=False)
    return app


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """A worker looks whether it shall stop when it has waited two seconds for messages.

    Here it waits less; it does not mind.
    """
    drain_events = memory.Transport.drain_events

    def drain_for_a_moment(self, connection, timeout=None):
        return drain_events(self, connection, timeout=0.1)

    monkeypatch.setattr(memory.Transport, "drain_events", drain_for_a_moment)


@contextmanager
def working(app):
    """A worker in this process, which leaves the process's logging alone."""

    def keep_logging(**_):
        pass

    signals.setup_logging.connect(keep_logging)
    try:
        with start_worker(app, pool="threads", perform_ping_check=False, shutdown_timeout=30):
            yield
    finally:
        signals.setup_logging.disconnect(keep_logging)


def run(app, task, *args, **kwargs):
    """Run a task in a real worker and return its result."""
    task = app.tasks[task.name]
    with working(app):
        return task.apply_async(args, kwargs).get(timeout=30, disable_sync_subtasks=False)


@pytest.mark.parametrize("base", [StreamingTask, Ours, Theirs])
@pytest.mark.parametrize("options", [{}, {"bind": True}])
def test_a_first_parameter_named_self_binds(app, base, options):
    @app.task(shared=False, base=base, **options)
    def scale(self, x, factor=2):
        self.update_progress(0.5)
        tracker = context.current_tracker.get()
        return [isinstance(self, StreamingTask), tracker.run.operation_type, x * factor]

    assert run(app, scale, 3, factor=5) == [True, scale.name, 15]


@pytest.mark.parametrize("base", [Ours, Theirs])
def test_a_base_class_of_the_project_keeps_working(app, base):
    @app.task(shared=False, base=base)
    def helped(self):
        return [self.helper(), self.of_the_project]

    assert run(app, helped) == [f"helped {helped.name}", True]


def test_without_self_nothing_is_bound(app):
    @app.task(shared=False, base=StreamingTask)
    def add(x, y):
        return x + y

    @app.task(shared=False, base=StreamingTask)
    def keyword(*, self):
        return self

    assert add(1, 2) == 3
    assert keyword.run(self=4) == 4
    assert run(app, add, 1, 2) == 3


def test_arguments_are_checked_without_self(app):
    @app.task(shared=False, base=StreamingTask)
    def scale(self, x):
        return x

    assert scale(1) == 1
    with pytest.raises(TypeError):
        scale.delay()
    with pytest.raises(TypeError):
        scale.delay(1, 2)


def test_autoretry(app):
    @app.task(
        shared=False, base=StreamingTask, autoretry_for=(OSError,), retry_kwargs={"countdown": 0}
    )
    def flaky(self):
        if not self.request.retries:
            raise OSError
        return self.request.retries

    assert run(app, flaky) == 1


class Order(BaseModel):
    amount: int


@pytest.mark.skipif(celery.VERSION < (5, 5), reason="Celery knows pydantic since 5.5")
def test_pydantic(app):
    def double(self, order: Order, times: int = 2) -> Order:
        assert isinstance(self, StreamingTask)
        assert isinstance(order, Order)
        return Order(amount=order.amount * times)

    # Celery 5.5 knows no annotations that are strings, as `from __future__` makes them.
    double.__annotations__ = typing.get_type_hints(double)
    double = app.task(shared=False, base=StreamingTask, pydantic=True)(double)
    # Callers may pass the models themselves since Celery 5.7.
    order = Order(amount=4) if celery.VERSION >= (5, 7) else {"amount": 4}
    assert run(app, double, order, times=3) == {"amount": 12}
    assert run(app, double, order=order) == {"amount": 8}


def test_a_decorated_function(app):
    def logged(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return [function(*args, **kwargs)]

        return wrapper

    @app.task(shared=False, base=StreamingTask)
    @logged
    def inner(self, x):
        return [isinstance(self, StreamingTask), x]

    assert run(app, inner, 1) == [[True, 1]]


def test_shared_task(app):
    @shared_task(base=StreamingTask, name=f"shared.{id(app)}")
    def shared(self, x):
        return [isinstance(self, StreamingTask), x]

    assert run(app, shared, 1) == [True, 1]


def test_the_class_of_all_tasks_of_an_app():
    app = Celery("whole", broker="memory://", backend="cache+memory://", task_cls=StreamingTask)
    app.conf.broker_transport_options = {"polling_interval": 0.02}

    @app.task(shared=False)
    def each(self, x):
        return [isinstance(self, StreamingTask), x]

    assert run(app, each, 1) == [True, 1]


def test_a_task_written_as_a_class(app):
    class Written(StreamingTask):
        name = "written"

        def run(self, x):
            self.update_progress(0.5)
            return x

    assert run(app, app.register_task(Written()), 7) == 7


def test_eager_and_direct_runs_only_check_their_arguments(app):
    @app.task(shared=False, base=StreamingTask)
    def odd(self, progress):
        self.update_progress(progress)
        self.update_status("word")
        self.log("info", "line")
        self.set_metadata(a=1)
        return context.current_tracker.get() is not None

    assert odd(0.5) is False
    assert odd.apply((0.5,)).get() is True
    assert context.current_tracker.get() is None
    for run_it in (odd, lambda value: odd.apply((value,)).get()):
        with pytest.raises(TypeError, match="progress must be a number"):
            run_it("half")
    assert context.current_tracker.get() is None
