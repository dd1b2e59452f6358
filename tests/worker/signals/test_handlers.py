from __future__ import annotations

import inspect
import subprocess
import sys
import textwrap

import pytest
from celery import Celery, signals

from celery_wsprogress import StreamingTask, install
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.worker import apps, policies
from celery_wsprogress.worker.signals.handlers import _HANDLERS, connect

UNDECLARED = {
    "after_task_publish": ("headers",),
    "worker_process_shutdown": ("pid", "exitcode"),
    "worker_shutting_down": ("sig", "how", "exitcode"),
}
"""What Celery sends besides what its signals declare (celery 5.7: celery/app/amqp.py,
celery/concurrency/prefork.py, celery/apps/worker.py)."""


def nothing():
    pass


def ours(signal):
    return [key for key, _ in signal.receivers if "celery_wsprogress" in str(key)]


def test_handlers_are_connected_once():
    connect()
    install(Celery("a", broker="memory://"))

    class Another(StreamingTask):
        pass

    for signal in (signals.task_prerun, signals.task_postrun, signals.before_task_publish):
        assert len(ours(signal)) == 1


@pytest.mark.parametrize(
    ("signal", "handler"), _HANDLERS, ids=[signal.name for signal, _ in _HANDLERS]
)
def test_handlers_take_what_their_signal_sends(signal, handler):
    """By its name: any other parameter would always have its default."""
    parameters = inspect.signature(handler).parameters.values()
    taken = {one.name for one in parameters if one.kind is not one.VAR_KEYWORD}
    sent = {"sender", "signal", *signal.providing_args, *UNDECLARED.get(signal.name, ())}
    assert taken <= sent


def test_a_bad_setting_is_raised_where_it_is_installed():
    app = Celery("b", broker="memory://")
    app.conf.wsprogress_progress_interval = "soon"
    with pytest.raises(ConfigurationError, match="wsprogress_progress_interval is 'soon'"):
        install(app)


def test_a_bad_setting_switches_the_app_off_and_says_so_once(caplog):
    app = Celery("c", broker="memory://")
    app.conf.wsprogress_tasks = 7

    @app.task(base=StreamingTask, shared=False)
    def demo(self):
        self.update_progress(0.5)
        return "done"

    assert demo.apply().get() == "done"
    assert demo.apply().get() == "done"
    assert caplog.text.count("Task events are switched off: wsprogress_tasks is 7") == 1


@pytest.mark.parametrize(
    ("tasks", "followed"),
    [
        ("streaming", {"stream"}),
        ("all", {"stream", "import.csv", "other"}),
        ("import.*,x", {"stream", "import.csv"}),
        (["oth*"], {"stream", "other"}),
    ],
)
def test_whose_life_is_followed(tasks, followed):
    app = Celery("d", broker="memory://")
    app.conf.wsprogress_tasks = tasks
    app.task(nothing, base=StreamingTask, name="stream", shared=False)
    app.task(nothing, name="import.csv", shared=False)
    app.task(nothing, name="other", shared=False)
    names = {name for name in app.tasks if policies.publishing_for(app.tasks[name], {})}
    assert names & {"stream", "import.csv", "other"} == followed
    assert not names & {"celery.chord_unlock", "celery.backend_cleanup"}


@pytest.mark.parametrize("tasks", ["streaming", "all", "celery.*"])
def test_housekeeping_is_never_followed(tasks):
    """Not though all tasks of the app are of the class, nor though a header asks for it."""
    app = Celery("h", broker="memory://", task_cls=StreamingTask)
    app.conf.wsprogress_tasks = tasks
    app.finalize()
    of_celery = {name for name in app.tasks if name.startswith("celery.")}
    header = {"follow": True}
    names = {name for name in of_celery if policies.publishing_for(app.tasks[name], header)}
    assert names == {"celery.accumulate", "celery.chunks", "celery.map", "celery.starmap"}


def test_everything_can_be_switched_off(monkeypatch):
    app = Celery("e", broker="memory://")
    app.conf.wsprogress_tasks = "all"
    monkeypatch.setenv("WSPROGRESS_ENABLED", "false")
    app.task(nothing, base=StreamingTask, name="stream", shared=False)
    assert policies.publishing_for(app.tasks["stream"], {"follow": True}) is None


def test_a_namespace_in_the_configuration():
    app = Celery("f", broker="memory://")
    app.config_from_object({"CELERY_WSPROGRESS_TASKS": "all"}, namespace="CELERY")
    assert apps.read_settings(app).tasks == "all"


def python(code):
    """Run a program of its own; returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split(), done.stderr


def test_a_handler_that_fails_is_one_line_in_the_log_and_no_more():
    said, errors = python(
        """
        import logging
        logging.basicConfig()
        from celery import Celery
        from celery_wsprogress import StreamingTask
        from celery_wsprogress.worker.signals import task_process
        def broken(task, stamp):
            raise RuntimeError("ours")
        task_process.publishing_for = broken
        app = Celery("x", broker="memory://")
        @app.task(base=StreamingTask)
        def demo(self):
            return "done"
        for _ in range(3):
            print(demo.apply().get())
        """
    )
    assert said == ["done"] * 3
    assert errors.count("Task events: started failed") == 1


def test_eager_tasks_that_are_not_published_connect_to_nothing_and_start_no_thread():
    said, errors = python(
        """
        import socket, threading
        def connect(*_): raise AssertionError("connected")
        socket.socket.connect = connect
        from celery import Celery
        from celery_wsprogress import StreamingTask
        app = Celery("x", broker="redis://nowhere.invalid", backend="cache+memory://")
        app.conf.task_always_eager = True
        app.conf.wsprogress_eager = False
        @app.task(base=StreamingTask)
        def demo(self):
            self.update_progress(0.5)
            self.log("info", "line")
            return threading.active_count()
        print(demo.delay().get())
        """
    )
    assert said == ["1"]
    assert errors == ""


def test_a_script_that_ends_at_once_still_says_queued(redis_url):
    from support.event_log import LogReader, spoken

    said, _ = python(
        f"""
        from celery import Celery
        from celery_wsprogress import StreamingTask
        app = Celery("x", broker={redis_url!r})
        @app.task(base=StreamingTask)
        def demo(self):
            pass
        print(demo.delay().id)
        """
    )
    assert spoken(LogReader(redis_url).events(said[0])) == ["queued"]


def test_a_script_that_ends_in_the_middle_of_much_says_all_of_it(redis_url):
    from support.event_log import LogReader, spoken

    said, _ = python(
        f"""
        from celery import Celery
        from celery_wsprogress import StreamingTask
        from celery_wsprogress.worker.signals import handlers
        # Whoever waits for a time, and not for what is left, does not come to an end.
        handlers.WARM_DRAIN = 600
        app = Celery("x", broker={redis_url!r})
        @app.task(base=StreamingTask)
        def demo(self):
            pass
        for _ in range(200):
            print(demo.delay().id)
        """
    )
    events = LogReader(redis_url).events
    assert len(said) == 200
    assert [one for one in said if spoken(events(one)) != ["queued"]] == []
