"""``watch`` in a terminal and in a pipe."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager

import pytest
from support.conditions import eventually
from support.programs import CELERY, OURS, Piped, environment, run, terminal
from support.sample_events import (
    completed,
    error,
    log,
    progress,
    queued,
    result,
    scheduled,
    status,
)
from support.sidecars import SidecarProcess, SidecarThread
from support.terminals import INTERRUPT
from websockets.datastructures import Headers
from websockets.http11 import Response
from websockets.sync.server import serve

from celery_wsprogress import create_token
from celery_wsprogress.brokers import BrokerAddress
from celery_wsprogress.urls import masked

KEY = "a key that is long enough for HS256"
UUIDS = [f"550e8400-e29b-41d4-a716-44665544000{number}" for number in range(2)]


def started(**more):
    return status("started", at=1.0, metadata={}, operation_type="t.build", **more)


LIFE = (
    queued(at=0.0, operation_type="t.build"),
    started(),
    log("half", at=2.0),
    progress(0.5, at=3.0, message="rows"),
    result(7, at=4.0),
    completed(at=4.0, duration=2.0),
)

LINES = """\
00:00:00  queued     t.build
00:00:01  started    t.build
00:00:02  info       half
00:00:03   50%       rows
00:00:04  result     7
00:00:04  completed  in 2.0 s
"""


def refused(done, *words):
    """It ended with one line that says this."""
    assert done.returncode == 2, done
    assert done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert last.startswith("Error: ")
    assert [word for word in words if word not in last] == [], last


# In a pipe.


@pytest.mark.parametrize("command", [OURS, CELERY], ids=["ours", "celery"])
def test_an_operation_that_has_ended(served, write, command):
    write(*LIFE)
    done = run("watch", "op-1", "--url", served.url, command=command)
    assert (done.returncode, done.stdout) == (0, LINES)


@pytest.mark.parametrize("command", [OURS, CELERY], ids=["ours", "celery"])
@pytest.mark.parametrize("how", ["error", "cancelled"])
def test_an_operation_that_ends_badly(served, write, command, how):
    write(started(), error("no\nway", at=2.0, status=how))
    done = run("watch", "op-1", "--url", served.url, command=command)
    assert done.returncode == 1
    assert done.stdout.endswith(f"00:00:02  {how:<9}  ValueError: no\\nway\n")


def test_an_id_that_nobody_hears_of_ends_with_the_time_that_was_given(served):
    done = run("watch", "op-9", "--timeout", "0.5", "--url", served.url)
    assert (done.returncode, done.stdout) == (3, "")
    assert "Nothing was heard of op-9 within 0.5 s" in done.stderr
    assert "base=StreamingTask" in done.stderr


def test_one_that_goes_on_longer_is_told_from_one_that_is_unknown(served, write):
    write(started(), completed(operation_id="op-2", duration=1.0))
    done = run("watch", "op-1", "op-2", "--timeout", "2", "--url", served.url)
    assert done.returncode == 3
    assert done.stderr == "op-1 has not ended within 2 s\n"


def test_a_sidecar_that_says_nothing_ends_with_the_time_that_was_given():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}"
        done = run("watch", "op-1", "--timeout", "0.5", "--url", url)
    assert done.returncode == 3
    assert done.stderr == "There was no answer from the sidecar within 0.5 s\n"


@pytest.mark.parametrize("time", ["0", "-1", "soon"])
def test_a_time_that_is_none(time):
    refused(run("watch", "op-1", "--timeout", time), "--timeout")


EVIL = "\x1b]0;owned\x07\x1b[31m\N{RIGHT-TO-LEFT OVERRIDE}\x9b2J"


@contextmanager
def hostile(say):
    """A server that is no sidecar of ours, and says what it likes."""
    with serve(say, "127.0.0.1", 0, process_request=getattr(say, "answer", None)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()


def error_page(_websocket, _request):
    return Response(500, "No", Headers(), f"<h1>{EVIL}</h1>\nError: forged".encode())


def refuse_everything(websocket):
    websocket.send(json.dumps({"event_type": "connected", "data": {}}))
    for message in websocket:
        reply = {"event_type": "reply", "request_id": json.loads(message)["request_id"]}
        websocket.send(json.dumps({**reply, "error": f"{EVIL}\nno", "code": EVIL, "data": {}}))


def close_for_good(websocket):
    websocket.send(json.dumps({"event_type": "connected", "data": {}}))
    websocket.close(4500, EVIL[:30])


def say_odd_things(websocket):
    websocket.send(json.dumps({"event_type": "connected", "data": {}}))
    number = json.loads(websocket.recv())["request_id"]
    reply = {"event_type": "reply", "data": {}, "request_id": number, "operation": None}
    websocket.send(json.dumps({**reply, "operation_id": EVIL}))
    odd = [
        {"event_type": EVIL, "data": {EVIL: EVIL}},
        {"event_type": "progress", "data": {"progress": EVIL}},
        {"event_type": "progress", "data": {"progress": 1, "current": EVIL}},
        {"event_type": "completed", "data": {"duration": EVIL}, "timestamp": 1e300},
        {"event_type": "log", "data": [EVIL]},
        {"event_type": ["log"], "data": None},
        {"event_type": "error", "operation_id": [EVIL], "data": {"error": [EVIL]}},
        {"event_type": "status", "operation_id": "op-1", "data": EVIL},
        {"event_type": "log", "data": {"level": EVIL, "message": f"{EVIL}\nforged"}},
    ]
    for event in odd:
        websocket.send(json.dumps({"operation_id": EVIL, "timestamp": 1.0, **event}))
    end = {"error": EVIL, "error_type": EVIL}
    websocket.send(json.dumps({"event_type": "error", "operation_id": "op-1", "data": end}))
    websocket.recv()


refuse_everything.code = close_for_good.code = 2
say_odd_things.code = 1


def say_no_page(websocket):
    websocket.recv()


say_no_page.answer, say_no_page.code = error_page, 2


@pytest.mark.parametrize("how", [say_no_page, refuse_everything, close_for_good, say_odd_things])
def test_nothing_of_what_a_hostile_server_says_is_obeyed_by_the_terminal(how):
    with hostile(how) as url:
        done = run("watch", "op-1", "--url", url, WSPROGRESS_TOKEN="")
    said = done.stdout + done.stderr
    assert done.returncode == how.code, said
    assert "x1b" in said, "it is shown, and spelled out"
    assert [line for line in said.split("\n") if not line.isprintable()] == []
    assert "\nforged" not in said
    assert "\nError: forged" not in said


def test_it_says_that_the_sidecar_cannot_read_its_broker(own_redis):
    with SidecarThread(BrokerAddress(own_redis.url)) as served:
        own_redis.kill()
        eventually(lambda: served.sidecar.ingest.status.error)
        for command in (("watch", "op-1"), ("monitor",)):
            with Piped(*command, WSPROGRESS_WS_URL=served.url) as said:
                said.wait_for("The sidecar cannot read its broker: ConnectionError")


def test_it_waits_for_an_operation_nobody_has_heard_of(served, write):
    with Piped("watch", "op-1", WSPROGRESS_WS_URL=served.url) as watch:
        watch.wait_for("Nothing is known of op-1 yet; waiting")
        write(*LIFE)
        assert watch.wait() == 0
    assert watch.stdout == LINES


def test_each_line_is_there_when_it_happens(served, write):
    with Piped("watch", "op-1", "--url", served.url) as watch:
        write(started())
        watch.wait_for("started")
        write(log("a line"))
        watch.wait_for("a line")


def test_several_are_watched_until_all_have_ended(served, write):
    one = UUIDS[0]
    with Piped("watch", "short", one, "--url", served.url) as watch:
        eventually(lambda: served.sidecar.stats()["subscriptions"] == 2)
        write(started(operation_id=one), completed(operation_id=one, at=2.0, duration=1.0))
        watch.wait_for("completed")
        write(started(operation_id="short"), log("more", operation_id="short"))
        watch.wait_for("more")
        write(completed(operation_id="short", at=2.0, duration=1.0))
        assert watch.wait() == 0
    assert watch.stdout.splitlines()[0] == "00:00:01  550e8400  started    t.build"
    assert watch.stdout.splitlines()[2] == "00:00:01  short  started    t.build"


def test_one_of_several_that_ends_badly(served, write):
    one, other = UUIDS
    write(error(operation_id=one), completed(operation_id=other, duration=1.0))
    done = run("watch", one, other, "--url", served.url)
    assert done.returncode == 1
    assert f"  {one}  error" in done.stdout
    assert f"  {other}  completed" in done.stdout


def test_an_operation_that_starts_again_has_not_ended(served, write):
    with Piped("watch", "op-1", "op-2", "--url", served.url) as watch:
        eventually(lambda: served.sidecar.stats()["subscriptions"] == 2)
        write(started(), error())
        watch.wait_for("error")
        write(started(run="r2", publication="p2"), completed(operation_id="op-2", duration=1.0))
        watch.wait_for("op-2  completed")
        assert watch.process.poll() is None
        write(completed(run="r2", duration=1.0))
        assert watch.wait() == 0


def test_progress_is_a_line_when_the_percentage_changes(served, write):
    with Piped("watch", "op-1", "--url", served.url) as watch:
        write(started())
        watch.wait_for("started")
        for number, fraction in enumerate((0.101, 0.105, 0.109, 0.11, 0.2)):
            write(progress(fraction, message=f"step {number}"), log(f"after {number}"))
            watch.wait_for(f"after {number}")
    steps = [line[-6:] for line in watch.stdout.splitlines() if "step" in line]
    assert steps == ["step 0", "step 3", "step 4"]


def test_json_is_one_frame_a_line(served, write):
    write(*LIFE)
    done = run("watch", "op-1", "--json", "--url", served.url)
    frames = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert [one["event_type"] for one in frames] == [
        *("status", "status", "log", "progress", "result", "completed")
    ]
    assert all(one["event_id"] for one in frames)


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_what_a_task_says_reaches_no_terminal_and_needs_no_encoding(served, write, options):
    write(started(), log("\x1b[31mred\nn\u00e4chste \N{SNOWMAN}"), completed(duration=1.0))
    done = run("watch", "op-1", *options, "--url", served.url, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert len(done.stdout.splitlines()) == 3
    assert r"red\n" in done.stdout


def test_a_sidecar_is_killed_and_restarted(redis_url, write):
    with SidecarProcess(redis_url) as sidecar, Piped("watch", "op-1", "--url", sidecar.url) as one:
        write(*LIFE[:3])
        one.wait_for("half")
        sidecar.kill()
        one.wait_for("Connection lost; trying again")
        write(*LIFE[3:5])
        sidecar.start()
        one.wait_for("Connected again")
        write(LIFE[5])
        assert one.wait() == 0
    assert one.stdout == LINES
    assert one.stderr.count("Connection lost") == one.stderr.count("Connected again") == 1


@pytest.mark.parametrize("command", [OURS, CELERY], ids=["ours", "celery"])
def test_interrupted(served, write, command):
    write(started())
    with Piped("watch", "op-1", "--url", served.url, command=command) as watch:
        watch.wait_for("started")
        assert watch.end(signal.SIGINT) == 130
    assert watch.stdout == "00:00:01  started    t.build\n"
    assert watch.stderr == ""


def test_interrupted_while_the_sidecar_is_away(redis_url, write):
    write(started())
    with SidecarProcess(redis_url) as sidecar, Piped("watch", "op-1", "--url", sidecar.url) as one:
        one.wait_for("started")
        sidecar.kill()
        one.wait_for("Connection lost")
        assert one.end(signal.SIGINT) == 130


def test_a_reader_that_goes_away_leaves_no_traceback(served, write):
    write(started())
    ours, theirs = os.pipe()
    watch = subprocess.Popen(
        [*OURS, "watch", "op-1", "--url", served.url],
        env=environment(),
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(theirs)
    assert os.read(ours, 1_000)
    os.close(ours)
    write(log("nobody reads this"))
    assert watch.communicate(timeout=60) == (None, "")
    assert watch.returncode == 1


# Usage.


@pytest.mark.parametrize("command", [OURS, CELERY], ids=["ours", "celery"])
def test_no_id(command):
    refused(run("watch", command=command), "Missing argument", "ID")


@pytest.mark.parametrize("one", ["*", ""])
def test_what_is_no_id(one):
    refused(run("watch", one), "monitor")


@pytest.mark.parametrize(
    "url", ["localhost:8765", "http://localhost:8765", "ws://", "ws://host:99999", "ws://[::1"]
)
def test_a_url_that_is_none(url):
    refused(run("watch", "op-1", "--url", url), "--url", repr(masked(url)), "ws://localhost")
    refused(run("watch", "op-1", WSPROGRESS_WS_URL=url), repr(masked(url)))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ws://localhost:1", "nothing listens there"),
        ("ws://nowhere.invalid:8765", "the host name is unknown"),
    ],
)
@pytest.mark.parametrize("command", ["watch op-1", "monitor", "stats", "interactive"])
def test_nobody_there_is_one_line_with_what_to_check(command, url, why):
    done = run(*command.split(), "--url", url)
    refused(done, f"Cannot connect to {url}: {why}", "celery-wsprogress serve", "--url")
    assert done.stderr.count("\n") == 1


def test_something_else_there_is_one_line(redis_server):
    done = run("watch", "op-1", "--url", f"ws://localhost:{redis_server.port}")
    refused(done, "Cannot connect", "--url")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["watch", "monitor", "stats", "interactive"])
def test_help_says_what_there_is(command):
    done = run(command, "--help")
    assert done.returncode == 0
    for word in ("--url", "--token-file", "--json", "WSPROGRESS_WS_URL", "WSPROGRESS_TOKEN"):
        assert word in done.stdout
    assert "--token " not in done.stdout


# With a key.


@pytest.fixture
def closed(redis_url):
    with SidecarThread(BrokerAddress(redis_url), key=KEY) as sidecar:
        yield sidecar


def test_a_token_from_a_file_or_the_environment(closed, write, tmp_path):
    write(*LIFE)
    token = create_token(["op-1"], 60, key=KEY)
    file = tmp_path / "token"
    file.write_text(f"{token}\n")
    for done in (
        run("watch", "op-1", "--url", closed.url, WSPROGRESS_TOKEN=token),
        run("watch", "op-1", "--url", closed.url, "--token-file", str(file)),
    ):
        assert (done.returncode, done.stdout) == (0, LINES)
        assert token not in done.stderr


def test_without_a_token_or_with_a_bad_one(closed, tmp_path):
    refused(run("watch", "op-1", "--url", closed.url), "token", "--token-file", "WSPROGRESS_TOKEN")
    bad = run("watch", "op-1", "--url", closed.url, WSPROGRESS_TOKEN="hunter2")
    refused(bad, "The token is not valid")
    assert "hunter2" not in bad.stderr
    missing = tmp_path / "missing"
    refused(run("watch", "x", "--url", closed.url, "--token-file", str(missing)), str(missing))
    other = create_token(["op-2"], 60, key=KEY)
    refused(run("watch", "op-1", "--url", closed.url, WSPROGRESS_TOKEN=other), "does not grant")


def test_a_token_that_expires(closed, write):
    write(started())
    token = create_token(["op-1"], 3, key=KEY)
    done = run("watch", "op-1", "--url", closed.url, WSPROGRESS_TOKEN=token)
    assert done.returncode == 2
    assert "4001" in done.stderr
    assert "--token-file" in done.stderr
    assert token not in done.stderr


# In a terminal.


def test_progress_is_rewritten_in_place(served, write):
    with terminal("watch", "op-1", "--url", served.url) as screen:
        write(started())
        screen.wait_for("started")
        write(progress(0.25, at=2.0, message="first"))
        screen.wait_for("25%       [######..................] first")
        write(progress(0.5, at=3.0, message="x" * 100))
        # There is no room for the whole message: the bar is as short as it gets.
        screen.wait_for("50%       [####....] xxx")
        write(log("a line", at=4.0))
        screen.wait_for("a line")
        assert "50%" in screen.screen[-1], "the bar stays below what is said"
        write(result(1, at=5.0), completed(at=5.0, duration=4.0))
        assert screen.wait() == 0
    lines = screen.screen
    assert lines[-6:-4] == ["00:00:01  started    t.build", "00:00:04  info       a line"]
    assert lines[-4].startswith("00:00:03   50%       [####....] xxx")
    assert lines[-4].endswith("x…")
    assert len(lines[-4]) == 79
    assert lines[-3:] == ["00:00:05  result     1", "00:00:05  completed  in 4.0 s", ""]


def test_the_time_until_a_task_starts_counts_down(served, write):
    now = time.time()
    with terminal("watch", "op-1", "--url", served.url) as screen:
        write(scheduled(at=now, operation_type="t.build", starts_at=now + 3600))
        screen.wait_for("scheduled  t.build (starts in 1 h 0 min, at")
        screen.wait_for("scheduled  starts in 59 min")
        write(log("a line", at=now))
        screen.wait_for("a line")
        assert "starts in 59 min" in screen.screen[-1], "it stays below what is said"
        write(started(run="r1"), status("retrying", at=2.0, message="no", starts_at=now + 3600))
        screen.wait_for("retrying   starts again in 59 min")
        write(started(run="r2"), completed(run="r2", at=5.0, duration=4.0))
        assert screen.wait() == 0
    lines = screen.screen
    assert not [line for line in lines if "59 min" in line], "nothing of it stays"
    assert lines[-3].startswith("00:00:01  started    t.build")
    assert lines[-2:] == ["00:00:05  completed  in 4.0 s", ""]


def test_a_terminal_that_cannot_rewrite(served, write):
    write(*LIFE)
    # `env` sets it after the terminal did.
    with terminal("TERM=dumb", *OURS, "watch", "op-1", "--url", served.url, command=["env"]) as one:
        assert one.wait() == 0
    assert one.output.replace("\r\n", "\n") == LINES


def test_ctrl_c_leaves_a_clean_line(served, write):
    with terminal("watch", "op-1", "--url", served.url) as screen:
        write(started(), progress(0.25, at=2.0))
        screen.wait_for("25%")
        screen.type(INTERRUPT)
        assert screen.wait() == 130
    assert screen.screen[-1] == ""
    assert "Traceback" not in screen.output
    assert "Aborted" not in screen.output
