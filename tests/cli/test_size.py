from __future__ import annotations

import json

from support.programs import run

TEN_THOUSAND = ("--tasks", "10000", "--watchers", "50000", "--share", "0.1")


def test_a_plan_is_a_table():
    done = run("size", *TEN_THOUSAND)
    assert (done.returncode, done.stderr) == (0, "")
    rows = dict(line.rsplit("  ", 1) for line in done.stdout.splitlines())
    names = [name.strip() for name in rows]
    assert names[0] == "sidecar processes, a core each"
    assert rows[next(iter(rows))].strip().isdigit()


def test_json_has_the_figures_of_the_plan():
    done = run("size", *TEN_THOUSAND, "--json", "--here")
    plan = json.loads(done.stdout)
    assert plan["processes"] >= 1
    assert plan["events"] > 10_000
    assert plan["memory"] > 10_000 * 1_000


def test_what_one_core_cannot_read_is_said_with_what_helps():
    done = run("size", "--tasks", "1000000", "--updates", "10")
    assert done.returncode == 1
    assert "cores to read the log" in done.stderr
    assert "wsprogress_progress_interval" in done.stderr


def test_a_share_above_one_is_refused():
    done = run("size", "--tasks", "1", "--share", "2")
    assert done.returncode == 2
    assert "--share" in done.stderr
