"""``cancel``: against a sidecar that lets it, one that does not, and on a worker."""

from __future__ import annotations

import json

import pytest
from support.programs import run
from support.sample_events import completed, status
from support.sidecars import SidecarThread

from celery_wsprogress.brokers import BrokerAddress


@pytest.fixture
def open_sidecar(redis_url):
    with SidecarThread(BrokerAddress(redis_url), allow_cancel=True) as sidecar:
        yield sidecar


def test_the_workers_were_told(open_sidecar, write):
    write(status("started", run="a", worker="w@host"))
    done = run("cancel", "op-1", "unknown", "--reason", "wrong file", "--url", open_sidecar.url)
    assert (done.returncode, done.stdout) == (0, "op-1  accepted\nunknown  accepted\n")


def test_what_has_ended(open_sidecar, write):
    write(status("started", run="a", worker="w@host"), completed(run="a", duration=1.0))
    done = run("cancel", "op-1", "--terminate", "--url", open_sidecar.url)
    assert (done.returncode, done.stdout) == (1, "op-1  ended (completed)\n")


def test_as_json(open_sidecar, write):
    write(status("started", run="a", worker="w@host"), completed(run="a", duration=1.0))
    done = run("cancel", "op-1", "op-2", "--json", "--url", open_sidecar.url)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"operation_id": "op-1", "status": "ended", "state": "completed"},
        {"operation_id": "op-2", "status": "accepted"},
    ]


def test_where_it_is_not_allowed(served):
    done = run("cancel", "op-1", "--url", served.url)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--allow-cancel" in done.stderr
