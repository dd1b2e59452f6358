from __future__ import annotations

import pytest
from celery import Celery

from celery_wsprogress import StreamingTask
from celery_wsprogress.worker.logs import options
from celery_wsprogress.worker.logs.options import NO_RECORDS, find_log_options
from celery_wsprogress.worker.policies import policy_of


def options_of(conf, **own):
    app = Celery("t", broker="memory://", set_as_current=False)
    app.conf.update({f"wsprogress_{name}": value for name, value in conf.items()})

    def demo():
        pass

    task = app.task(demo, base=StreamingTask, name="demo", shared=False, **own)
    return policy_of(task).logs


@pytest.mark.parametrize(
    ("conf", "own", "found"),
    [
        ({}, {}, None),
        ({}, {"stream_logs": "INFO"}, (20, False, 100.0)),
        ({}, {"stream_logs": " warn "}, (30, False, 100.0)),
        ({}, {"stream_logs": 15}, (15, False, 100.0)),
        ({"stream_logs": "debug"}, {}, (10, False, 100.0)),
        ({"stream_logs": "debug"}, {"stream_logs": "ERROR"}, (40, False, 100.0)),
        ({"stream_logs": "debug"}, {"stream_logs": False}, None),
        ({"stream_logs": "debug"}, {"capture_stdout": True}, (10, True, 100.0)),
        ({"capture_stdout": True}, {}, (NO_RECORDS, True, 100.0)),
        ({"capture_stdout": True}, {"capture_stdout": False}, None),
        ({"stream_logs_rate": "5"}, {"stream_logs": "INFO"}, (20, False, 5.0)),
    ],
)
def test_the_tasks_own_attributes_win(conf, own, found):
    assert options_of(conf, **own) == found


@pytest.mark.parametrize("own", ["LOUD", True, 0, 1.5, [], "", object])
def test_a_level_that_is_none_streams_nothing_and_is_said_once(caplog, own):
    options._warn_once.cache_clear()
    for _ in range(2):
        assert options_of({"stream_logs": "INFO"}, stream_logs=own) is None
    [sentence] = [record.getMessage() for record in caplog.records]
    assert sentence.startswith("stream_logs of the task demo is ")


def test_a_plain_task_follows_the_settings():
    app = Celery("t", broker="memory://", set_as_current=False)
    app.conf.update(wsprogress_stream_logs="INFO", wsprogress_tasks="all")

    def plain():
        pass

    task = app.task(plain, shared=False)
    assert find_log_options(task, policy_of(task).publishing.settings).level == 20
