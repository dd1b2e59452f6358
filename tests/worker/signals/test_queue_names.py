"""What ``queue`` says: the queue's name, whatever the message's routing key is."""

from __future__ import annotations

import importlib
import sys
from collections import defaultdict
from contextlib import closing

import celery
import pytest
from celery import Celery
from kombu import Exchange, Queue, binding
from kombu.common import Broadcast
from support.conditions import eventually
from support.workers import Worker

from celery_wsprogress import brokers
from celery_wsprogress.brokers.address import broker_address
from celery_wsprogress.protocol import batches
from celery_wsprogress.protocol.events import Completed, Status
from celery_wsprogress.worker.signals.queue_names import queue_of

DELAY = "0." * 27 + "1."

events = Exchange("events", type="topic")


@pytest.fixture
def app():
    app = Celery(set_as_current=False)
    app.conf.task_queues = [
        Queue("celery", Exchange("celery"), "celery"),
        Queue("mails", Exchange("post", type="direct"), "letters"),
        Queue("news", events, "news.#"),
        Queue("sport", events, "*.sport.*"),
        Queue("q2", Exchange("q2", type="topic"), "q2"),
        Queue("dead", Exchange("graveyard", type="fanout")),
        Queue("two", bindings=[binding(events, "weather"), binding(Exchange("post"), "parcels")]),
        Broadcast("everyone"),
    ]
    return app


@pytest.mark.parametrize(
    ("exchange", "key", "name"),
    [
        ("celery", "celery", "celery"),
        ("", "celery", "celery"),
        ("", "made by hand", "made by hand"),
        (None, "celery", "celery"),
        (Exchange("post"), "letters", "mails"),
        ("post", "parcels", "two"),
        ("events", "weather", "two"),
        ("events", "news.#", "news"),
        ("events", "news.today.extra", "news"),
        ("events", "news", "news"),
        ("events", "a.sport.b", "sport"),
        ("events", "a.sport", ""),
        ("q2", "q2", "q2"),
        (Exchange("celery_delayed_27"), DELAY + "q2", "q2"),
        ("celery_delayed_27", DELAY + "news.#", "news"),
        ("mine_celery_delayed_27", DELAY + "q2", "q2"),
        ("celery_delayed_delivery", DELAY + "a.sport.b", "sport"),
        ("graveyard", "anything", "dead"),
        ("everyone", "", "everyone"),
        ("unknown", "0.0.1.x", ""),
    ],
)
def test_the_name_is_that_of_the_configuration(app, exchange, key, name):
    assert queue_of(app, exchange, key) == name


def test_a_worker_has_it_from_a_queue_that_it_consumes(app):
    app.conf.task_queues = [Queue("a", events, "#"), Queue("b", events, "news.*")]
    app.amqp.queues.select(["b"])
    assert queue_of(app, "events", "news.today", consumed=True) == "b"
    assert queue_of(app, "events", "news.today") == "a"


SENT = [
    ("q2", {}),
    ("q2", {"queue": "q2"}),
    ("q2", {"countdown": 1}),
    ("news", {"queue": "news", "countdown": 1}),
    ("news", {"queue": "news"}),
    ("news", {"exchange": "events", "routing_key": "news.today"}),
    ("mails", {"queue": "mails"}),
    ("mails", {"exchange": "post", "routing_key": "letters", "priority": 6}),
    ("all", {"queue": "all"}),
]


def test_every_process_says_the_same_name(broker_url, redis_server, monkeypatch):
    """On RabbitMQ those are quorum queues, and a countdown is its delayed delivery."""
    if celery.VERSION < (5, 5) and broker_url.startswith("amqp"):
        pytest.skip("Celery knows quorum queues since 5.5")
    monkeypatch.setenv("BROKER_URL", broker_url)
    monkeypatch.delitem(sys.modules, "queued", raising=False)
    queued = importlib.import_module("queued")
    with (
        closing(brokers.open_reader(broker_address(queued.app))) as reader,
        Worker("queued", broker=broker_url, backend=redis_server.url),
    ):
        position, names, ended = "", defaultdict(lambda: defaultdict(list)), set()

        def hear(tasks):
            nonlocal position
            for entry in reader.read(position, wait=0.2):
                position = entry.position
                for event in batches.decode_batch(entry.batch).events:
                    if isinstance(event, Status):
                        names[event.operation_id][event.data.status].append(event.data.queue)
                    if isinstance(event, Completed):
                        ended.add(event.operation_id)
            # Three processes; on RabbitMQ what waits for its time is received after that.
            heard = (sum(map(len, names[one].values())) >= 3 for one in tasks)
            return set(tasks) <= ended and all(heard)

        tasks = {queued.runs.apply_async(**how).id: name for name, how in SENT}
        eventually(lambda: hear(tasks))
    for task_id, name in tasks.items():
        assert {one for some in names[task_id].values() for one in some} == {name}
