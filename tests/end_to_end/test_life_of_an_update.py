"""One update, followed from the task to the socket: eight rooms, entered in one direction.

A room is one or a few modules that do one thing on the way; it calls values and helpers besides,
which keep nothing of the update. The page *Life of an update* of the documentation shows the list.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from pathlib import Path
from typing import Final

import celery
import pytest
from support.conditions import eventually
from support.servers import RedisServer
from support.sidecars import SidecarThread
from support.wire_document import connect

import celery_wsprogress
from celery_wsprogress import StreamingTask
from celery_wsprogress.brokers import BrokerAddress

PACKAGE: Final = Path(celery_wsprogress.__file__).parent
PAGE: Final = PACKAGE.parent / "docs" / "explanation" / "life-of-an-update.md"

ROOMS: Final = {
    "task": ("worker/task",),
    "tracker": ("worker/tracker",),
    "publisher": ("worker/publishing/",),
    "broker writer": ("brokers/batch_writer", "brokers/redis/writer", "brokers/redis/exchange"),
    "log reader": ("brokers/redis/reader", "brokers/redis/reply", "sidecar/ingest/"),
    "hub": (
        "hub/hub", "hub/store", "hub/operation_record", "hub/deliveries", "hub/log_cursor",
        "hub/rate_limit", "hub/subscription_index",
    ),
    "session": ("sidecar/fan_out", "hub/session"),
    "socket writer": ("sidecar/socket_writer",),
}  # fmt: skip
"""What the modules of each room begin with."""

LEAVES: Final = (
    "protocol/", "operations/", "worker/rate", "fork", "backoff", "brokers/failure",
    "brokers/redis/server_memory",    "sidecar/metrics/latency",
)  # fmt: skip
"""Values and helpers."""


class Calls:
    """The calls of this package's functions, by all threads that start while it is in use."""

    def __init__(self):
        self.edges: list[tuple[str, str]] = []
        """The calling module (empty where nothing of the package called) and the called one."""
        self.on = False

    def hook(self, frame, event, _):
        if self.on and event == "call":
            called = module_of(frame)
            if called:
                caller = frame.f_back
                while caller is not None and not module_of(caller):
                    caller = caller.f_back
                self.edges.append(("" if caller is None else module_of(caller), called))

    def __enter__(self):
        threading.setprofile(self.hook)
        return self

    def __exit__(self, *exc_info):
        threading.setprofile(None)


def module_of(frame):
    """The module of the package, as a path without its ending; empty where it is another's."""
    path = Path(frame.f_code.co_filename)
    return path.relative_to(PACKAGE).with_suffix("").as_posix() if PACKAGE in path.parents else ""


def room_of(module):
    """The name of the room; empty for values and helpers."""
    return next((name for name, begin in ROOMS.items() if module.startswith(begin)), "")


@pytest.fixture(scope="module")
def edges():
    """The calls of one update that a client is waiting for."""
    with (
        Calls() as calls,
        RedisServer() as redis,
        SidecarThread(BrokerAddress(redis.url)) as sidecar,
    ):
        app = celery.Celery("followed", broker=redis.url, set_as_current=False)
        app.conf.wsprogress_eager = True

        with connect(sidecar.url) as client:
            client.send(json.dumps({"command": "subscribe", "operation_id": "followed"}))

            def wait_for(text):
                while text not in client.recv(timeout=60):
                    pass

            @app.task(base=StreamingTask, bind=True)
            def work(self):
                self.update_progress(0.1, "the first one")
                wait_for("the first one")
                # The second one is due at once, and nothing else is on its way.
                time.sleep(0.5)
                calls.on = True
                sys.setprofile(calls.hook)
                self.update_progress(0.5, "the second one")
                sys.setprofile(None)
                wait_for("the second one")
                eventually(lambda: room_of(calls.edges[-1][1]) != "socket writer")
                calls.on = False

            assert work.apply(task_id="followed").successful()
    return calls.edges


def test_it_enters_eight_rooms_in_one_direction(edges):
    order = list(ROOMS)
    modules = list(dict.fromkeys(called for _, called in edges))
    print("\n".join(f"{room_of(one) or '  ·':14} {one}" for one in modules))
    entered = [(room_of(caller), room_of(called)) for caller, called in edges]
    moves = [move for move in dict.fromkeys(entered) if all(move) and move[0] != move[1]]
    assert {room for move in moves for room in move} == set(order)
    assert [move for move in moves if order.index(move[0]) > order.index(move[1])] == []
    assert sorted({called for _, called in moves}) == sorted(called for _, called in moves)


def test_everything_else_on_the_way_is_a_value_or_a_helper(edges):
    others = {called for _, called in edges if not room_of(called)}
    assert {one for one in others if not one.startswith(LEAVES)} == set()


def test_the_documentation_shows_these_rooms(edges):
    shown = re.search(r"## The rooms\n.*?```text\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert shown is not None
    modules = {called for _, called in edges if room_of(called)}
    assert set(re.findall(r"[\w/]+/\w+", shown[1])) == modules
