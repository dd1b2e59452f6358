from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_wsprogress.cli.phase_bar import phases_of, running_phase, segments
from celery_wsprogress.cli.progress_bar import progress_bar


def phase(weight, fraction=0.0, state="running", name="Read"):
    return {"name": name, "weight": weight, "state": state, "fraction": fraction}


@pytest.mark.parametrize(
    ("phases", "bar"),
    [
        ([phase(0.5, 1.0, "completed"), phase(0.5, 0.4)], "#####|##..."),
        ([phase(0.3, 0.5, "error"), phase(0.7, 0.0, "waiting")], "!..|......."),
        ([phase(0.2, 1.0, "completed")], "##|........"),
        ([phase(0.01, 1.0), phase(0.99, 0.5)], "#####....."),
        ([phase(1.0, 2.0)], "#" * 10),
    ],
)
def test_each_phase_is_a_segment(phases, bar):
    assert segments(phases, 10) == bar


@given(st.lists(st.tuples(st.floats(0.001, 1), st.floats(0, 1)), min_size=1, max_size=12))
def test_a_bar_is_as_wide_as_it_should_be(parts):
    total = sum(weight for weight, _ in parts)
    bar = segments([phase(weight / total, fraction) for weight, fraction in parts], 24)
    assert len(bar) - bar.count("|") == 24


@pytest.mark.parametrize("details", [None, [], {}, {"phases": 3}, {"phases": [3, phase(0.0)]}])
def test_details_of_another_form_are_no_phases(details):
    assert phases_of({"details": details}) == []


@pytest.mark.parametrize(("message", "name"), [("row 3", "Read"), ("Read", "")])
def test_the_phase_that_runs_is_named_once(message, name):
    details = {"phases": [phase(0.5, 1.0, "completed", "Download"), phase(0.5)]}
    assert running_phase({"details": details, "message": message}) == name


def test_a_line_of_a_terminal():
    data = {"progress": 0.55, "message": "a.csv", "details": {"phases": [phase(0.5, 0.5)]}}
    event = {"event_type": "progress", "operation_id": "op", "timestamp": 0.0, "data": data}
    line = progress_bar(event)
    assert line.endswith(" 55%       [######......|............] a.csv (Read)")
