"""Every way to end, in every pool, on both brokers: what a watcher is told is what Celery says.

The table says what is told at the end of each way, and what the result backend says when it is
told. Both are asked for at that moment, through a real sidecar.
"""

from __future__ import annotations

import functools
import json
import signal
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil
import pytest
from celery import Celery, group
from support.conditions import eventually
from support.sidecars import SidecarThread
from support.wire_document import connect
from support.workers import Worker
from websockets.exceptions import ConnectionClosed

from celery_wsprogress import StreamingTask
from celery_wsprogress.brokers import BrokerAddress

if TYPE_CHECKING:
    from collections.abc import Callable

POOLS = ("prefork", "threads", "solo", "gevent", "eventlet")
PROCESSES = ("prefork",)
GREENLETS = ("gevent",)
SHARED = ("threads", "gevent", "eventlet")

#: Ways of one turn run at once, and those of the next one when these have ended. Two workers have
#: two turns each: a pool process that survived a signal counts as terminated whenever it dies
#: (billiard/pool.py, ``terminate_job``), and what one is given at its end is lost to Celery.
ALIVE, STOPPED, LOST, KILLED = range(4)
WORKERS = ((ALIVE, STOPPED), (LOST, KILLED))


class Way(NamedTuple):
    """A way to end, and what is to be heard of it."""

    name: str
    """As the documentation has it."""
    task: str
    told: str
    """The end that watchers are told: ``completed``, ``error`` or ``cancelled``."""
    backend: str
    """What ``AsyncResult.state`` says at that moment, and from then on."""
    send: Callable = lambda send: send()
    """Sends the task, with the arguments and options of the way."""
    then: Callable | None = None
    """What is done to it and its worker once it runs (or waits)."""
    pools: tuple[str, ...] = POOLS
    turn: int = ALIVE
    """Whether it leaves its process alive, ends with its worker, or takes its process with it: by
    itself, or by others."""


def once(send):
    return send(uuid.uuid4().hex)


def revoke(**how):
    return lambda result, _worker: result.revoke(**how)


def revoked_before(send):
    task_id = str(uuid.uuid4())
    # A worker takes tasks before it listens to commands.
    how = {"reply": True, "timeout": 5, "limit": 1}
    eventually(lambda: send.app.control.revoke(task_id, **how), timeout=90)
    return send(1, 2, task_id=task_id)


def stamped(send, *arguments, **options):
    """Sent with a header by which it can be revoked."""
    order = uuid.uuid4().hex
    result = send(*arguments, order=order, stamped_headers=["order"], **options)
    result.order = {"order": [order]}
    return result


def terminate_by_header(result, _worker):
    """Celery passes over what its main process does not know to run yet, and says so."""
    how = {"terminate": True, "reply": True, "timeout": 60, "limit": 1}

    def is_terminated():
        replies = result.app.control.revoke_by_stamped_headers(result.order, **how)
        return "not terminated" not in str(replies)

    eventually(is_terminated, timeout=90)


def revoke_late(result, _worker):
    result.get(timeout=90)
    result.revoke()


def revoke_by_header(result, _worker):
    result.app.control.revoke_by_stamped_headers(result.order)


def revoked_by_header_before(send):
    order = uuid.uuid4().hex
    how = {"reply": True, "timeout": 5, "limit": 1}
    revoke = send.app.control.revoke_by_stamped_headers
    eventually(lambda: revoke({"order": [order]}, **how), timeout=90)
    return send(1, 2, countdown=1, order=order, stamped_headers=["order"])


def one_of_group(send):
    """Sent as one of a group, which its result remembers."""
    task = send.app.tasks[send.name]
    found = group(task.s(1, 2), task.s(3, 4)).apply_async(countdown=600)
    found.results[0].group = found
    return found.results[0]


def message(body, content_type="application/json", **more):
    """A message that no worker can read."""

    def publish(send):
        task_id = str(uuid.uuid4())
        headers = {"task": send.name, "id": task_id, "lang": "py", "retries": 0, **more}
        headers["wsprogress"] = {"publication": "0" * 8}
        how = {"content_type": content_type, "content_encoding": "utf-8", "headers": headers}
        with send.app.producer_or_acquire() as producer:
            producer.publish(body, routing_key="celery", **how)
        return send.app.AsyncResult(task_id)

    return publish


def interrupt(_result, worker):
    """As with Ctrl-C: what runs is finished."""
    worker.process.send_signal(signal.SIGINT)


EXPIRES = "`expires` passes before it starts"
WAITS = "revoked while it waits for its `eta` or `countdown`"
GROUP_WAITS = "its group is revoked while it waits so"

WAYS = [
    # First, so that a worker has it in time: RabbitMQ drops what expires in its queue, silently.
    Way(EXPIRES, "life.add", "cancelled", "REVOKED",
        lambda send: send(1, 2, countdown=5, expires=4)),
    Way("returns", "life.add", "completed", "SUCCESS", lambda send: send(1, 2)),
    Way("returns more than is shown", "life.big_result", "completed", "SUCCESS"),
    Way("returns, with `stream_result=False`", "life.secret_result", "completed", "SUCCESS"),
    Way("returns, with `ignore_result`", "ends.forgets", "completed", "PENDING",
        lambda send: send(ignore_result=True)),
    Way("raises", "life.fails", "error", "FAILURE"),
    Way("raises, with `ignore_result`", "life.fails", "error", "PENDING",
        lambda send: send(ignore_result=True)),
    Way("raises, with `ignore_result` and `store_errors_even_if_ignored`", "ends.keeps_errors",
        "error", "FAILURE", lambda send: send(ignore_result=True)),
    Way("raises one of `throws`", "ends.throws", "error", "FAILURE"),
    Way("raises what cannot be pickled", "ends.raises", "error", "FAILURE",
        lambda send: send("unpicklable")),
    Way("raises what has no text", "ends.raises", "error", "FAILURE",
        lambda send: send("unsayable")),
    Way("raises, with `link_error`", "life.fails", "error", "FAILURE",
        lambda send: send(link_error=True)),
    Way("returns what cannot be stored", "ends.cannot_be_stored", "error", "FAILURE"),
    Way("`retry()`, then returns", "life.retries_once", "completed", "SUCCESS"),
    Way("`autoretry_for`, then returns", "life.autoretries_once", "completed", "SUCCESS"),
    Way("no tries left, with `exc`", "ends.gives_up", "error", "FAILURE",
        lambda send: send(cause=True)),
    Way("no tries left, without `exc`", "ends.gives_up", "error", "FAILURE",
        lambda send: send(cause=False)),
    Way("`Ignore`", "life.ignores", "completed", "PENDING"),
    Way("`Ignore` after it stored SUCCESS", "life.ignores_with_state", "completed", "SUCCESS"),
    Way("`Ignore` after it stored REVOKED", "life.ignores_with_state", "cancelled", "REVOKED",
        lambda send: send("REVOKED", None)),
    Way("`Ignore` after it stored a state of its own", "life.ignores_with_state", "completed",
        "HALF", lambda send: send("HALF")),
    # Its own process says it, and the worker's main process stores it a moment later.
    Way("`Reject`", "life.rejects", "error", "PENDING, then FAILURE"),
    Way("`Reject(requeue=True)`, then returns", "life.rejects_once", "completed", "SUCCESS", once),
    Way("returns, with `acks_late`", "life.late", "completed", "SUCCESS"),
    Way("`replace()`, and the other one returns", "life.replaced", "completed", "SUCCESS"),
    Way(WAITS, "life.add", "cancelled", "REVOKED", lambda send: send(1, 2, countdown=600),
        revoke()),
    Way(GROUP_WAITS, "life.add", "cancelled", "REVOKED", one_of_group,
        lambda result, _worker: result.group.revoke()),
    Way("revoked before a worker has it", "life.add", "cancelled", "REVOKED", revoked_before),
    # The backend knows of that only when its turn has come, too.
    Way("the same by a stamped header, told at its time", "life.add", "cancelled", "REVOKED",
        revoked_by_header_before),
    Way("revoked while it runs, and does not look", "ends.never_looks", "completed", "SUCCESS",
        then=revoke()),
    Way("revoked while it runs, and `raise_if_cancelled()`", "ends.looks_whether_it_is_cancelled",
        "cancelled", "REVOKED", then=revoke()),
    Way("the same in a function without `self`", "ends.is_cancelled_in_its_helper", "cancelled",
        "REVOKED", then=revoke()),
    Way("the same in code that holds the interpreter's lock", "ends.looks_between_long_calls",
        "cancelled", "REVOKED", then=revoke()),
    Way("the same by a stamped header, while it runs", "ends.looks_whether_it_is_cancelled",
        "cancelled", "REVOKED", stamped, revoke_by_header),
    Way("revoked while it runs, and returns when it is `cancelled`", "ends.returns_what_it_has",
        "completed", "SUCCESS", then=revoke()),
    Way("revoked when it has just succeeded", "ends.blocks", "completed", "SUCCESS",
        then=revoke_late),
    Way("no worker knows it", "life.newer", "error", "FAILURE"),
    # Celery stores nothing of a message that it can make nothing of.
    Way("its message is of a type that is not accepted", "life.add", "error", "PENDING",
        message(b"?", "application/x-unknown")),
    Way("its message is no JSON", "life.add", "error", "PENDING",
        message(b"{")),
    Way("its message is compressed in an unknown way", "life.add", "error", "PENDING",
        message(b"[[1, 2], {}, {}]", compression="application/x-unknown")),
    Way("soft time limit", "life.soft_limited", "error", "FAILURE", pools=PROCESSES),
    Way("its process dies", "life.kills_itself", "error", "FAILURE", pools=PROCESSES, turn=LOST),
    Way("its process dies, with `reject_on_worker_lost`; the next one returns",
        "life.kills_itself_once", "completed", "SUCCESS", once, pools=PROCESSES, turn=LOST),
    Way("`os._exit()`", "ends.leaves", "error", "FAILURE", pools=PROCESSES, turn=LOST),
    Way("`revoke(terminate=True)`", "life.sleeps", "cancelled", "REVOKED",
        then=revoke(terminate=True), pools=PROCESSES, turn=KILLED),
    Way("the same with SIGKILL", "life.sleeps", "cancelled", "REVOKED",
        then=revoke(terminate=True, signal="SIGKILL"), pools=PROCESSES, turn=KILLED),
    Way("the same with SIGHUP", "life.sleeps", "cancelled", "REVOKED",
        then=revoke(terminate=True, signal="SIGHUP"), pools=PROCESSES, turn=KILLED),
    Way("the same by a stamped header", "life.sleeps", "cancelled", "REVOKED", stamped,
        terminate_by_header, pools=PROCESSES, turn=KILLED),
    # To a pool process SIGUSR1 is a soft time limit. The backend says REVOKED in between.
    Way("the same with SIGUSR1", "ends.catches_the_limit", "error", "FAILURE",
        lambda send: send("raises"), revoke(terminate=True, signal="SIGUSR1"), pools=PROCESSES),
    Way("the same with SIGUSR1, which it handles, and returns", "ends.catches_the_limit",
        "completed", "SUCCESS", then=revoke(terminate=True, signal="SIGUSR1"), pools=PROCESSES),
    Way("the same with SIGINT, which pool processes ignore", "ends.outlives_its_revocation",
        "completed", "SUCCESS", then=revoke(terminate=True, signal="SIGINT"), pools=PROCESSES),
    Way("`revoke(terminate=True)`, which it handles, and returns", "ends.handles_the_signal",
        "completed", "SUCCESS", lambda send: send("returns"), revoke(terminate=True),
        pools=PROCESSES),
    Way("`revoke(terminate=True)`, which it handles, and raises", "ends.handles_the_signal",
        "error", "FAILURE", lambda send: send("fails"), revoke(terminate=True), pools=PROCESSES),
    Way("hard time limit", "life.hard_limited", "error", "FAILURE", pools=PROCESSES, turn=KILLED),
    Way("hard time limit, after its result was stored", "life.outlasts_its_limit", "completed",
        "SUCCESS", pools=PROCESSES, turn=KILLED),
    Way("`SystemExit`", "life.exits", "error", "FAILURE", pools=PROCESSES, turn=KILLED),
    Way("`KeyboardInterrupt`", "ends.is_interrupted", "error", "FAILURE", pools=PROCESSES,
        turn=KILLED),
    # Celery stores nothing of these; the solo pool's worker ends with them.
    Way("`SystemExit`, in a process with others", "life.exits", "error", "PENDING", pools=SHARED),
    Way("`KeyboardInterrupt`, in a process with others", "ends.is_interrupted", "error", "PENDING",
        pools=SHARED),
    Way("hard time limit of a greenlet", "ends.limited", "error", "FAILURE", pools=GREENLETS),
    Way("`revoke(terminate=True)` of a greenlet", "life.sleeps", "cancelled", "REVOKED",
        then=revoke(terminate=True), pools=GREENLETS),
    Way("its worker is stopped, by SIGTERM or SIGINT, and waits for it", "ends.blocks",
        "completed", "SUCCESS", then=interrupt, turn=STOPPED),
]  # fmt: skip

DOCS = Path(__file__).parents[2] / "docs" / "explanation" / "delivery-guarantees.md"


def row(way):
    """The way as a row of the table in the documentation."""
    pools = "all" if way.pools == POOLS else ", ".join(way.pools)
    return f"| {way.name} | {pools} | `{way.told}` | {way.backend} |"


def test_the_documentation_has_each_way():
    rows = [row(way) for way in WAYS]
    assert [line for line in DOCS.read_text().splitlines() if line in rows] == rows


HELD = "scheduled, in a worker"
"""What is heard of a task that waits for its time, once a worker holds it."""


class Watcher:
    """Watches everything, and asks the result backend at each end."""

    def __init__(self, websocket, app):
        self._app = app
        self._websocket = websocket
        websocket.recv()
        websocket.send(json.dumps({"command": "subscribe", "operation_id": "*"}))
        self.heard: dict[str, list[str]] = {}
        self.at_the_end: dict[str, list[tuple[str, str]]] = {}
        self.texts: dict[str, list[str]] = {}
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self):
        try:
            for text in self._websocket:
                self._take(json.loads(text))
        except ConnectionClosed:
            return

    def _take(self, frame):
        task_id, data = frame.get("operation_id"), frame.get("data", {})
        word = data.get("status") or frame["event_type"]
        if word == "scheduled" and "worker" in data:
            word = HELD
        self.heard.setdefault(task_id, []).append(word)
        if frame["event_type"] in {"completed", "error"}:
            state = self._app.AsyncResult(task_id).state
            self.at_the_end.setdefault(task_id, []).append((word, state))
            self.texts.setdefault(task_id, []).append(data.get("error", ""))

    def close(self):
        self._websocket.close()
        self._thread.join(60)


OPTIONS = (
    "countdown", "expires", "ignore_result", "link_error", "order", "stamped_headers", "task_id",
)  # fmt: skip


def unknown_here(*_args, **_kwargs):
    """What the caller has of a task: a name."""


def caller(broker, backend):
    """An application that knows all tasks by name only, as a web process might."""
    app = Celery("caller", broker=broker, backend=backend, set_as_current=False)
    app.conf.update(result_extended=False)
    for name in {way.task for way in WAYS}:
        app.task(base=StreamingTask, name=name, typing=False, shared=False)(unknown_here)
    return app


class Send(NamedTuple):
    """Sends a task of this name, with arguments and options."""

    app: Celery
    name: str

    def __call__(self, *args, **named):
        options = {name: named.pop(name) for name in OPTIONS if name in named}
        if "link_error" in options:
            options["link_error"] = self.app.signature("ends.mourns")
        return self.app.tasks[self.name].apply_async(args, named, **options)


def disturb(watcher, worker, way, result):
    """Do to a task what its way says, once it has said that it runs, or waits."""
    waits = HELD if way.name in {WAITS, GROUP_WAITS} else "log"
    eventually(lambda: waits in watcher.heard.get(result.id, []), timeout=90, what=way.name)
    way.then(result, worker)


def compare(app, watcher, sent):
    """Hold what was told at each end, and what the backend said then and says now, against WAYS."""
    found, expected = {}, {}
    for way, result in sent:
        name = way.name
        then, _, now = way.backend.rpartition(", then ")
        expected[name] = ([(way.told, then or now)], now)
        found[name] = (watcher.at_the_end[result.id], app.AsyncResult(result.id).state)
        # Where the two are told and stored by different processes, it may have been quick.
        if then and found[name] == ([(way.told, now)], now):
            expected[name] = found[name]
        if found[name] != expected[name]:
            print(name, result.id, watcher.heard[result.id], watcher.texts[result.id])
    assert found == expected


def settle(app, watcher, worker, processes):
    """Wait until all that is told twice, or taken back, is told, and the pool is whole."""

    def is_whole():
        try:
            states = [psutil.Process(pid).status() for pid in worker.children]
        except psutil.NoSuchProcess:
            return False
        return len(states) == processes and psutil.STATUS_ZOMBIE not in states

    eventually(is_whole, timeout=90)
    last = app.tasks["life.add"].delay(1, 1)
    eventually(lambda: last.id in watcher.at_the_end, timeout=90)


def live(app, watcher, worker, ways):
    """Have a worker run tasks to their ends, each its way; returns what was sent."""
    processes = len(worker.children)
    sent = [(way, way.send(Send(app, way.task))) for way in ways]
    try:
        for way, result in sent:
            if way.then is not None:
                disturb(watcher, worker, way, result)
        for way, result in sent:
            ended = functools.partial(watcher.at_the_end.get, result.id)
            eventually(ended, timeout=120, what=f"the end of: {way.name}")
        if ways[0].turn != STOPPED:
            settle(app, watcher, worker, processes)
    except AssertionError:
        # What a failure needs to be understood.
        for way, result in sent:
            if result.id not in watcher.at_the_end:
                print(way.name, result.id, watcher.heard.get(result.id))
        print(worker.log)
        raise
    return sent


@pytest.mark.parametrize("pool", POOLS)
def test_what_is_told_at_the_end_is_what_the_backend_says(broker_url, redis_url, pool):
    ways = [way for way in WAYS if pool in way.pools]
    app, sent = caller(broker_url, redis_url), []
    with (
        SidecarThread(BrokerAddress(broker_url)) as sidecar,
        connect(sidecar.url, compression=None) as websocket,
    ):
        watcher = Watcher(websocket, app)
        try:
            how = {"broker": broker_url, "backend": redis_url, "pool": pool, "concurrency": 8}
            for turns in WORKERS:
                found = [[way for way in ways if way.turn == turn] for turn in turns]
                if any(found):
                    with Worker("ends", **how) as worker:
                        sent += [one for some in found for one in live(app, watcher, worker, some)]
        finally:
            watcher.close()
    compare(app, watcher, sent)
