"""What ``celery beat`` sends is queued, for those who watch, as what anybody sends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support.conditions import eventually
from support.event_log import LogReader

from celery_wsprogress.protocol.events import Status

ROOT = Path(__file__).parents[2]


def types_queued(url):
    """The types of the operations of which ``queued`` was said."""
    events = [event for batch in LogReader(url).batches() for event in batch.events]
    return {one.data.operation_type for one in events if isinstance(one, Status)}


def test_what_beat_sends_is_queued_on_the_broker_of_its_app(redis_url, tmp_path):
    other = f"{redis_url.rpartition('/')[0]}/9"
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "projects")])
    beat = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "timetable", "-b", redis_url, "beat",
         "--schedule", str(tmp_path / "schedule"), "--pidfile="],
        env={**os.environ, "PYTHONPATH": path, "OTHER_URL": other},
    )  # fmt: skip
    try:
        eventually(lambda: "timetable.bill" in types_queued(redis_url))
    finally:
        beat.terminate()
        beat.wait(30)
    # A name that only another app knows is none of ours, wherever it is sent.
    assert types_queued(redis_url) == {"timetable.bill"}
    assert types_queued(other) == set()
