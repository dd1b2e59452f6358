"""Several apps in one process: each message belongs to the app that publishes it."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
from celery import Celery, chain, chord, group, shared_task, signals
from support.event_log import LogReader, spoken

from celery_wsprogress import StreamingTask, install
from celery_wsprogress.worker import apps
from celery_wsprogress.worker.publishing.publishers import drain_all
from celery_wsprogress.worker.run_info import HEADER


class Site:
    """An app on a database of its own, and what its watchers read."""

    def __init__(self, url, number):
        self.url = f"{url.rpartition('/')[0]}/{number}"
        self.app = Celery(f"site {number}", broker=self.url, backend=self.url, set_as_current=False)
        self.log = LogReader(self.url)

    def task(self, name="billing.charge", **options):
        def charge(self, *_):
            pass

        made = self.app.task(charge, name=name, shared=False, base=StreamingTask, **options)
        self.app.finalize(auto=True)
        return made

    def stop(self):
        for publishing in (apps.publishing_of(self.app),):
            publishing.publisher.close()


@pytest.fixture
def ours(redis_url):
    site = Site(redis_url, 1)
    yield site
    site.stop()


@pytest.fixture
def foreign(redis_url):
    site = Site(redis_url, 2)
    yield site
    site.stop()


@pytest.fixture
def stamped():
    """The ids of all messages that carry our header."""
    found = set()

    def look(headers=None, **_):
        if HEADER in headers:
            found.add(headers["id"])

    signals.after_task_publish.connect(look, weak=False, dispatch_uid="look")
    yield found
    signals.after_task_publish.disconnect(dispatch_uid="look")


def queued(site, name):
    drain_all(30)
    return "queued" in spoken(site.log.events(name))


def test_a_foreign_app_that_has_no_such_task_leaves_nothing_here(ours, foreign, stamped):
    ours.task()
    foreign.app.send_task("billing.charge", task_id="foreign")
    ours.app.send_task("billing.charge", task_id="ours")
    assert (queued(ours, "ours"), queued(ours, "foreign")) == (True, False)
    assert foreign.log.batches() == []
    assert stamped == {"ours"}


@pytest.mark.parametrize("current", ["ours", "foreign", None])
def test_two_tasks_of_one_name_show_each_at_its_own_sidecar(ours, foreign, current):
    tasks = {"ours": ours.task(), "foreign": foreign.task()}
    if current:
        {"ours": ours, "foreign": foreign}[current].app.set_current()
    for name, task in tasks.items():
        task.apply_async(task_id=f"{name} 1")
        task.app.send_task("billing.charge", task_id=f"{name} 2")
        task.s().set(task_id=f"{name} 3").apply_async()
        task.si().set(task_id=f"{name} 4").delay()
    with ThreadPoolExecutor(2) as threads:
        for name, task in tasks.items():
            threads.submit(task.apply_async, task_id=f"{name} 5")
    for n in range(1, 6):
        assert queued(ours, f"ours {n}")
        assert queued(foreign, f"foreign {n}")
        assert not queued(ours, f"foreign {n}")
        assert not queued(foreign, f"ours {n}")


def test_so_do_those_of_a_canvas(ours, foreign):
    for site in (ours, foreign):
        task = site.task()
        name = site.app.main
        first = task.si().set(task_id=f"{name} chain")
        chain(first, task.si(), app=site.app).apply_async()
        group([task.si().set(task_id=f"{name} group")], app=site.app).apply_async()
        header = [task.si().set(task_id=f"{name} chord")]
        chord(header, task.si(), app=site.app).apply_async()
    for what in ("chain", "group", "chord"):
        for site, other in ((ours, foreign), (foreign, ours)):
            assert queued(site, f"{site.app.main} {what}")
            assert not queued(other, f"{site.app.main} {what}")


def test_a_shared_task_is_that_of_the_app_that_publishes_it(ours, foreign):
    @shared_task(base=StreamingTask, name="shared.work")
    def work(self):
        pass

    for site in (ours, foreign):
        site.app.tasks["shared.work"].apply_async(task_id=site.app.main)
    assert (queued(ours, "site 1"), queued(ours, "site 2")) == (True, False)
    assert (queued(foreign, "site 2"), queued(foreign, "site 1")) == (True, False)


def test_what_another_app_publishes_in_between_is_its_own(ours, foreign):
    """From a handler of Celery's signal, in the middle of our own publishing."""
    install(ours.app)
    ours.app.conf.wsprogress_tasks = "all"

    def audit(sender=None, **_):
        if sender != "audit":
            foreign.app.send_task("audit", task_id="audited")

    signals.before_task_publish.connect(audit, weak=False, dispatch_uid="audit")
    try:
        ours.app.send_task("plain", task_id="plain")
    finally:
        signals.before_task_publish.disconnect(dispatch_uid="audit")
    assert (queued(ours, "plain"), queued(ours, "audited")) == (True, False)


def test_what_changes_celerys_class_later_is_still_called(ours, monkeypatch):
    ours.task()
    called = []
    real = Celery.send_task
    monkeypatch.setattr(
        Celery, "send_task", lambda *args, **more: called.append(1) or real(*args, **more)
    )
    ours.app.send_task("billing.charge", task_id="instrumented")
    assert called == [1]
    assert queued(ours, "instrumented")


def test_an_app_can_still_be_pickled(ours):
    ours.task()
    assert pickle.loads(pickle.dumps(ours.app)).conf.broker_url == ours.url
