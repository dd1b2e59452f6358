from __future__ import annotations

import pytest
from celery import Celery

from celery_wsprogress import StreamingTask
from celery_wsprogress.worker import policies


def nothing():
    pass


@pytest.mark.parametrize(
    ("setting", "own", "leaves"),
    [(True, None, True), (False, None, False), (True, False, False), (False, True, True)],
)
def test_a_tasks_own_word_on_its_result_wins(setting, own, leaves):
    app = Celery("t", broker="memory://")
    app.conf.wsprogress_stream_result = setting
    task = app.task(nothing, base=StreamingTask, name="demo", shared=False, stream_result=own)
    assert policies.streams_result(task, {}) is leaves


@pytest.mark.parametrize(
    ("conf", "own", "leave"),
    [
        ({}, {}, True),
        ({}, {"stream_result": False}, False),
        ({"stream_result": False}, {}, False),
        ({"stream_result": False}, {"stream_result": True}, True),
        ({"stream_errors": "type"}, {}, False),
        ({"stream_errors": "type"}, {"stream_errors": "full"}, True),
        ({"stream_errors": "full"}, {"stream_result": False}, True),
        ({"stream_errors": "full"}, {"stream_errors": "type"}, False),
        ({}, {"stream_errors": "full", "stream_result": False}, True),
        ({}, {"stream_errors": " Type "}, False),
    ],
)
def test_what_leaves_of_errors(conf, own, leave):
    app = Celery("t", broker="memory://")
    app.conf.update({f"wsprogress_{name}": value for name, value in conf.items()})
    task = app.task(nothing, base=StreamingTask, name="demo", shared=False, **own)
    assert policies.streams_errors(task, {}) is leave
    # The word of whatever it stands for goes first.
    assert not policies.streams_errors(task, {"withhold_errors": True})


@pytest.mark.parametrize("own", ["none", "", False, 7, ["type"]])
def test_a_word_of_a_task_that_means_nothing_keeps_its_errors_in_and_is_said(caplog, own):
    app = Celery("t", broker="memory://")
    policies._warn_once.cache_clear()
    task = app.task(nothing, base=StreamingTask, name="demo", shared=False, stream_errors=own)
    assert policies.streams_errors(task, {}) is False
    assert policies.streams_errors(task, {}) is False
    [sentence] = [record.getMessage() for record in caplog.records]
    assert sentence.startswith("stream_errors of the task demo is ")
    assert "must be 'full' or 'type'" in sentence


def test_a_plain_task_has_no_word_of_its_own():
    app = Celery("t", broker="memory://")
    task = app.task(nothing, name="plain", shared=False)
    assert policies.streams_result(task, {}) is True
