from __future__ import annotations

import json
import re
import subprocess

import pytest
from support.conditions import eventually
from support.programs import CELERY, OURS, PROJECTS, Piped, environment, run, terminal
from support.sample_events import completed, log, progress, status
from support.sidecars import SidecarProcess
from support.terminals import END_OF_INPUT, INTERRUPT


@pytest.fixture
def filled(served, write):
    write(status("started", at=1.0, metadata={"room": 7}, operation_type="t"), log("one"))
    eventually(lambda: served.sidecar.hub.get("op-1"))
    return served


# In a pipe.


@pytest.mark.parametrize("command", [OURS, CELERY], ids=["ours", "celery"])
def test_commands_from_a_pipe(filled, command):
    typed = "stats\nlist\nget op-1\nget nobody\nhelp\n\nquit\nstats\n"
    done = run("interactive", "--url", filled.url, stdin=typed, command=command)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("connected_clients") == 1
    assert re.search(r"op-1  running +0%  .* t\n", done.stdout)
    assert 'metadata        {"room": 7}\n' in done.stdout
    assert "nothing is known of it\n" in done.stdout
    assert "unsubscribe ID" in done.stdout
    assert ">" not in done.stdout


def test_events_come_while_it_reads(filled, write):
    with Piped("interactive", "--url", filled.url) as one:
        one.type("subscribe op-1\n")
        one.wait_for("op-1  info       one")
        write(log("two"))
        one.wait_for("op-1  info       two")
        one.type("unsubscribe op-1\nsubscribe op-2")
        one.wait_for("unsubscribed\n")
        one.type("\n")
        one.wait_for("nothing is known of it yet")
        write(log("three"), log("four", operation_id="op-2"))
        one.wait_for("op-2  info       four")
        one.process.stdin.close()
        assert one.wait() == 0
    assert "three" not in one.stdout


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("dance\n", "Unknown command: dance; type help\n"),
        ("subscribe\n", "subscribe what? Type: subscribe ID\n"),
        ("get " + "x" * 2_000 + "\n", "An id has at most 1000 characters\n"),
        ("\x1b[2J\n", "Unknown command: \\x1b[2J; type help\n"),
    ],
    ids=["unknown", "no id", "long", "escape"],
)
def test_what_is_no_command_costs_nothing(filled, typed, said):
    done = run("interactive", "--url", filled.url, stdin=typed + "stats")
    assert (done.returncode, done.stderr) == (0, said)
    assert "connected_clients" in done.stdout, "the last line needs no end"


def test_json(filled):
    done = run("interactive", "--json", "--url", filled.url, stdin="get op-1\nstats\n")
    replies = [json.loads(line) for line in done.stdout.splitlines()]
    assert replies[0]["operation"]["operation_id"] == "op-1"
    assert replies[1]["stats"]["connected_clients"] == 1


def test_commands_from_a_file(filled, tmp_path):
    file = tmp_path / "commands"
    file.write_text("list\n")
    with file.open() as typed:
        done = subprocess.run(
            [*OURS, "interactive", "--url", filled.url],
            cwd=PROJECTS,
            env=environment(),
            stdin=typed,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert "op-1" in done.stdout


# In a terminal.


def test_a_conversation(filled, write):
    with terminal("interactive", "--url", filled.url) as screen:
        screen.wait_for("Type help")
        eventually(lambda: screen.screen[-1] == "> ")
        screen.type("subscribe op-1\n")
        screen.wait_for("op-1  info       one")
        write(progress(0.5, at=2.0, message="half"))
        screen.wait_for("op-1   50%       half")
        assert screen.screen[-1] == "> ", "the prompt stands below what came"
        screen.type("sta")
        screen.wait_for("> sta")
        write(log("in between"))
        screen.wait_for("in between")
        screen.type("ts\n")
        screen.wait_for("connected_clients")
        write(completed(at=3.0, duration=2.0))
        screen.wait_for("completed  in 2.0 s")
        screen.type("quit\n")
        assert screen.wait() == 0
    lines = screen.screen
    assert "00:00:00  op-1  info       in between" in lines, "no line is garbled by typing"
    assert "> subscribe op-1" in lines
    assert "Traceback" not in screen.output


@pytest.mark.parametrize(("key", "code"), [(END_OF_INPUT, 0), (INTERRUPT, 130)])
def test_ctrl_d_and_ctrl_c_end_it(filled, key, code):
    with terminal("interactive", "--url", filled.url) as screen:
        eventually(lambda: screen.screen[-1] == "> ")
        screen.type(key)
        assert screen.wait() == code
    assert screen.screen[-1] == ""
    assert "Traceback" not in screen.output


def test_a_sidecar_that_goes_and_comes(redis_url, write):
    write(log("one"))
    with (
        SidecarProcess(redis_url) as sidecar,
        terminal("interactive", "--url", sidecar.url) as screen,
    ):
        eventually(lambda: screen.screen[-1] == "> ")
        screen.type("subscribe op-1\n")
        screen.wait_for("one")
        sidecar.kill()
        screen.wait_for("Connection lost")
        eventually(lambda: screen.screen[-1] == "> ")
        screen.type("stats\n")
        write(log("two"))
        sidecar.start()
        screen.wait_for("two")
        screen.wait_for("connected_clients")
        screen.type(END_OF_INPUT)
        assert screen.wait() == 0
    assert len([line for line in screen.screen if line.endswith("one")]) == 1
