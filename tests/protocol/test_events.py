"""The words for the classes of events."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest
from support.sample_events import chunk, completed, error, log, plan, progress, result, status

from celery_wsprogress.protocol.events import Event, Plan, event_type

SAMPLES = [
    status("busy"), progress(0.5), log("a"), chunk("a"), result(1), completed(), error(), plan(),
]  # fmt: skip


def test_there_is_a_sample_of_every_class():
    assert {type(one) for one in SAMPLES} == {*get_args(Event), Plan}


@pytest.mark.parametrize("event", SAMPLES, ids=lambda one: type(one).__name__)
def test_the_word_is_the_one_on_the_wire(event):
    assert msgspec.to_builtins(event)["event_type"] == event_type(type(event))
