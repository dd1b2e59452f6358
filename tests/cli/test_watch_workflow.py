"""``watch --workflow`` in a terminal and in a pipe."""

from __future__ import annotations

import json

from support.conditions import eventually
from support.programs import OURS, run, terminal
from support.sample_events import error, log, plan, progress, queued, status
from support.sidecars import SidecarThread
from support.task_lives import end, start

from celery_wsprogress import create_token
from celery_wsprogress.brokers import BrokerAddress

KEY = "a key that is long enough for HS256"


def move(task_id, fraction, message=""):
    run_of = {"operation_id": task_id, "run": f"run-{task_id}", "at": 2.5}
    return progress(fraction, message=message, **run_of)


def test_in_a_pipe_steps_are_indented_lines(served, write):
    write(plan(), *start("a"), *end("a"), *start("b"))
    write(error(operation_id="b", run="run-b", at=4.0))
    write(error(operation_id="c", run="never", at=4.0))
    done = run("watch", "--workflow", "c", "--url", served.url)
    assert done.returncode == 1, done
    lines = done.stdout.splitlines()
    assert any(line.endswith("queued     celery.chain") for line in lines), lines
    assert lines[-1].startswith("00:00:04  error      ValueError: broke")
    assert done.stderr == ""


def test_a_workflow_that_completes_shows_its_result(served, write):
    write(plan(), *[one for task in "abc" for one in (*start(task), *end(task))])
    done = run("watch", "--workflow", "c", "--url", served.url)
    assert done.returncode == 0, done
    assert [line.split()[1] for line in done.stdout.splitlines()][-2:] == ["result", "completed"]


def test_json_is_that_of_the_protocol(served, write):
    write(plan(), *[one for task in "abc" for one in (*start(task), *end(task))])
    done = run("watch", "--workflow", "c", "--json", "--url", served.url)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["operation_id"] == "workflow:c"
    assert events[-1]["event_type"] == "completed"


def test_in_a_terminal_it_is_a_bar_with_its_steps(served, write):
    nodes = [
        ("chain", -1),
        ("group", 0, "g"),
        ("task", 1, "a", "shop.a"),
        ("task", 1, "b", "shop.b"),
        ("task", 0, "c", "shop.c"),
    ]
    write(plan(*nodes))
    with terminal("watch", "--workflow", "c", "--url", served.url, command=OURS) as window:
        window.wait_for("shop.c")
        write(*start("a"), move("a", 0.5, "rows"))
        window.wait_for("50% [######......]")
        window.wait_for("0 of 3 steps")
        write(*end("a"))
        window.wait_for("1 of 2")
        # A line of a task's log stands above the bar.
        write(*start("b"), log("careful", operation_id="b", run="run-b", at=2.5))
        window.wait_for("careful")
        eventually(lambda: sum("shop.a" in line for line in window.screen) == 1)
        write(*end("b"), *start("c"), *end("c"))
        assert window.wait() == 0
        screen = window.screen
    place = next(at for at, line in enumerate(screen) if "group" in line)
    assert screen[place : place + 4] == [
        "  group     2 of 2",
        "    shop.a  done",
        "    shop.b  done",
        "  shop.c    done",
    ]
    assert sum("careful" in line for line in screen) == 1


def test_a_step_that_joins_later_is_found(served, write):
    write(plan(), *start("a"))
    with terminal("watch", "--workflow", "c", "--url", served.url, command=OURS) as window:
        window.wait_for("0%")
        said = {"operation_id": "x", "publication": "p-x", "parent_id": "a"}
        write(
            queued(at=1.0, operation_type="shop.extra", **said),
            status("started", at=2.0, run="run-x", metadata={}, **said),
        )
        window.wait_for("shop.extra")


def test_a_token_of_the_bar_alone_shows_the_bar(redis_url, write):
    token = create_token("c", key=KEY)
    with SidecarThread(BrokerAddress(redis_url), key=KEY) as served:
        write(plan(), *[one for task in "abc" for one in (*start(task), *end(task))])
        eventually(lambda: served.sidecar.hub.get("workflow:c"))
        done = run("watch", "--workflow", "c", "--url", served.url, WSPROGRESS_TOKEN=token)
    assert done.returncode == 0, done
    assert "The steps may not be shown" in done.stderr


def test_an_unknown_workflow_is_waited_for(served):
    done = run("watch", "--workflow", "c", "--timeout", "0.5", "--url", served.url)
    assert (done.returncode, done.stdout) == (3, "")
    assert "Nothing was heard of workflow:c" in done.stderr
