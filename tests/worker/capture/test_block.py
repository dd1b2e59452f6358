"""Bars, states and coroutines in tasks on real workers: each is of the task in which it is."""

from __future__ import annotations

import importlib

import pytest
from support.event_log import in_task
from support.workers import Worker

from celery_wsprogress.protocol.events import Log, Progress, Status


@pytest.fixture(scope="session")
def bars(redis_server):
    """The project ``bars``, for callers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BROKER_URL", redis_server.url)
        patch.setenv("RESULT_BACKEND", redis_server.url)
        return importlib.import_module("bars")


def worker_of(server, queue, **how):
    how |= {"broker": server.url, "backend": server.url, "options": ("-Q", queue)}
    return Worker("bars", **how)


@pytest.fixture(scope="module")
def threads(redis_server):
    """A worker by threads, for all tests of this module; its queue."""
    with worker_of(redis_server, "bars-threads", pool="threads", concurrency=8):
        yield "bars-threads"


def progress(log, task):
    return [one.data for one in log.wait_for_end(task.id) if isinstance(one, Progress)]


def lines(log, task):
    return [one.data.message for one in log.wait_for_end(task.id) if isinstance(one, Log)]


def assert_each_shows_its_own(log, tasks):
    """Each task has reported its own bar to the end, and no other one."""
    for (how, name), task in tasks.items():
        reported = progress(log, task)
        assert {one.message for one in reported} == {name}
        last = reported[-1]
        assert (last.progress, last.current, last.total) == (1.0, 5, 5)
        assert last.unit == ("rows" if "loop" in how else last.unit)


BARS = ["loop", "disabled_loop", "nested_loop", "rich_track"]


def many(bars, queue):
    names = [(how, f"{how} {number}") for how in BARS for number in range(3)]
    return {one: bars.shows.apply_async(one, queue=queue) for one in names}


def test_bars_of_tasks_that_run_at_once_in_threads(bars, log, threads):
    assert_each_shows_its_own(log, many(bars, threads))


def test_bars_of_tasks_that_run_at_once_in_greenlets(bars, redis_server, log):
    with worker_of(redis_server, "bars-gevent", pool="gevent", concurrency=12):
        assert_each_shows_its_own(log, many(bars, "bars-gevent"))


def test_a_setting_captures_the_bars_of_all_tasks(bars, redis_server, log):
    environment = {"WSPROGRESS_CAPTURE_TQDM": "yes"}
    with worker_of(redis_server, "bars-all", environment=environment):
        tasks = [bars.shows_only.apply_async((f"bar {n}",), queue="bars-all") for n in range(4)]
        for number, task in enumerate(tasks):
            reported = progress(log, task)
            assert {one.message for one in reported} == {f"bar {number}"}
            assert (reported[-1].current, reported[-1].total) == (5, 5)


def test_without_it_they_are_not(bars, log, threads):
    assert progress(log, bars.shows_only.apply_async(("bar",), queue=threads)) == []


def test_a_task_inside_shows_its_own(bars, log, threads):
    reported = progress(log, bars.shows_in_an_eager_one.apply_async(("outer",), queue=threads))
    assert {one.message for one in reported} == {"outer"}
    assert (reported[-1].current, reported[-1].total) == (2, 2)


def test_a_bar_in_a_phase_is_of_its_share(bars, log, threads):
    task = bars.shows_in_phases.apply_async(queue=threads)
    reported = progress(log, task)
    fractions = [one.progress for one in reported]
    assert fractions == sorted(fractions)
    assert {0.25, 1.0} <= set(fractions)
    assert {one.message for one in reported} <= {"first", "second"}


def test_states_are_progress_too(bars, log, threads):
    task = bars.writes_states.apply_async(queue=threads)
    reported = progress(log, task)
    assert (reported[-1].current, reported[-1].total, reported[-1].message) == (3, 3, "rows")
    assert in_task(log.events(task.id)) == ["started", "UPLOADING", "result", "completed"]
    # What the caller says may be written last.
    said = [one.data for one in log.events(task.id) if isinstance(one, Status)]
    assert ("UPLOADING", "to the mirror") in [(one.status, one.message) for one in said]


def test_a_recorder_of_celery_progress(bars, log, threads):
    reported = progress(log, bars.records.apply_async(queue=threads))
    assert (reported[-1].current, reported[-1].total, reported[-1].message) == (3, 3, "rows")


@pytest.mark.parametrize("name", ["runs_coroutines", "runs_coroutines_of_django"])
def test_coroutines_know_their_task(bars, log, threads, tmp_path, name):
    if name == "runs_coroutines_of_django":
        pytest.importorskip("asgiref")
    tasks = at_once(getattr(bars, name), log, threads, tmp_path)
    for own, task in tasks.items():
        said = {f"{own} {what}" for what in ("run", 0, 1, "task", "executor")}
        assert set(lines(log, task)) == said
        assert {one.message for one in progress(log, task)} == {own}


def test_threads_with_a_context_know_their_task(bars, log, threads, tmp_path):
    tasks = at_once(bars.has_threads, log, threads, tmp_path)
    for own, task in tasks.items():
        assert sorted(lines(log, task)) == [f"{own} {number}" for number in range(4)]
        reported = progress(log, task)
        assert {one.message for one in reported} == {own}
        assert (reported[-1].current, reported[-1].total) == (3, 3)


def at_once(task, log, queue, folder):
    """Some runs of a task, which go on once all of them have started."""
    gate = folder / "gate"
    names = ["a", "b", "c"]
    tasks = {name: task.apply_async((name, str(gate)), queue=queue) for name in names}
    for one in tasks.values():
        log.wait_for_words(one.id, "started")
    gate.touch()
    return tasks
