"""Runs without a worker, whose lines the test reads."""

from __future__ import annotations

import json
import logging

import pytest

from celery_wsprogress import log_handler
from celery_wsprogress.worker import context
from celery_wsprogress.worker.logs import runs
from celery_wsprogress.worker.logs.options import LogOptions
from celery_wsprogress.worker.run_info import RunInfo
from celery_wsprogress.worker.tracker import Tracker

EVERYTHING = LogOptions(1, captures_stdout=False, lines_per_second=100.0)


class Sink:
    def __init__(self):
        self.lines = []

    def schedule(self, slot):
        pass

    def emit(self, events, *, after=None):
        self.lines += [json.loads(one.event)["data"] for one in events]

    @property
    def messages(self):
        return [line["message"] for line in self.lines]


@pytest.fixture
def begin():
    begun = []

    def begin_run(options=EVERYTHING, parent=None, sink=True, streams_errors=True):
        run, to = RunInfo("op", "task", "r"), Sink() if sink else None
        tracker = Tracker(run, to, parent, streams_errors=streams_errors)
        context.enter(tracker)
        runs.begin(tracker, options, streams_tracebacks=False)
        begun.append(tracker)
        return tracker

    yield begin_run
    for tracker in reversed(begun):
        leave(tracker)
    logging.getLogger("celery.task").removeHandler(log_handler())
    logging.getLogger().removeHandler(log_handler())
    logging.getLogger().parent = None


def leave(tracker):
    runs.leave(tracker)
    context.leave(tracker)


@pytest.fixture
def end():
    """End a run before the test ends."""
    return leave
