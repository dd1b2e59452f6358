"""A scenario is read, and played in its time."""

from __future__ import annotations

import pytest
from support.sample_events import completed, progress, status

from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.protocol.batches import decode_event, encode_event
from celery_wsprogress.testing.scenario import Scenario, read_scenario

EVENTS = [
    status("started", at=100.0, metadata={}),
    progress(0.5, at=102.0),
    # Written down before an older one.
    progress(0.9, at=99.0),
    completed(at=105.0, duration=5.0, operation_id="op-2"),
]


def played(scenario, stops_at=float("inf")):
    """Play it at time 1000; return the times, the waits, and whether it came to its end."""
    waits, written = [], []

    def wait_until(at):
        waits.append(at)
        return at < stops_at

    ended = scenario.play(1000.0, wait_until, lambda event: written.append(decode_event(event)))
    return [event.timestamp for event in written], waits, ended


def test_events_come_as_far_apart_as_they_were():
    times = [1000.0, 1002.0, 1000.0, 1005.0]
    assert played(Scenario(EVENTS)) == (times, times, True)


def test_it_stops_where_it_is_told_to():
    assert played(Scenario(EVENTS), stops_at=1001.0) == ([1000.0], [1000.0, 1002.0], False)


def test_it_names_its_operations():
    assert Scenario(EVENTS).operation_ids == ["op-1", "op-2"]


def test_lines_are_events():
    lines = ["", *(encode_event(event).decode() for event in EVENTS), ""]
    assert played(read_scenario("s.jsonl", lines))[2]


@pytest.mark.parametrize("line", ["no JSON", "[]", "{}", '{"event_type": "snapshot"}'])
def test_a_line_that_is_no_event_is_named(line):
    with pytest.raises(ConfigurationError, match=r"line 2 of s.jsonl is .*, but must be an event"):
        read_scenario("s.jsonl", ["", line])


def test_a_file_without_events_is_none():
    with pytest.raises(ConfigurationError, match="a file with events"):
        read_scenario("s.jsonl", ["", " "])
