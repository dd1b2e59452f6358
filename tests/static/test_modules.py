"""The browser modules by themselves: their rules, their types, their size, their package."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from contextlib import contextmanager
from random import Random

import pytest
from declarations import PUBLIC, compile_declarations, shipped
from hypothesis import given
from hypothesis import strategies as st
from support.canvases import canvases
from support.node import MODULES, STATIC, bundle, require_node, require_packages, run_node
from support.sample_events import doubted_logs, status
from support.transcripts import delivered
from support.workflow_logs import WorkflowClient, WorkflowLog, write_life

from celery_wsprogress import __version__
from celery_wsprogress.protocol import close_codes

# That of the element was 8 KB until it showed streams, too: a part, and the text of its chunks.
SIZES = {"client": 9 * 1024, "element": 9 * 1024}


@pytest.mark.parametrize("file", ["pure.test.mjs", "dashboard.test.mjs"])
def test_the_pure_modules_do_what_they_should(file):
    require_node()
    said = run_node("--test", file)
    assert re.search(r"^# pass [1-9]\d+$", said, re.MULTILINE)


@contextmanager
def folding(script):
    """Give lines of JSON to a script, in a Node that stays; gives the function for one line."""
    require_node()
    pipe = subprocess.PIPE
    command = ["node", script]
    with subprocess.Popen(command, cwd=STATIC, stdin=pipe, stdout=pipe, text=True) as node:

        def fold(given):
            node.stdin.write(json.dumps(given) + "\n")
            node.stdin.flush()
            return json.loads(node.stdout.readline())

        yield fold
        node.stdin.close()


@pytest.fixture(scope="module")
def fold():
    """Give frames to the reducer; returns the snapshot it comes to."""
    with folding("fold.mjs") as fold:
        yield fold


@pytest.fixture(scope="module")
def fold_tree():
    """Give pages of a tree and snapshots of its tasks; returns the nodes they come to."""
    with folding("tree.mjs") as fold:
        yield fold


#: What a status that came too late to be delivered adds to the snapshot, or would begin.
UNTOLD = {"queued_at", "received_at", "started_at", "operation_type", "metadata", "tags"}


@given(events=doubted_logs())
def test_the_reducer_comes_to_what_the_sidecar_shows(fold, events):
    frames, snapshot = delivered(events)
    found = fold(frames)
    assert told(found) == told(snapshot)


sizes = st.integers(2_600, 2_750) | st.integers(0, 8_100)


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("xé€😀"), sizes), max_size=6))
def test_the_reducer_bounds_metadata_as_the_sidecar_does(fold, values):
    """Also where the bytes of characters outside ASCII decide."""
    each = [
        {name: character * (size // len(character.encode()))} for name, character, size in values
    ]
    events = [status("started", metadata={}), *(status("own", metadata=one) for one in each)]
    frames, snapshot = delivered(events)
    assert fold(frames)["metadata"] == snapshot["metadata"]


@given(canvas=canvases(max_tasks=15), data=st.data())
def test_the_steps_come_to_the_tree_that_the_sidecar_shows(fold_tree, canvas, data):
    tasks = [one.id for one in canvas.tasks]
    failing = set(data.draw(st.lists(st.sampled_from(tasks), max_size=2)))
    random = Random(data.draw(st.integers(0, 2**32)))
    first = data.draw(st.integers(0, 10))
    log = WorkflowLog()
    client = WorkflowClient(log.hub)
    pages, operations = [], []
    for number, _ in enumerate(write_life(log, canvas, failing, random.choice)):
        if number == first:
            pages = pages_of(client, canvas.held)
        elif pages:
            operations += client.ask("list_operations", steps_of=canvas.held)["operations"]
    last = pages_of(client, canvas.held)
    found = fold_tree({"pages": pages or last, "operations": operations})
    shown = [node for page in last for node in page["nodes"]]
    assert [one["state"] for one in found[1:]] == [one["state"] for one in shown]
    bar = client.ask("get_operation", workflow_id=canvas.held)["operation"]
    if bar["state"] != "completed":
        assert found[0]["progress"] == pytest.approx(bar["progress"])
    assert found[0]["total"] == bar["details"]["total"]
    assert found[0]["failed"] == bar["details"]["failed"]
    assert found[0]["ended"] >= bar["details"]["completed"] + bar["details"]["failed"]


def pages_of(client, held):
    """The pages of a tree, of a few nodes each."""
    pages = [client.ask("get_tree", workflow_id=held, limit=3)]
    while pages[-1]["next"]:
        cursor = pages[-1]["next"]
        pages.append(client.ask("get_tree", workflow_id=held, limit=3, cursor=cursor))
    return pages


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
    # Loaded when somebody unfolds the steps of a workflow.
    later = "./element/steps_view.js"
    size = len(gzip.compress(bundle('export * from "./element.js"', *client, later).encode(), 9))
    record_property("size: element.js with all it imports but the client", size)
    both = len(gzip.compress(bundle('export * from "./element.js"', later).encode(), 9))
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
