"""Whether a worker sends events of a task, and over which connection ours go."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker
from support.celery_events import progress_events
from support.ports import free_port

from celery_wsprogress import StreamingTask
from celery_wsprogress.worker.mirror.event_sender import EventSender, sends_events
from celery_wsprogress.worker.run_info import MIRROR


@pytest.mark.parametrize(
    ("enabled", "groups", "wanted", "sent"),
    [
        (True, None, True, True),
        (True, ["task"], True, True),
        # Without -E: those of the worker itself.
        (True, ["worker"], True, False),
        (False, None, True, False),
        (True, None, False, False),
    ],
)
def test_events_are_sent_where_the_worker_sends_its_own(enabled, groups, wanted, sent):
    app = Celery(broker="memory://", set_as_current=False)
    eventer = app.events.Dispatcher(app.connection(), enabled=enabled, groups=groups)
    request = SimpleNamespace(eventer=eventer, task=SimpleNamespace(send_events=wanted))
    assert sends_events(request) is sent


def test_without_a_dispatcher_none_are_sent():
    assert not sends_events(SimpleNamespace(eventer=None, task=SimpleNamespace(send_events=True)))


def test_without_the_setting_the_process_of_a_task_is_told_nothing():
    name = "unmirrored"
    app = Celery(name, broker="memory://", backend="cache+memory://", set_as_current=False)
    app.conf.update(
        broker_transport_options={"polling_interval": 0.02},
        task_default_queue=name,
        worker_send_task_events=True,
    )

    @app.task(base=StreamingTask, name=name)
    def looks(self):
        return MIRROR in self.request.wsprogress

    with start_worker(app, pool="threads", concurrency=1, perform_ping_check=False):
        assert looks.delay().get(timeout=60) is False


def test_a_broker_that_is_away_is_not_waited_for():
    app = Celery(broker=f"redis://127.0.0.1:{free_port()}/0", set_as_current=False)
    with pytest.raises(Exception, match="refused"):
        EventSender(app)


@pytest.mark.redis
def test_the_events_are_those_of_the_worker_that_runs_the_task(redis_url):
    app = Celery(broker=redis_url, set_as_current=False)
    with progress_events(app) as wait_for:
        sender = EventSender(app)
        sender.send("celery@here", {"uuid": "one", "progress": "1%"})
        sender.send("celery@there", {"uuid": "two", "progress": "2%"})
        sender.close()
        found = wait_for(2)
    assert [(one["hostname"], one["uuid"], one["progress"]) for one in found] == [
        ("celery@here", "one", "1%"),
        ("celery@there", "two", "2%"),
    ]
