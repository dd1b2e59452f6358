"""``fake`` plays a scenario to real clients."""

from __future__ import annotations

import json
import signal
import socket

import pytest
from support.programs import Piped, run
from support.sample_events import completed, log, progress, queued, result, status

from celery_wsprogress.protocol.batches import encode_event

LIFE = (
    queued(at=1000.0, operation_type="t.build"),
    status("started", at=1000.1, metadata={}, operation_type="t.build"),
    log("half", at=1000.2),
    progress(0.5, at=1000.3, message="rows"),
    result(7, at=1000.4),
    completed(at=1000.4, duration=0.3),
)


@pytest.fixture
def scenario(tmp_path):
    file = tmp_path / "scenario.jsonl"
    file.write_text("".join(encode_event(event).decode() + "\n" for event in LIFE))
    return file


def url_of(fake):
    return fake.wait_for(r"started on (ws://\S+:\d+)")[1]


def test_a_client_sees_what_was_recorded_and_can_record_it_again(scenario, tmp_path):
    with Piped("fake", "--scenario", str(scenario), "--port", "0") as fake:
        done = run("watch", "op-1", "--json", "--url", url_of(fake))
        assert done.returncode == 0
        fake.wait_for("All is played")
        # Whoever comes late sees it, too.
        assert run("watch", "op-1", "--url", url_of(fake)).returncode == 0
        assert fake.end(signal.SIGTERM) == 0
    assert "Playing op-1" in fake.stdout
    shown = [json.loads(line) for line in done.stdout.splitlines()]
    recorded = [json.loads(encode_event(event)) for event in LIFE]
    assert [one["data"] for one in shown] == [one["data"] for one in recorded]
    pauses = [round(one["timestamp"] - shown[0]["timestamp"], 3) for one in shown]
    assert pauses == [0.0, 0.1, 0.2, 0.3, 0.4, 0.4]

    again = tmp_path / "again.jsonl"
    again.write_text(done.stdout)
    with Piped("fake", "--scenario", str(again), "--port", "0") as fake:
        assert run("watch", "op-1", "--url", url_of(fake)).returncode == 0
        assert fake.end(signal.SIGINT) == 0


def refused(done, *words):
    assert done.returncode != 0
    assert [word for word in words if word not in done.stderr] == []


def test_what_is_no_scenario_is_refused(tmp_path):
    refused(run("fake", "--scenario", str(tmp_path / "missing")), "missing cannot be read")
    file = tmp_path / "scenario.jsonl"
    file.write_text('\n{"event_type": "nonsense"}\n')
    refused(run("fake", "--scenario", str(file)), "line 2 of", "nonsense", "an event as JSON")
    file.write_text("\n")
    refused(run("fake", "--scenario", str(file)), "a file with events")


def test_a_port_that_is_taken_is_named(scenario):
    with socket.create_server(("localhost", 0)) as taken:
        port = taken.getsockname()[1]
        refused(
            run("fake", "--scenario", str(scenario), "--port", str(port)), f"Port {port} cannot"
        )
