from __future__ import annotations

from celery_wsprogress.cli.progress_pace import ProgressPace


def test_what_comes_too_soon_is_held_until_its_time():
    pace = ProgressPace(1.0)
    assert pace.take("a", 1, now=0.0) == 1
    assert pace.take("a", 2, now=0.4) is None
    assert pace.take("a", 3, now=0.8) is None
    assert pace.due(0.9) == []
    assert pace.due(1.0) == [3]
    assert pace.due(9.0) == []
    assert pace.take("a", 4, now=1.5) is None
    assert pace.take("a", 5, now=2.0) == 5
    assert pace.due(9.0) == []


def test_each_operation_by_itself():
    pace = ProgressPace(1.0)
    assert [pace.take(one, one, now=0.0) for one in "ab"] == ["a", "b"]


def test_it_is_told_before_whatever_else_comes():
    pace = ProgressPace(1.0)
    pace.take("a", 1, now=0.0)
    pace.take("a", 2, now=0.1)
    assert pace.flush("a") == 2
    assert pace.flush("a") is None
    assert pace.take("a", 3, now=0.2) == 3


def test_without_an_interval_nothing_is_held():
    pace = ProgressPace(0.0)
    assert [pace.take("a", number, now=0.0) for number in range(3)] == [0, 1, 2]
    assert pace.due(9.0) == []
