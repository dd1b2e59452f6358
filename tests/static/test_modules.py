"""The browser modules by themselves: their rules, their types, their size, their package."""

from __future__ import annotations

import gzip
import json
import re
import subprocess

import pytest
from declarations import PUBLIC, compile_declarations, shipped
from hypothesis import given
from support.node import MODULES, STATIC, bundle, require_node, require_packages, run_node
from support.sample_events import doubted_logs
from support.transcripts import delivered

from celery_wsprogress import __version__
from celery_wsprogress.protocol import close_codes

SIZES = {"client": 8 * 1024, "element": 6 * 1024}


@pytest.mark.parametrize("file", ["pure.test.mjs", "dashboard.test.mjs"])
def test_the_pure_modules_do_what_they_should(file):
    require_node()
    said = run_node("--test", file)
    assert re.search(r"^# pass [1-9]\d+$", said, re.MULTILINE)


@pytest.fixture(scope="module")
def fold():
    """Give frames to the reducer, in a Node that stays; returns the snapshot it comes to."""
    require_node()
    pipe = subprocess.PIPE
    command = ["node", "fold.mjs"]
    with subprocess.Popen(command, cwd=STATIC, stdin=pipe, stdout=pipe, text=True) as node:

        def fold(frames):
            node.stdin.write(json.dumps(frames) + "\n")
            node.stdin.flush()
            return json.loads(node.stdout.readline())

        yield fold
        node.stdin.close()


#: What a status that came too late to be delivered adds to the snapshot, or would begin.
UNTOLD = {"queued_at", "received_at", "started_at", "operation_type", "metadata", "tags"}


@given(events=doubted_logs())
def test_the_reducer_comes_to_what_the_sidecar_shows(fold, events):
    frames, snapshot = delivered(events)
    found = fold(frames)
    assert told(found) == told(snapshot)


def told(snapshot):
    return {name: value for name, value in snapshot.items() if name not in UNTOLD}


def test_the_types_hold_and_the_declarations_are_those_that_are_shipped(tmp_path):
    require_packages()
    assert compile_declarations(tmp_path) == ""
    found = shipped(MODULES)
    assert shipped(tmp_path) == found, "generate them: python tests/static/declarations.py"
    assert {one for one in found if "/" not in one} == set(PUBLIC)


def test_the_client_is_small(record_property):
    require_packages()
    size = len(gzip.compress(bundle('export * from "./client.js"').encode(), 9))
    record_property("size: client.js with all it imports", size)
    assert size <= SIZES["client"]


def test_the_element_is_small(record_property):
    require_packages()
    client = ("client", "client/protocol", "client/close_codes", "client/reducer")
    client = [f"./{one}.js" for one in client]
    size = len(gzip.compress(bundle('export * from "./element.js"', *client).encode(), 9))
    record_property("size: element.js with all it imports but the client", size)
    both = len(gzip.compress(bundle('export * from "./element.js"').encode(), 9))
    record_property("size: element.js and client.js together", both)
    assert size <= SIZES["element"]
    assert both <= sum(SIZES.values())


def test_the_version_is_that_of_the_python_package():
    assert json.loads((MODULES / "package.json").read_text())["version"] == __version__


def test_nothing_is_imported_from_elsewhere():
    modules = set(MODULES.rglob("*.js"))
    folders = {str(one.parent.relative_to(MODULES)) for one in modules}
    assert folders == {".", "client", "element", "dashboard", "dashboard/model", "dashboard/view"}
    for module in modules:
        imported = re.findall(r'(?:\bfrom|^import) "([^"]+)";', module.read_text(), re.MULTILINE)
        elsewhere = {"react"} if module.name == "react.js" else set()
        found = {(module.parent / one).resolve() for one in set(imported) - elsewhere}
        assert found <= modules, module.name


def test_who_does_not_open_the_dashboard_loads_nothing_of_it():
    for module in {*MODULES.rglob("*.js")} - {*(MODULES / "dashboard").rglob("*.js")}:
        assert "dashboard/" not in module.read_text(), module.name


def test_the_close_codes_are_those_of_the_python_client():
    require_node()
    script = """
        const codes = await import(process.argv[1]);
        const { isFinal, restartDelay, LOST, UNREADABLE, RESTARTING } = codes;
        const final = Array.from({ length: 6000 }, (_, code) => code).filter(isFinal);
        const delay = restartDelay(RESTARTING, '{"retry_ms": 1e9}');
        console.log(JSON.stringify({ LOST, UNREADABLE, RESTARTING, final, delay }));
    """
    module = str(MODULES / "client" / "close_codes.js")
    found = json.loads(run_node("--input-type=module", "-e", script, module))
    assert found == {
        "LOST": close_codes.LOST,
        "UNREADABLE": close_codes.UNREADABLE,
        "RESTARTING": close_codes.RESTARTING,
        "final": [code for code in range(6000) if close_codes.is_final(code)],
        "delay": close_codes.restart_delay(close_codes.RESTARTING, '{"retry_ms": 1e9}'),
    }
