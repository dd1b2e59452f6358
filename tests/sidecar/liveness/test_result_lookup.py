from __future__ import annotations

import os
import subprocess
import sys
import threading
from functools import partial

import pytest
from celery import Celery, states
from support.conditions import eventually
from support.ports import free_port
from support.proxies import Proxy

from celery_wsprogress.brokers.result_backend import Outcome, open_backend
from celery_wsprogress.sidecar.liveness.pending_lookups import MAX_WAITING
from celery_wsprogress.sidecar.liveness.result_lookup import (
    MAX_STUCK,
    NOT_ASKED,
    UNAVAILABLE,
    LookupResult,
    ResultLookup,
    find_backend,
)


@pytest.fixture
def app(redis_url):
    return Celery("asked", broker="memory://", backend=redis_url, set_as_current=False)


def ask(backend, task_id):
    answers = []
    backend.request(task_id, answers.append)
    eventually(lambda: answers)
    [answer] = answers
    return answer


def test_how_a_task_ended(app):
    app.backend.store_result("good", {"rows": 7}, states.SUCCESS)
    app.backend.store_result("bad", ValueError("broke"), states.FAILURE)
    backend = find_backend(app, None)
    assert ask(backend, "good") == LookupResult(Outcome("completed", {"rows": 7}))
    assert ask(backend, "bad") == LookupResult(Outcome("error", None, "broke", "ValueError"))
    assert ask(backend, "nobody's").outcome is None
    assert ask(backend, "nobody's") is not UNAVAILABLE


def test_another_backend_than_the_applications(app, redis_url):
    app.backend.store_result("good", 1, states.SUCCESS)
    assert ask(find_backend(None, redis_url), "good").outcome == Outcome("completed", 1)
    elsewhere = Celery("elsewhere", backend="cache+memory://", set_as_current=False)
    assert ask(find_backend(elsewhere, redis_url), "good").outcome == Outcome("completed", 1)


def test_where_there_is_none():
    assert find_backend(None, None) is None
    assert find_backend(Celery("without", broker="memory://", set_as_current=False), None) is None


def test_a_backend_that_is_away_is_said_once_and_without_its_password(caplog):
    url = f"redis://:hunter2@127.0.0.1:{free_port()}/0"
    backend = find_backend(None, url)
    assert ask(backend, "a") is UNAVAILABLE
    assert ask(backend, "b") is UNAVAILABLE
    assert [record.message for record in caplog.records] == [
        "The result backend cannot be asked (ConnectionError)"
    ]
    assert "hunter2" not in caplog.text


def test_an_operation_is_asked_for_once_at_a_time():
    """A second question while the first is open is the first: there is one answer."""
    release, answers = threading.Event(), []

    class Slow:
        def get_task_meta(self, task_id, *, cache):
            assert release.wait(60)
            return {"status": states.SUCCESS, "result": task_id}

    backend = ResultLookup(Slow)
    for _ in range(3):
        backend.request("one", answers.append)
    backend.request("other", answers.append)
    release.set()
    eventually(lambda: len(answers) == 2)
    assert [answer.outcome.result for answer in answers] == ["one", "other"]
    backend.request("one", answers.append)
    eventually(lambda: len(answers) == 3)


def test_the_sidecar_s_own_questions_go_before_those_of_clients():
    begun, release, answers = threading.Event(), threading.Event(), []

    class Slow:
        def get_task_meta(self, task_id, *, cache):
            begun.set()
            assert release.wait(60)
            return {"status": states.SUCCESS, "result": task_id}

    backend = ResultLookup(Slow)
    backend.limit_clients(max_lookups=3, max_client_lookups=2)
    backend.request_for_client("gone", "first", answers.append)
    assert begun.wait(60)
    for client, task_id in (("gone", "a"), ("gone", "b"), ("gone", "c"), ("alice", "hers")):
        backend.request_for_client(client, task_id, answers.append)
    backend.request("silent", answers.append)
    backend.forget_client("gone")
    release.set()
    eventually(lambda: len(answers) == 3)
    assert [answer.outcome.result for answer in answers] == ["first", "silent", "hers"]
    assert backend.refused == 1


def test_a_question_for_which_there_is_no_room_is_answered_as_not_asked():
    begun, release, answers = threading.Event(), threading.Event(), []

    class Slow:
        def get_task_meta(self, task_id, *, cache):
            begun.set()
            assert release.wait(60)
            return {"status": states.PENDING}

    backend = ResultLookup(Slow)
    backend.request("first", lambda _: None)
    assert begun.wait(60)
    for number in range(MAX_WAITING + 1):
        backend.request(f"task {number}", answers.append)
    assert len(answers) == 1
    assert answers[0] is NOT_ASKED
    release.set()


@pytest.fixture
def network(redis_server):
    with Proxy(redis_server.port) as network:
        yield network


def through(network, app):
    """The application's backend, by way of a network that can be broken."""
    app.backend.store_result("good", 1, states.SUCCESS)
    return partial(open_backend, None, f"redis://127.0.0.1:{network.port}/0")


def test_a_connection_that_was_cut_while_idle_is_opened_again_unnoticed(app, network, caplog):
    backend = ResultLookup(through(network, app))
    assert ask(backend, "good").outcome == Outcome("completed", 1)
    network.cut()
    network.mend()
    assert ask(backend, "good").outcome == Outcome("completed", 1)
    assert caplog.records == []


def test_a_connection_that_a_proxy_has_forgotten_is_given_up_and_another_one_asked(
    app, network, caplog
):
    backend = ResultLookup(through(network, app), answer_timeout=0.3)
    assert ask(backend, "good") is not UNAVAILABLE
    network.freeze()
    owed, later = [], []
    backend.request("good", owed.append)

    def answered():
        # As the sidecar asks: again and again while it has no answer.
        backend.request("good", later.append)
        return any(one is not UNAVAILABLE for one in later)

    eventually(answered)
    [answer] = owed
    assert answer is UNAVAILABLE
    assert later[-1].outcome == Outcome("completed", 1)
    assert "The result backend cannot be asked (no answer)" in caplog.messages


def test_a_backend_that_never_answers_holds_few_threads_and_everyone_gets_an_answer():
    release = threading.Event()

    class Mute:
        def get_task_meta(self, task_id, *, cache):
            release.wait(120)
            return {"status": states.PENDING}

    backend, answers, before = ResultLookup(Mute, 0.01), [], threading.active_count()

    def refused():
        backend.request(f"task {len(answers)}", answers.append)
        return len(answers) > 2 * MAX_STUCK

    eventually(refused)
    assert all(answer is UNAVAILABLE for answer in answers)
    assert threading.active_count() <= before + MAX_STUCK + 1
    release.set()
    eventually(lambda: ask(backend, "at last") is not UNAVAILABLE)


DJANGO = """
import gc, sys, threading
import django
from django.conf import settings

database = {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}
settings.configure(
    DATABASES={"default": {**database, "OPTIONS": {"check_same_thread": False}}},
    INSTALLED_APPS=["django_celery_results"],
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
)
django.setup()

from celery import Celery, states
from django.core.management import call_command
from django.db.backends.sqlite3.base import DatabaseWrapper
from celery_wsprogress.sidecar.liveness.result_lookup import find_backend

call_command("migrate", verbosity=0)
app = Celery("django", backend="django-db", broker="memory://")
app.backend.store_result("good", 1, states.SUCCESS)
backend = find_backend(app, None)

def ask():
    done, found = threading.Event(), []
    backend.request("good", lambda answer: (found.append(answer), done.set()))
    assert done.wait(60)
    return found[0].outcome

assert ask().end == "completed"
# As a server that has ended its session: what asks through these connections fails from now on.
for connection in [one for one in gc.get_objects() if isinstance(one, DatabaseWrapper)]:
    if connection.connection is not None:
        connection.connection.close()
assert ask().end == "completed"
"""


def test_a_session_of_django_s_database_that_was_ended_is_begun_anew(tmp_path):
    program = [sys.executable, "-c", DJANGO, str(tmp_path / "results.sqlite")]
    subprocess.run(program, check=True, timeout=120, env=os.environ | {"PYTHONWARNINGS": "ignore"})
