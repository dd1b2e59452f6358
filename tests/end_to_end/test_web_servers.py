"""Web servers that fork: what each of their processes says arrives, whoever forked it and when."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

import pytest
from support.conditions import eventually
from support.event_log import LogReader, end_of
from support.ports import free_port

PROJECTS = Path(__file__).parents[1] / "projects"
BIN = Path(sys.executable).parent
UWSGI = (
    *(str(BIN / "uwsgi"), "--virtualenv", sys.prefix, "--die-on-term", "--wsgi", "web"),
    *("--http-socket", "127.0.0.1:{port}", "--stats", "127.0.0.1:{stats}"),
    *("--master", "--processes", "2"),
)
GUNICORN = (str(BIN / "gunicorn"), "web:application", "--workers", "2")

SERVERS = {
    "gunicorn": [*GUNICORN, "--bind", "127.0.0.1:{port}"],
    "gunicorn --preload": [*GUNICORN, "--preload", "--bind", "127.0.0.1:{port}"],
    "uwsgi": [*UWSGI],
    "uwsgi with threads": [*UWSGI, "--threads", "4"],
}


class WebServer:
    """A server of the project ``web``."""

    def __init__(self, command, broker):
        self.port, self._stats = free_port(), free_port()
        self._tells_stats = "--stats" in command
        self.output = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the server
        self.process = subprocess.Popen(
            [word.format(port=self.port, stats=self._stats) for word in command],
            cwd=PROJECTS,
            env={**os.environ, "BROKER_URL": broker, "PYTHONPATH": str(PROJECTS.parents[1])},
            stdout=self.output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)
        self.output.close()

    @property
    def log(self):
        self.output.seek(0)
        return self.output.read()

    def get(self, path):
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/{path}", timeout=30) as response:
                return response.read()
        except (ConnectionError, HTTPException):
            return b""
        except OSError:
            assert self.process.poll() is None, self.log
            return b""

    def is_idle(self):
        """Whether no worker has a request any more, as far as the server tells that."""
        if not self._tells_stats:
            return True
        with socket.create_connection(("127.0.0.1", self._stats), timeout=30) as told:
            stats = json.loads(told.makefile().read())
        return all(worker["status"] == "idle" for worker in stats["workers"])

    def stop(self):
        # uWSGI calls no exit hook of a worker that is still busy with a request, also when the
        # client has its response (plugins/python/python_plugin.c, uwsgi_python_atexit).
        eventually(self.is_idle, what="idle workers")
        self.process.terminate()
        return self.process.wait(60)


@pytest.mark.parametrize("name", SERVERS)
def test_every_process_says_all_it_has_to_say(name, redis_url):
    log = LogReader(redis_url)
    with WebServer(SERVERS[name], redis_url) as server:
        eventually(lambda: server.get("ready/x"), what=f"an answer of {name}")
        names = [(what, f"{what}-{n}") for n in range(12) for what in ("operation", "task")]
        with ThreadPoolExecutor(6) as threads:
            processes = set(threads.map(lambda one: server.get("/".join(one)), names))
            nightly = threads.map(lambda _: server.get("operation/nightly"), range(12))
            processes.update(nightly)
        assert b"" not in processes
        server.stop()
        for what, one in [*names, ("task", "at import"), ("operation", "operation at import")]:
            expected = ["queued"] if what == "task" else ["started", "completed"]
            if not set(expected) <= set(log.watched(one)):
                # Whole: pytest would shorten it.
                pytest.fail(f"{one}: {log.watched(one)}\n{server.log}")
        # Each of them is a run of its own, as they are of several processes.
        runs = log.runs("nightly")
        assert len(runs) == 12
        assert "Task events" not in server.log
        assert "not delivered" not in server.log


def test_a_request_that_takes_too_long_was_told_to_stop(redis_url):
    command = [*SERVERS["gunicorn"], "--timeout", "2"]
    with WebServer(command, redis_url) as server:
        eventually(lambda: server.get("ready/x"))
        with ThreadPoolExecutor(1) as threads:
            threads.submit(server.get, "slow/request")
            end = end_of(LogReader(redis_url).wait_for_end("request"))
    assert (end.status, end.error_type) == ("cancelled", "SystemExit")
    assert end.error == "its process was told to stop (exit code 1)"
