"""Web servers that fork: what each of their processes says arrives, whoever forked it and when."""

from __future__ import annotations

import os
import signal
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
UWSGI = (str(BIN / "uwsgi"), "--virtualenv", sys.prefix, "--die-on-term", "--wsgi", "web")
GUNICORN = (str(BIN / "gunicorn"), "web:application", "--workers", "2")

SERVERS = {
    "gunicorn": [*GUNICORN, "--bind", "127.0.0.1:{port}"],
    "gunicorn --preload": [*GUNICORN, "--preload", "--bind", "127.0.0.1:{port}"],
    "uwsgi": [*UWSGI, "--http-socket", "127.0.0.1:{port}", "--master", "--processes", "2"],
    "uwsgi with threads": [
        *UWSGI,
        *("--http-socket", "127.0.0.1:{port}", "--master"),
        *("--processes", "2", "--threads", "4"),
    ],
}


class WebServer:
    """A server of the project ``web``."""

    def __init__(self, command, broker):
        self.port = free_port()
        self.output = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the server
        self.process = subprocess.Popen(
            [word.format(port=self.port) for word in command],
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

    def stop(self):
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
            assert set(expected) <= set(log.watched(one)), (one, server.log)
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
