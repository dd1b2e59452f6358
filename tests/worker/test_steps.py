from __future__ import annotations

import math

import pytest

from celery_wsprogress import steps as steps_of_task
from celery_wsprogress.worker.run_info import RunInfo
from celery_wsprogress.worker.steps import Steps
from celery_wsprogress.worker.tracker import Tracker


class Said:
    def __init__(self):
        self.calls = []

    def __call__(self, progress=None, message="", **named):
        assert progress is None
        self.calls.append((named["current"], named["total"], message, named["details"]))


@pytest.fixture
def said():
    return Said()


def test_each_step_is_reported(said):
    steps = Steps(3, said)
    steps.step("a")
    steps.step("b", {"n": 1})
    assert said.calls == [(1, 3, "a", None), (2, 3, "b", {"n": 1})]
    assert (steps.current_step, steps.total_steps) == (2, 3)


def test_beyond_the_total_it_counts_no_further_and_says_so_once(said, caplog):
    steps = Steps(2, said, name="tasks.demo")
    for _ in range(5):
        steps.step()
    assert steps.current_step == 2
    assert [call[:2] for call in said.calls] == [(1, 2), (2, 2), (2, 2), (2, 2), (2, 2)]
    assert caplog.text.count("steps(3)") == 1
    assert "tasks.demo" in caplog.text


@pytest.mark.parametrize("total", [0, -1, None, math.nan, math.inf])
def test_a_total_that_says_nothing_is_indeterminate(said, total, caplog):
    steps = Steps(total, said)
    steps.step("a")
    steps.step("b")
    steps.complete()
    assert steps.current_step == 2
    assert [call[:2] for call in said.calls] == [(1, None), (2, None)]
    assert caplog.text == ""


def test_completing_reports_the_last_step_with_the_last_message(said):
    steps = Steps(10, said)
    steps.step("a")
    steps.complete()
    assert said.calls[-1] == (10, 10, "a", None)
    steps.complete()
    assert len(said.calls) == 2


def test_completing_hands_on_the_result(said):
    results = []
    Steps(1, said, results.append).complete({"n": 1})
    assert results == [{"n": 1}]


@pytest.mark.parametrize("total", ["3", True, [3]])
def test_a_total_that_is_no_number(total):
    with pytest.raises(TypeError, match="total"):
        Steps(total)


def test_half_a_step_is_left(said):
    steps = Steps(1.5, said)
    steps.step()
    steps.step()
    assert steps.current_step == 1.5


def test_outside_of_a_task_it_only_counts():
    steps = steps_of_task(3)
    steps.step("a")
    steps.complete("what")
    assert steps.current_step == 3


def test_a_tracker_takes_steps_as_progress():
    tracker = Tracker(RunInfo("op", "tasks.demo", "r"), None)
    tracker.steps(4).step("one")
    assert b'"current":1,"total":4,"unit":"steps"' in tracker.slot.take().event
