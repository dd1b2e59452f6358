"""Colours: in a terminal, where they are asked for, and nowhere else."""

from __future__ import annotations

import click
import pytest
from support.conditions import eventually
from support.programs import run, terminal
from support.sample_events import completed, error, status

from celery_wsprogress.cli import colors
from celery_wsprogress.cli.event_lines import event_line
from celery_wsprogress.cli.operation_table import operation_table

ESCAPE = "\x1b["
GREEN, RED = "\x1b[32m", "\x1b[31m"


def paint(choice, **variables):
    """What a command paints with."""
    ctx = click.Context(click.Command("any"))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("NO_COLOR", "TERM"):
            patch.delenv(name, raising=False)
        for name, value in variables.items():
            patch.setenv(name, value)
        colors.choose(ctx, choice)
    with ctx.scope(cleanup=False):
        return colors.painter()("word", "completed")


@pytest.mark.parametrize(
    ("choice", "variables", "is_colored"),
    [
        # Under pytest standard output is no terminal.
        ("auto", {}, False),
        ("auto", {"NO_COLOR": "1"}, False),
        ("never", {}, False),
        ("always", {}, True),
        ("always", {"NO_COLOR": "1"}, True),
    ],
)
def test_who_decides(choice, variables, is_colored):
    assert (paint(choice, **variables) != "word") == is_colored


def test_a_state_is_painted_where_it_stands():
    def marked(shown, word):
        return f"<{shown}>" if word == "completed" else shown

    operation = {"operation_id": "completed", "state": "completed", "operation_type": "completed"}
    head, line = operation_table([operation], paint=marked)
    assert "<" not in head
    assert line.split() == ["completed", "<completed>", "0%", "completed"]
    # Where a narrow terminal cuts the state off, nothing is painted.
    assert "<" not in "".join(operation_table([operation], 14, paint=marked))


def test_the_word_of_a_line_keeps_its_width():
    event = {"event_type": "completed", "timestamp": 0.0, "data": {"duration": 1.0}}
    plain = event_line(event)
    assert event_line(event, paint=lambda shown, _word: f"<{shown}>") == plain.replace(
        "completed", "<completed>"
    )


@pytest.fixture
def ended(served, write):
    """A sidecar with one operation that has completed, and one that has failed."""
    for name, end in (("good", completed), ("bad", error)):
        write(status("started", operation_id=name), end(operation_id=name))
    eventually(lambda: (served.sidecar.hub.get("bad") or {}).get("state") == "error")
    return served


def test_list_in_a_terminal(ended):
    with terminal("list", "--url", ended.url) as screen:
        assert screen.wait() == 0
        assert f"{GREEN}completed" in screen.output
        assert f"{RED}error" in screen.output
        assert {line.split()[1] for line in screen.screen if line} >= {"completed", "error"}


@pytest.mark.parametrize(
    ("options", "variables"), [(("--color", "never"), {}), ((), {"NO_COLOR": "1"})]
)
def test_none_in_a_terminal_where_they_are_not_wanted(ended, options, variables):
    with terminal("list", "--url", ended.url, *options, **variables) as screen:
        assert screen.wait() == 0
        assert ESCAPE not in screen.output


def test_in_a_pipe_only_where_they_are_asked_for(ended):
    assert ESCAPE not in run("list", "--url", ended.url).stdout
    assert f"{GREEN}completed" in run("list", "--url", ended.url, "--color", "always").stdout
    watched = run("watch", "good", "--url", ended.url, "--color", "always")
    assert f"{GREEN}completed" in watched.stdout
