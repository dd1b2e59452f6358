"""Whose turn it is to be mirrored."""

from __future__ import annotations

import gc

from celery_wsprogress.worker.mirror.mirrored_runs import INTERVAL, MirroredRuns
from celery_wsprogress.worker.run_info import RunInfo
from celery_wsprogress.worker.track import Track
from celery_wsprogress.worker.tracker import Tracker


def tracker(name="one"):
    return Tracker(RunInfo(name, "proj.import_rows", worker="celery@here"), None)


def due(runs, now):
    return [(run.operation_id, value[1]) for run, value in runs.due(now)]


def test_each_run_has_a_turn_a_second_if_it_has_reported_something_new():
    runs, one, other = MirroredRuns(), tracker("one"), tracker("other")
    runs.add(one)
    runs.add(other)
    assert due(runs, 100.0) == []
    one.update_progress(0.1)
    assert due(runs, 100.0) == [("one", 0.1)]
    one.update_progress(0.2)
    other.update_progress(0.5)
    assert due(runs, 100.5) == [("other", 0.5)]
    one.update_progress(0.3)
    assert due(runs, 100.0 + INTERVAL) == [("one", 0.3)]
    assert due(runs, 200.0) == []


def test_a_loop_is_mirrored_as_far_as_it_is():
    runs, one = MirroredRuns(), tracker()
    runs.add(one)
    loop = iter(Track(one, "abcd", "", None, "rows"))
    next(loop)
    next(loop)
    [(_, value)] = runs.due(100.0)
    assert (value[1], value[2], *value[5:8]) == (0.25, False, 1, 4, "rows")
    loop.close()


def test_a_run_that_has_ended_has_no_turn():
    runs, one, other = MirroredRuns(), tracker("one"), tracker("other")
    for each in (one, other):
        runs.add(each)
        each.update_progress(0.1)
    turns = runs.due(100.0)
    next(turns)
    # It ends while the event of the first is on its way.
    other.mark_ended()
    assert list(turns) == []
    one.mark_ended()
    one.update_progress(0.9)
    assert due(runs, 200.0) == []
    assert not runs


def test_a_run_that_nobody_holds_any_more_goes():
    runs = MirroredRuns()
    runs.add(tracker())
    gc.collect()
    assert not runs
    assert due(runs, 100.0) == []
