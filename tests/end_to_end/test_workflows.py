"""Every shape of a canvas, on both brokers: whoever watches the held id sees one bar and one end.

The tasks run on a real worker, and the result backend says what the end must be. Who watches from
the beginning, who comes late, and who asks another sidecar see the same.
"""

from __future__ import annotations

import json
import threading

import pytest
from celery.result import AsyncResult, GroupResult
from support.conditions import eventually
from support.projects import load_project
from support.sidecars import PATIENT, SidecarProcess, SidecarThread
from support.wire_document import connect
from support.workers import Worker
from websockets.exceptions import ConnectionClosed

from celery_wsprogress.brokers import BrokerAddress

TASKS = {
    "chain": 3, "group": 2, "chord": 3, "group of one": 1, "task, group": 3,
    "task, group, task": 4, "group of chains": 6, "group of groups": 3,
    "group of a chain that ends in a group": 3, "chord of chains": 5, "chord, chord": 7,
    "chord in a chord": 5, "chord in a chain in a chord": 6,
    "chord with a group as its body": 4, "empty chord": 2, "map": 2, "map of a followed task": 2,
    "chunks": 3, "retry": 4, "retry in a chord": 3, "plain replacement in a chain": 3,
    "replacement in a chain": 5, "replacement in a chord": 5, "canvas of a task": 6,
    "replaced again and again": 9, "redelivered in a chain": 3, "redelivered in a header": 3,
}  # fmt: skip
"""The number of tasks of each shape, with those that its tasks start or are replaced by."""

FAILING = {
    "failure in a chain": 3, "failure in a group": 3, "failure in a header": 3,
    "failure in a body": 3, "failure in a chain of a group": 3,
    "failure in a chord in a chain": 5,
}  # fmt: skip


# The project is loaded again for the second broker.
pytestmark = pytest.mark.filterwarnings("ignore:Task name")


@pytest.fixture(scope="module", params=["redis_server", "rabbitmq_server"])
def broker(request):
    return request.getfixturevalue(request.param).url


@pytest.fixture(scope="module")
def project(broker, redis_server):
    """The project ``canvases``, for callers."""
    return load_project("canvases", broker, redis_server.url)


@pytest.fixture(scope="module")
def worker(broker, redis_server, project):
    # Celery's worker wants to hear twice that root may read pickles.
    accepts = {"ACCEPTS": "json pickle", "C_FORCE_ROOT": "1"}
    with Worker(
        "canvases", broker=broker, backend=redis_server.url, concurrency=4, environment=accepts
    ) as worker:
        yield worker


@pytest.fixture(scope="module")
def sidecar(broker):
    with SidecarThread(BrokerAddress(broker), **PATIENT) as sidecar:
        yield sidecar


class Watcher:
    """Watches a workflow by the id that its caller holds."""

    def __init__(self, url, workflow_id, **options):
        self._connection = connect(url)
        self._command = {"command": "subscribe", "workflow_id": workflow_id, **options}
        self.frames = []
        self._thread = threading.Thread(target=self._read)

    def _read(self):
        try:
            for text in self._websocket:
                self.frames.append(json.loads(text))
        except ConnectionClosed:
            return

    @property
    def events(self):
        return [one for one in list(self.frames) if "event_id" in one]

    @property
    def ends(self):
        return [one for one in self.events if one["event_type"] in {"completed", "error"}]

    def wait(self):
        eventually(lambda: self.ends, 120, what="an end")

    def __enter__(self):
        self._websocket = self._connection.__enter__()
        self._websocket.recv()
        self._websocket.send(json.dumps(self._command))
        self._thread.start()
        return self

    def __exit__(self, *exc_info):
        self._connection.__exit__(*exc_info)
        self._thread.join(60)


def ask(url, command, **fields):
    with connect(url) as websocket:
        websocket.recv()
        websocket.send(json.dumps({"command": command, **fields}))
        return json.loads(websocket.recv())


def outcome(result):
    """What Celery says of the held id, once it is over."""
    if isinstance(result, GroupResult):
        eventually(result.ready, 120, what="all members")
        return "completed" if result.successful() else "error"
    eventually(lambda: AsyncResult(result.id, app=result.app).ready(), 120, what="a result")
    return {"SUCCESS": "completed", "FAILURE": "error"}[result.state]


def check_bar(events):
    """The bar does not go back, but where the workflow has grown."""
    before, total = 0.0, 0
    for event in events:
        data = event["data"]
        grown = data.get("details", {}).get("total", total) > total
        total = max(total, data.get("details", {}).get("total", 0))
        if event["event_type"] == "progress":
            assert data["progress"] >= before or grown
            before = data["progress"]


@pytest.mark.parametrize("shape", [*TASKS, *FAILING])
def test_each_shape_is_one_bar_with_one_end(project, worker, sidecar, shape):
    result = project.CANVASES[shape]().apply_async()
    with Watcher(sidecar.url, result.id) as early:
        expected = outcome(result)
        assert expected == ("error" if shape in FAILING else "completed")
        early.wait()
        check_bar(early.events)
    with Watcher(sidecar.url, result.id) as late:
        late.wait()
    for watcher in (early, late):
        assert [one["event_type"] for one in watcher.ends] == [expected]
        assert watcher.events[-1] == watcher.ends[0]
    assert early.ends == late.ends
    if expected == "completed":
        eventually(lambda: completed_tasks(sidecar, result.id) == TASKS[shape], what="all tasks")
    snapshot = ask(sidecar.url, "get_operation", workflow_id=result.id)["operation"]
    assert snapshot["state"] == expected
    details = snapshot["details"]
    assert details["total"] == (TASKS | FAILING)[shape]
    if expected == "completed":
        assert snapshot["progress"] == 1.0
    else:
        assert details["failed"] == 1
        assert early.ends[0]["data"]["error"] == "a step broke"
        held = ask(sidecar.url, "get_operation", operation_id=result.id)["operation"]
        if not isinstance(result, GroupResult):
            assert held["state"] == "error"


def test_a_canvas_is_followed_in_another_format_of_messages(project, worker, sidecar):
    canvas = project.CANVASES["chord of chains"]()
    for task in canvas.tasks:
        for one in getattr(task, "tasks", [task]):
            one.set(serializer="pickle")
    result = canvas.apply_async(serializer="pickle")
    with Watcher(sidecar.url, result.id) as watcher:
        watcher.wait()
    assert outcome(result) == watcher.ends[0]["event_type"] == "completed"
    eventually(lambda: completed_tasks(sidecar, result.id) == 5, what="all tasks")


def completed_tasks(sidecar, workflow_id):
    """Celery sends the body of a chord, and what a task has started, while that still ends."""
    snapshot = ask(sidecar.url, "get_operation", workflow_id=workflow_id)["operation"]
    return snapshot["details"]["completed"]


LEFT_BEHIND = {
    "killed in a chain": ("error", "WorkerLostError", 1),
    "killed in a header": ("error", "WorkerLostError", 1),
    "killed in a chain of a header": ("error", "WorkerLostError", 1),
    "time limit in a header": ("error", "TimeLimitExceeded", 1),
    "expired in a chain": ("cancelled", "TaskRevokedError", 1),
    "Ignore in a chain": ("cancelled", "Ignore", 1),
    "unknown in a chain": ("error", "NotRegistered", 1),
    "failure of what is added to a header": ("error", None, 1),
}
"""How the workflow ends whose held task never runs, with which error, and its failed tasks."""


@pytest.mark.parametrize("shape", LEFT_BEHIND)
def test_what_a_task_leaves_behind_ends(project, worker, sidecar, shape):
    """Whoever watches the id of the task that the caller holds sees an end as well."""
    result = project.CANVASES[shape]().apply_async()
    with Watcher(sidecar.url, result.id) as watcher:
        watcher.wait()
        check_bar(watcher.events)

    def held():
        found = ask(sidecar.url, "get_operation", operation_id=result.id)["operation"]
        return found and found["state"] in {"error", "cancelled"}

    eventually(held, what="an end of the task that the caller holds")
    state, error_type, failed = LEFT_BEHIND[shape]
    assert len(watcher.ends) == 1
    assert watcher.ends[0]["data"]["status"] == state
    assert watcher.ends[0]["data"]["error_type"] == error_type or error_type is None

    def numbers():
        shown = ask(sidecar.url, "get_operation", workflow_id=result.id)["operation"]
        return (shown["state"], shown["details"]["failed"]) == (state, failed)

    # The end of the body may be read before that of the task which has failed.
    eventually(numbers, what="the failed tasks")


def test_a_workflow_that_is_sent_again_with_its_id_begins_anew(project, worker, sidecar):
    def shown():
        return ask(sidecar.url, "get_operation", workflow_id="nightly")["operation"]

    def waits():
        found = shown()
        return found and (found["state"], found["details"]["completed"]) == ("running", 1)

    for times in (1, 2):
        project.app.backend.client.delete("go-on-nightly")
        result = project.CANVASES["waiting"]().apply_async(task_id="nightly")
        assert result.id == "nightly"
        eventually(waits, what="the plan, and a step that waits")
        project.go_on("nightly")

        def has_run(times=times):
            history = ask(sidecar.url, "get_history", workflow_id="nightly")["events"]
            return sum(one["event_type"] == "completed" for one in history) == times

        eventually(has_run, what=f"{times} ends")
    assert (shown()["state"], shown()["details"]["completed"]) == ("completed", 3)


def test_a_task_by_itself_is_a_workflow_of_one_step(project, worker, sidecar):
    result = project.followed.delay()
    with Watcher(sidecar.url, result.id) as watcher:
        watcher.wait()
    assert [one["event_type"] for one in watcher.ends] == ["completed"]
    [node] = ask(sidecar.url, "get_tree", workflow_id=result.id)["nodes"]
    assert node["operation_id"] == result.id


def test_a_workflow_goes_on_while_its_sidecar_is_killed(project, worker, broker, sidecar):
    """A client that comes back, or goes to another sidecar, sees the same events once."""
    with SidecarProcess(broker) as killed:
        result = project.CANVASES["waiting"]().apply_async()
        with Watcher(killed.url, result.id) as first:
            eventually(lambda: any(one["event_type"] == "progress" for one in first.events))
            killed.kill()
        since = first.events[-1]["event_id"]
        project.go_on(result.id)
        killed.start()
        with Watcher(killed.url, result.id, since=since) as again:
            again.wait()
        with Watcher(sidecar.url, result.id, since=since) as elsewhere:
            elsewhere.wait()
        for url, watcher in ((killed.url, again), (sidecar.url, elsewhere)):
            assert watcher.frames[0]["recovered"], ask(url, "get_stats")["stats"]
        assert not {one["event_id"] for one in first.events} & {
            one["event_id"] for one in again.events
        }
        assert again.ends == elsewhere.ends
        check_bar([*first.events, *again.events])
        histories = [
            ask(url, "get_history", workflow_id=result.id)["events"]
            for url in (killed.url, sidecar.url)
        ]
        statuses = [
            [one["event_id"] for one in history if one["event_type"] != "progress"]
            for history in histories
        ]
        assert statuses[0] == statuses[1]


POOLS = {
    "prefork, a process for each task": ("prefork", "--max-tasks-per-child=1"),
    "prefork, autoscale": ("prefork", "--autoscale=3,1"),
    "threads": ("threads",),
    "gevent": ("gevent",),
    "eventlet": ("eventlet",),
    "solo": ("solo",),
}


@pytest.mark.parametrize("name", POOLS)
def test_canvases_are_followed_in_every_pool(redis_server, name):
    pool, *options = POOLS[name]
    url = redis_server.url
    project = load_project("canvases", url, url)
    queue = name.replace(", ", "-")
    arguments = (*options, "--queues", queue)
    with (
        SidecarThread(BrokerAddress(url), **PATIENT) as sidecar,
        Worker("canvases", broker=url, backend=url, pool=pool, options=arguments,
               environment={"DEFAULT_QUEUE": queue}),
    ):  # fmt: skip
        project.app.conf.task_default_queue = queue
        for shape in ("chord, chord", "replacement in a chain", "failure in a chord in a chain"):
            result = project.CANVASES[shape]().apply_async()
            with Watcher(sidecar.url, result.id) as watcher:
                watcher.wait()
                assert outcome(result) == watcher.ends[0]["event_type"]
                check_bar(watcher.events)
            assert len(watcher.ends) == 1
