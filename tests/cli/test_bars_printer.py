"""``watch`` of several operations in a terminal of 80 columns."""

from __future__ import annotations

from support.conditions import eventually
from support.programs import Piped, run, terminal
from support.sample_events import completed, error, log, progress, scheduled, status
from support.terminals import INTERRUPT

LONG = "reading a file whose name is much too long for this"


def started(name, at=1.0, **more):
    return status(
        "started", at=at, metadata={}, operation_id=name, operation_type="t.build", **more
    )


def test_each_that_runs_has_a_bar_below_the_lines(served, write):
    with terminal("watch", "a", "b", "--url", served.url) as screen:
        eventually(lambda: served.sidecar.stats()["subscriptions"] == 2)
        write(
            started("a"),
            started("b"),
            progress(0.5, operation_id="b", message="half"),
            progress(
                0.25, operation_id="a", message=LONG,
                current=250, total=1000, unit="rows", rate=120.0, eta=6.2,
            ),
        )  # fmt: skip
        screen.wait_for("(250 of 1,000 rows, 120 rows/s, 6.2 s left)")
        screen.wait_for("b   50% [############............] half")
        assert screen.screen[-2].startswith("a   25% [##......] reading")
        assert all(len(line) < 80 for line in screen.screen)
        write(log("a word", operation_id="a"))
        screen.wait_for("a word")
        eventually(lambda: "half" in screen.screen[-1], what="the bars stand below the lines")
        write(error("no", operation_id="a", at=3.0))
        screen.wait_for("error      ValueError: no")
        eventually(lambda: not any("rows/s" in line for line in screen.screen))
        assert "half" in screen.screen[-1]
        write(completed(operation_id="b", at=4.0, duration=3.0))
        assert screen.wait() == 1
    assert "#" not in "".join(screen.screen)
    assert [line.split()[1:3] for line in screen.screen if line] == [
        ["a", "started"],
        ["b", "started"],
        ["a", "info"],
        ["a", "error"],
        ["b", "completed"],
    ]


def test_one_that_waits_counts_down(served, write):
    with terminal("watch", "a", "b", "--url", served.url) as screen:
        eventually(lambda: served.sidecar.stats()["subscriptions"] == 2)
        waiting = scheduled(operation_id="a", operation_type="t.build", starts_at=4e9)
        write(waiting)
        screen.wait_for("a  scheduled  starts in")
        write(started("a"), progress(0.5, operation_id="a", message="half"))
        screen.wait_for("[############............] half")
        eventually(lambda: not any("starts in" in line for line in screen.screen[1:]))
        screen.type(INTERRUPT)
        assert screen.wait() == 130
    assert "Traceback" not in screen.output


def test_in_a_pipe_progress_is_a_line_now_and_then(served, write):
    numbers = [progress(n / 100, operation_id="a", message=f"step {n}") for n in range(1, 60)]
    write(started("a"), *numbers)
    eventually(lambda: (served.sidecar.hub.get("a") or {}).get("message") == "step 59")
    with Piped("watch", "a", "--interval", "1000", "--url", served.url) as watch:
        watch.wait_for("step 59")
        for n in range(60, 80):
            write(progress(n / 100, operation_id="a", message=f"step {n}"))
            eventually(lambda n=n: served.sidecar.hub.get("a")["message"] == f"step {n}")
        write(completed(operation_id="a", at=4.0, duration=3.0))
        assert watch.wait() == 0
    steps = [line for line in watch.stdout.splitlines() if "step" in line]
    assert [line.split()[-1] for line in steps] == ["59", "79"]


def test_an_unknown_one_of_several_is_named_in_the_end(served, write):
    write(started("a"))
    done = run("watch", "a", "nobody", "--timeout", "5", "--url", served.url)
    assert done.returncode == 3
    assert "a has not ended within 5 s" in done.stderr
    assert "Nothing was heard of nobody within 5 s" in done.stderr


def test_an_interval_that_is_none():
    done = run("watch", "a", "--interval", "-1")
    assert done.returncode == 2
    assert "--interval" in done.stderr
