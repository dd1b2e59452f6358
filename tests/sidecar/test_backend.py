from __future__ import annotations

import threading

import pytest
from celery import Celery, states
from ports import free_port
from waiting import eventually

from celery_wsprogress.results import Outcome
from celery_wsprogress.sidecar.backend import AWAY, Answer, find_backend


@pytest.fixture
def app(redis_url):
    return Celery("asked", broker="memory://", backend=redis_url, set_as_current=False)


def ask(backend, task_id):
    answers = []
    backend.ask(task_id, answers.append)
    eventually(lambda: answers)
    [answer] = answers
    return answer


def test_how_a_task_ended(app):
    app.backend.store_result("good", {"rows": 7}, states.SUCCESS)
    app.backend.store_result("bad", ValueError("broke"), states.FAILURE)
    backend = find_backend(app, None)
    assert ask(backend, "good") == Answer(Outcome("completed", {"rows": 7}), asked=True)
    assert ask(backend, "bad") == Answer(Outcome("error", None, "broke", "ValueError"), asked=True)
    assert ask(backend, "nobody's") == Answer(None, asked=True)


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
    assert ask(backend, "a") == AWAY
    assert ask(backend, "b") == AWAY
    assert [record.message for record in caplog.records] == [
        "The result backend cannot be asked (ConnectionError)"
    ]
    assert "hunter2" not in caplog.text


def test_an_operation_is_asked_for_once_at_a_time(app):
    """A second question while the first is open is the first: there is one answer."""
    backend = find_backend(app, None)
    release, answers = threading.Event(), []

    class Slow:
        def get_task_meta(self, task_id, *, cache):
            assert release.wait(60)
            return {"status": states.SUCCESS, "result": task_id}

    backend._backend = Slow()
    for _ in range(3):
        backend.ask("one", answers.append)
    backend.ask("other", answers.append)
    release.set()
    eventually(lambda: len(answers) == 2)
    assert [answer.outcome.result for answer in answers] == ["one", "other"]
    backend.ask("one", answers.append)
    eventually(lambda: len(answers) == 3)
