"""``serve`` with URLs from files: they are used, and their passwords are shown to nobody."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import psutil
import pytest
import redis
from celery import Celery
from support.conditions import eventually
from support.event_log import publish
from support.sample_events import log
from support.wire_document import connect

from celery_wsprogress.brokers import BrokerAddress
from celery_wsprogress.protocol.batches import encode_event, join_batch

PASSWORD = "hunter2-4711"


@pytest.fixture
def url(own_redis):
    """A Redis where one needs a password."""
    with redis.Redis(port=own_redis.port) as admin:
        admin.acl_setuser(
            "sidecar",
            enabled=True,
            passwords=f"+{PASSWORD}",
            keys=["*"],
            channels=["*"],
            commands=["+@all"],
        )
    return f"redis://sidecar:{PASSWORD}@127.0.0.1:{own_redis.port}"


def in_file(path, text):
    path.write_text(f"{text}\n")
    path.chmod(0o600)
    return str(path)


@pytest.mark.parametrize("processes", [1, 2])
def test_urls_in_files_are_used_and_no_command_line_shows_their_passwords(tmp_path, url, processes):
    output = tmp_path / "output"
    command = [
        *(sys.executable, "-m", "celery_wsprogress", "serve", "--port", "0"),
        *("--broker-file", in_file(tmp_path / "broker", f"{url}/0")),
        *("--result-backend-file", in_file(tmp_path / "backend", f"{url}/1")),
        *("--answer-unknown", "--processes", str(processes), "--log-level", "debug"),
    ]
    clean = {name: value for name, value in os.environ.items() if "WSPROGRESS" not in name}
    with output.open("w") as file:
        serving = subprocess.Popen(command, stdout=file, stderr=file, env=clean)
    try:
        found = eventually(
            lambda: re.search(r"started on ws://\S+:(\d+)\n", output.read_text()), 60
        )
        family = [psutil.Process(serving.pid), *psutil.Process(serving.pid).children()]
        assert len(family) == (1 if processes == 1 else 3)
        for one in family:
            assert "--broker-file" in one.cmdline()
            assert PASSWORD not in " ".join(one.cmdline())
        with connect(f"ws://localhost:{found[1]}", compression=None, open_timeout=60) as client:
            # The broker: what is written to its log arrives.
            ask(client, "subscribe", operation_id="op-1")
            publish(BrokerAddress(f"{url}/0"), join_batch("w", 1, [encode_event(log("hello"))]))
            assert until(client, "log")["data"]["message"] == "hello"
            # The result backend: it is asked how an unknown task ended.
            Celery(backend=f"{url}/1").backend.store_result("known-there", 42, "SUCCESS")
            ask(client, "subscribe", operation_id="known-there")
            assert until(client, "result")["data"]["result"] == 42
    finally:
        serving.terminate()
        serving.wait(60)
    assert PASSWORD not in output.read_text()


def ask(client, command, **fields):
    client.send(json.dumps({"command": command, **fields}))


def until(client, kind):
    while (frame := json.loads(client.recv(timeout=60)))["event_type"] != kind:
        pass
    return frame
