"""What each way to run a worker can do: the rows of a table in the documentation, each tried."""

from __future__ import annotations

import gc
import importlib
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from celery import chain, chord, group
from support.conditions import eventually
from support.sidecars import PATIENT, SidecarThread
from support.wire_document import connect
from support.workers import PROJECTS, Worker

from celery_wsprogress.brokers import BrokerAddress

GUIDE = Path(__file__).parents[2] / "docs" / "howto" / "cancel.md"


class Row(NamedTuple):
    """A way to run a worker, and what works with it."""

    name: str
    pool: str
    options: tuple[str, ...] = ()
    terminate: bool = True

    @property
    def cells(self):
        return [self.name, "yes", "yes", "yes", "yes" if self.terminate else "no"]


ROWS = [
    Row("prefork", "prefork"),
    Row("prefork, `--max-tasks-per-child=1`", "prefork", ("--max-tasks-per-child=1",)),
    Row("prefork, `--autoscale=3,1`", "prefork", ("--autoscale=3,1",)),
    Row("prefork, by `celery multi`", "multi"),
    Row("gevent", "gevent"),
    Row("eventlet", "eventlet"),
    Row("threads", "threads", terminate=False),
    Row("solo", "solo", terminate=False),
]
EAGER = ["eager", "each task by itself", "yes", "no", "no"]


class Watcher:
    """A client that watches one operation and may cancel it."""

    def __init__(self, websocket, operation_id):
        self._websocket = websocket
        self._operation_id = operation_id
        self._frames = []
        self.features = json.loads(websocket.recv())["data"]["features"]
        assert self.ask("subscribe")["status"] == "subscribed"

    def ask(self, command, **fields):
        command = {"command": command, "operation_id": self._operation_id, **fields}
        self._websocket.send(json.dumps(command))
        while (frame := json.loads(self._websocket.recv(90)))["event_type"] != "reply":
            self._frames.append(frame)
        return frame

    def until(self, *words):
        """The data of the first event with such a status, or of such a type."""
        while True:
            for frame in self._frames:
                if {frame["event_type"], frame["data"].get("status")} & set(words):
                    return frame["data"]
            self._frames.append(json.loads(self._websocket.recv(90)))


@contextmanager
def watching(sidecar, operation_id):
    with connect(sidecar.url, compression=None, ping_interval=None) as websocket:
        yield Watcher(websocket, operation_id)


@contextmanager
def multi(url, folder):
    """A worker in the background, as ``celery multi`` starts it; its folder has its log."""
    environment = {
        **os.environ, "BROKER_URL": url, "RESULT_BACKEND": url, "TMPDIR": str(folder),
        "PYTHONPATH": os.pathsep.join((str(PROJECTS), str(PROJECTS.parents[1]))),
    }  # fmt: skip

    def celery_multi(command, *options):
        files = (f"--pidfile={folder}/%n.pid", f"--logfile={folder}/%n.log")
        subprocess.run(
            [sys.executable, "-m", "celery", "-A", "pools", "multi", command, "one", *files,
             *options],
            cwd=folder, env=environment, check=True,
        )  # fmt: skip

    celery_multi("start", "--loglevel=INFO", "--concurrency=2", "--without-mingle")
    log = folder / "one.log"
    try:
        eventually(lambda: log.exists() and " ready." in log.read_text(), 120, what="a worker")
        yield
    finally:
        celery_multi("stopwait")


def worker_of(row, url, folder):
    if row.pool == "multi":
        return multi(url, folder)
    return Worker("pools", broker=url, backend=url, pool=row.pool, options=row.options)


@pytest.fixture
def sidecar(redis_url):
    with SidecarThread(BrokerAddress(redis_url), allow_cancel=True, **PATIENT) as sidecar:
        yield sidecar


@pytest.fixture
def project(redis_url, monkeypatch):
    """The project ``pools``, for callers."""
    monkeypatch.setenv("BROKER_URL", redis_url)
    monkeypatch.setenv("RESULT_BACKEND", redis_url)
    yield importlib.reload(importlib.import_module("pools"))
    # Results say goodbye to their server when they go: while it is there.
    gc.collect()


# It is loaded again for each test.
pytestmark = pytest.mark.filterwarnings("ignore:Task name")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_pool_does_what_the_table_says(redis_url, sidecar, project, tmp_path, row):
    with worker_of(row, redis_url, tmp_path):
        canvas = chain(
            project.reports.si(), chord([project.reports.si()] * 2, project.reports.si())
        )
        with watching(sidecar, f"workflow:{canvas.apply_async().id}") as bar:
            assert bar.until("completed", "error")["status"] == "completed"
            assert bar.ask("get_operation")["operation"]["details"]["total"] == 4
        with watching(sidecar, project.reports.delay().id) as reported:
            assert reported.until("progress")["message"] == "half"
        with watching(sidecar, project.looks.delay().id) as asked:
            asked.until("log")
            assert asked.ask("cancel")["status"] == "accepted"
            assert asked.until("completed", "error")["status"] == "cancelled"
        end = tmp_path / "end"
        with watching(sidecar, project.never_looks.delay(str(end)).id) as ended:
            ended.until("log")
            assert ended.ask("cancel", terminate=True)["status"] == "accepted"
            if not row.terminate:
                ended.until("cancelling")
                end.touch()
            told = ended.until("completed", "error")["status"]
            assert told == ("cancelled" if row.terminate else "completed")


def test_what_is_eager_does_what_the_table_says(sidecar, project):
    project.app.conf.update(task_always_eager=True, wsprogress_eager=True)
    held = group(project.reports.si(), project.reports.si()).apply_async()
    for one in held:
        with watching(sidecar, one.id) as reported:
            assert reported.until("progress")["message"] == "half"
            reported.until("completed")
    with watching(sidecar, f"workflow:{held.id}") as bar:
        assert bar.ask("get_operation")["operation"] is None
    assert project.cancels_itself.delay().get() is False


def test_the_table_has_the_rows_that_are_tried():
    _, _, table = GUIDE.read_text().partition("\n| worker |")
    lines = table.partition("\n\n")[0].splitlines()[2:]
    found = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]
    assert found == [*(row.cells for row in ROWS), EAGER]
