"""Attempts and waiting, on both brokers: what a watcher is told is what the result backend says.

One worker and one sidecar on each broker, for all tests of the module.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from typing import TYPE_CHECKING, NamedTuple
from urllib.request import urlopen

import celery
import pytest
from celery import Celery
from support.conditions import eventually
from support.event_log import LogReader
from support.sidecars import SidecarThread
from support.wire_document import connect
from support.workers import Worker
from websockets.exceptions import ConnectionClosed

from celery_wsprogress import StreamingTask
from celery_wsprogress.brokers import BrokerAddress
from celery_wsprogress.protocol.events import BEFORE_START

if TYPE_CHECKING:
    from celery.result import AsyncResult

QUEUE = "attempts"
TASKS = (
    "life.add", "life.hard_limited", "life.ignores", "life.kills_itself_once", "life.rejects",
    "life.rejects_once", "life.sleeps", "life.soft_limited", "ends.gives_up",
    "attempts.asks_for_more", "attempts.backs_off",
)  # fmt: skip


class Watched(NamedTuple):
    """A task that was sent, and what was told of it."""

    result: AsyncResult
    frames: list[dict]
    address: str

    def words(self):
        """What was told, in a word each, but for progress, and what comes before the start."""
        words = [
            frame["data"]["status"] if frame["event_type"] == "status" else frame["event_type"]
            for frame in self.frames
        ]
        return [word for word in words if word not in BEFORE_START | {"progress"}]

    def said(self, word):
        """The data of each status of this word."""
        return [
            frame["data"] | {"timestamp": frame["timestamp"], "run": frame.get("run")}
            for frame in list(self.frames)
            if frame["event_type"] == "status" and frame["data"]["status"] == word
        ]

    def wait_for(self, word):
        eventually(lambda: self.said(word), what=word)

    def wait_until_held(self):
        """Wait until the worker holds the message before its time; return what it said."""
        # The word of the caller comes before that, or too late to be told.
        return eventually(
            lambda: next((said for said in self.said("scheduled") if "worker" in said), None),
            what="scheduled",
        )

    def snapshot(self):
        with urlopen(f"{self.address}/operations/{self.result.id}", timeout=30) as answer:
            return json.load(answer)["operation"]

    def ends(self, state, backend, times=1):
        """Wait for its end; it is this one for watchers, in the snapshot and in the backend."""
        eventually(lambda: len(self._ends()) >= times, what=f"{state} of {self.result.id}")
        eventually(lambda: self.result.state == backend, what=f"{backend}: {self.words()}")
        assert [how for how, _ in self._ends()] == [state] * times, self.words()
        shown = self.snapshot()
        assert shown["state"] == state
        assert (shown["starts_at"], shown["expires_at"]) == (None, None)
        return self._ends()[-1][1]

    def _ends(self):
        found = [frame for frame in self.frames if frame["event_type"] in {"completed", "error"}]
        return [
            (frame["data"].get("status", frame["event_type"]), frame["data"]) for frame in found
        ]


class Stack:
    """A worker, a sidecar and who watches everything, on one broker."""

    def __init__(self, app, sidecar, websocket):
        self.app = app
        self._address = sidecar.http
        self._websocket = websocket
        self._frames: dict[str, list[dict]] = {}
        websocket.recv()
        websocket.send(json.dumps({"command": "subscribe", "operation_id": "*"}))
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self):
        try:
            for text in self._websocket:
                frame = json.loads(text)
                self._frames.setdefault(frame.get("operation_id"), []).append(frame)
        except ConnectionClosed:
            return

    def close(self):
        self._websocket.close()
        self._thread.join(60)

    def send(self, name, *args, **options):
        result = self.app.tasks[name].apply_async(args, **options)
        return Watched(result, self._frames.setdefault(result.id, []), self._address)


def unknown_here(*_args, **_kwargs):
    """What the caller has of a task: a name."""


def caller(broker, backend, queue):
    """An application that knows all tasks by name only."""
    app = Celery("caller", broker=broker, backend=backend, set_as_current=False)
    app.conf.task_default_queue = queue
    for name in TASKS:
        app.task(base=StreamingTask, name=name, typing=False, shared=False)(unknown_here)
    return app


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("redis_server", id="redis", marks=pytest.mark.redis),
        pytest.param("rabbitmq_server", id="rabbitmq", marks=pytest.mark.rabbitmq),
    ],
)
def stack(request, redis_server):
    url, backend = request.getfixturevalue(request.param).url, redis_server.url
    app = caller(url, backend, QUEUE)
    with (
        # Runs are not lost sooner: they are given three of their worker's heartbeats.
        SidecarThread(BrokerAddress(url), lost_after=3.0) as sidecar,
        Worker("attempts", broker=url, backend=backend, concurrency=3, options=("-Q", QUEUE)),
        connect(sidecar.url, compression=None) as websocket,
    ):
        made = Stack(app, sidecar, websocket)
        try:
            yield made
        finally:
            made.close()


def test_a_countdown(stack):
    before = time.time()
    task = stack.send("life.add", 1, 2, countdown=2)
    after = time.time()
    held = task.wait_until_held()
    for said in task.said("scheduled"):
        assert before + 2 <= said["starts_at"] == held["starts_at"] <= after + 2
    [begun] = eventually(lambda: task.said("started"))
    assert begun["timestamp"] >= held["starts_at"] - 0.1
    task.ends("completed", "SUCCESS")
    assert task.words() == ["started", "result", "completed"]


def test_one_that_waits_is_shown_so(stack):
    task = stack.send("life.add", 1, 2, countdown=600, expires=900)
    said, shown = task.wait_until_held(), task.snapshot()
    assert shown["state"] == shown["status"] == "scheduled"
    assert (shown["starts_at"], shown["expires_at"]) == (said["starts_at"], said["expires_at"])
    assert shown["expires_at"] - shown["starts_at"] == pytest.approx(300, abs=1)
    assert shown["worker"] == said["worker"]
    with urlopen(f"{task.address}/operations?state=scheduled", timeout=30) as answer:
        assert task.result.id in [one["operation_id"] for one in json.load(answer)["operations"]]
    task.result.revoke()
    if celery.VERSION >= (5, 7):
        task.ends("cancelled", "REVOKED")


def test_autoretry_for_with_backoff(stack):
    task = stack.send("attempts.backs_off")
    end = task.ends("completed", "SUCCESS")
    assert task.words() == [
        "started", "retrying", "started", "retrying", "started", "result", "completed",
    ]  # fmt: skip
    for attempt, said in enumerate(task.said("retrying"), 1):
        assert (said["attempt"], said["max_attempts"], said["retry_in"]) == (attempt, 4, 1)
        assert 0 < said["starts_at"] - said["timestamp"] <= 1
        assert said["message"] == "ConnectionError: no route"
    assert end["attempt"] == task.snapshot()["attempt"] == 3
    assert task.result.get() == "third"


def test_a_task_that_waits_for_its_next_attempt_is_where_it_was(stack):
    task = stack.send("attempts.backs_off")
    frames = eventually(lambda: task.said("retrying") and list(task.frames))
    place = next(n for n, frame in enumerate(frames) if frame["data"].get("status") == "retrying")
    assert frames[place - 1]["data"]["progress"] == 0.5
    # Nothing comes between that and the next start.
    eventually(lambda: len(task.said("started")) >= 2)
    assert task.frames[place + 1]["data"]["status"] == "started"
    task.ends("completed", "SUCCESS")


def test_max_retries_exceeded(stack):
    task = stack.send("ends.gives_up", kwargs={"cause": True})
    end = task.ends("error", "FAILURE")
    assert task.words() == ["started", "retrying", "started", "error"]
    [said] = task.said("retrying")
    assert (said["attempt"], said["max_attempts"]) == (1, 2)
    assert (end["error"], end["error_type"], end["attempt"]) == (
        "the last straw", "ValueError", 2,
    )  # fmt: skip


def test_more_attempts_than_the_default(stack):
    task = stack.send("attempts.asks_for_more")
    task.ends("completed", "SUCCESS")
    assert [said["max_attempts"] for said in task.said("retrying")] == [8]


def test_reject_without_requeue(stack):
    task = stack.send("life.rejects")
    end = task.ends("error", "FAILURE")
    assert end["error_type"] == "Reject"


def test_reject_with_requeue(stack):
    task = stack.send("life.rejects_once", uuid.uuid4().hex)
    end = task.ends("completed", "SUCCESS")
    assert task.words()[:3] == ["started", "retrying", "started"]
    [said] = task.said("retrying")
    # The same attempt, at once.
    assert not {"starts_at", "retry_in", "max_attempts"} & said.keys()
    assert said["attempt"] == end["attempt"] == 1


def test_ignore(stack):
    task = stack.send("life.ignores")
    end = task.ends("completed", "PENDING")
    assert end["ignored"] is True
    assert task.snapshot()["ignored"] is True


def test_one_that_expires_while_it_waits_for_its_time(stack):
    task = stack.send("life.add", 1, 2, countdown=2, expires=1)
    end = task.ends("cancelled", "REVOKED")
    assert end["error"] == "the task expired before it could start"
    assert task.words() == ["error"]
    for said in task.said("scheduled"):
        assert said["starts_at"] - said["expires_at"] == pytest.approx(1, abs=0.1)


def test_one_that_expires_in_a_queue_of_which_no_worker_takes(stack):
    """RabbitMQ deletes it, so nobody stores an outcome; Redis keeps it, until a worker comes."""
    task = stack.send("life.add", 1, 2, queue="nobody", expires=1)
    task.wait_for("queued")
    end = task.ends("cancelled", "PENDING")
    assert end["error"] == "the task expired before it could start"
    assert task.words() == ["error"]


def test_soft_time_limit(stack):
    end = stack.send("life.soft_limited").ends("error", "FAILURE")
    assert end["error_type"] == "SoftTimeLimitExceeded"


def test_hard_time_limit(stack):
    end = stack.send("life.hard_limited").ends("error", "FAILURE")
    assert end["error_type"] == "TimeLimitExceeded"


def test_a_message_that_is_acknowledged_late_is_delivered_again(stack, tmp_path):
    """Its process dies. ``test_redelivery`` has the death of a whole worker."""
    gate = tmp_path / "gate"
    task = stack.send("life.kills_itself_once", uuid.uuid4().hex, str(gate))
    task.wait_for("started")
    gate.touch()
    task.ends("completed", "SUCCESS")
    assert task.words().count("started") == 2
    assert task.words()[-1] == "completed"


@pytest.mark.skipif(celery.VERSION < (5, 7), reason="Celery stores it only when its turn comes")
def test_revoked_before_the_start(stack):
    task = stack.send("life.add", 1, 2, countdown=600)
    task.wait_until_held()
    task.result.revoke()
    task.ends("cancelled", "REVOKED")
    assert task.words() == ["error"]


def test_revoked_while_it_runs(stack):
    task = stack.send("life.sleeps")
    task.wait_for("started")
    eventually(lambda: "log" in task.words())
    task.result.revoke(terminate=True)
    task.ends("cancelled", "REVOKED")


def test_revoked_by_a_stamped_header(stack):
    order = uuid.uuid4().hex
    task = stack.send("life.sleeps", order=order, stamped_headers=["order"])
    eventually(lambda: "log" in task.words())
    how = {"terminate": True, "reply": True, "timeout": 60, "limit": 1}

    def is_terminated():
        replies = stack.app.control.revoke_by_stamped_headers({"order": [order]}, **how)
        return "not terminated" not in str(replies)

    eventually(is_terminated, timeout=90)
    task.ends("cancelled", "REVOKED")


@pytest.mark.redis
def test_redis_delivers_what_waits_for_its_time_a_second_time(redis_server):
    """After the visibility timeout, while its worker holds it; each delivery runs at its time."""
    url, queue = redis_server.url, "twice"
    app = caller(url, url, queue)
    environment = {"VISIBILITY_TIMEOUT": "1"}
    with (
        SidecarThread(BrokerAddress(url), lost_after=60.0) as sidecar,
        Worker("life", broker=url, backend=url, options=("-Q", queue), environment=environment),
        connect(sidecar.url, compression=None) as websocket,
    ):
        stack = Stack(app, sidecar, websocket)
        try:
            task = stack.send("life.add", 1, 2, countdown=5)
            held = task.wait_until_held()
            log, runs = LogReader(url), set()

            def is_delivered_again():
                runs.update(event.run for event in log.events(task.result.id) if event.run)
                return len(runs) > 1

            eventually(is_delivered_again)
            # The second receipt waits beside the first, and changes nothing that is shown.
            shown = task.snapshot()
            assert (shown["state"], shown["run"]) == ("scheduled", held["run"])
            assert shown["starts_at"] == held["starts_at"]
            eventually(lambda: task.result.state == "SUCCESS")
            eventually(lambda: task.snapshot()["state"] == "completed")
            assert set(task.words()) == {"started", "result", "completed"}
        finally:
            stack.close()


def test_the_same_id_sent_twice(stack):
    """Each run ends for watchers; what is shown is what the backend has."""
    task_id = str(uuid.uuid4())
    task = stack.send("life.add", 1, 2, task_id=task_id)
    task.ends("completed", "SUCCESS")
    stack.send("life.add", 1, 2, task_id=task_id)
    task.ends("completed", "SUCCESS", times=2)
    assert task.words() == ["started", "result", "completed"] * 2


def test_the_same_id_sent_twice_and_one_waits_for_its_time(stack):
    task_id = str(uuid.uuid4())
    task = stack.send("life.add", 1, 2, task_id=task_id, countdown=600)
    task.wait_until_held()
    stack.send("life.add", 3, 4, task_id=task_id)
    task.ends("completed", "SUCCESS")
    # The end that is there stays, as it does in the backend.
    task.result.revoke()
    last = stack.send("life.add", 1, 1)
    last.ends("completed", "SUCCESS")
    task.ends("completed", "SUCCESS")
