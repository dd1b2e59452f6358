"""Every example in the README and the documentation runs."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import re
import shlex
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlencode

import jwt
import msgspec
import pytest
from celery.bin.celery import celery as celery_cli
from celery.contrib.testing.worker import start_worker
from click.testing import CliRunner
from fastapi.responses import HTMLResponse
from support.asgi_servers import asgi_server
from support.asyncio_runner import run_within
from support.conditions import eventually
from support.event_log import log_writer
from support.node import MODULES, bundle, require_packages
from support.pages import web_server
from support.ports import free_port
from support.sample_events import completed, status
from support.sidecars import SidecarThread

from celery_wsprogress import StreamingTask, log_handler, setting_sources, settings
from celery_wsprogress.brokers import BrokerAddress
from celery_wsprogress.brokers.address import broker_address
from celery_wsprogress.cli import main
from celery_wsprogress.hub import commands
from celery_wsprogress.hub.history_page import newest_events
from celery_wsprogress.protocol import batches

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "docs" / "tutorial" / "without-a-task.md"
FIRST_BAR = ROOT / "docs" / "tutorial" / "first-bar.md"
TASKS = ROOT / "docs" / "howto" / "report-progress.md"
TRACK = ROOT / "docs" / "howto" / "track.md"
ASGI = ROOT / "docs" / "howto" / "asgi.md"
FASTAPI = ROOT / "docs" / "howto" / "fastapi.md"
CANCEL = ROOT / "docs" / "howto" / "cancel.md"
LOGS = ROOT / "docs" / "howto" / "logs.md"
STREAMS = ROOT / "docs" / "howto" / "streams.md"
TRACING = ROOT / "docs" / "howto" / "tracing.md"
WORKFLOWS = ROOT / "docs" / "howto" / "workflows.md"
WATCH = ROOT / "docs" / "howto" / "watch-from-python.md"
MCP = ROOT / "docs" / "howto" / "mcp.md"
LIBRARIES = ROOT / "docs" / "howto" / "libraries.md"
SERVER_SENT_EVENTS = ROOT / "docs" / "howto" / "server-sent-events.md"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if "_" not in {part[0] for part in page.relative_to(ROOT).parts}]
TOKENS = {"authenticate.md", "monitor.md"}
KEY = "k" * 40
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: Diffs are applied by tests/test_coming_from.py.
LANGUAGES = {"python", "bash", "diff", "html", "javascript", "json", "jsx", "text"}


def blocks(language):
    return [
        pytest.param(page, text, id=f"{page.name}-{number}")
        for page in PAGES
        for number, (kind, text) in enumerate(_BLOCK.findall(page.read_text()))
        if kind == language
    ]


def examples_of_browser(language):
    return [one for one in blocks(language) if one.values[0].name == "javascript-api.md"]


def python_blocks(page):
    return [text for kind, text in _BLOCK.findall(page.read_text()) if kind == "python"]


def python_of(page):
    """The Python of a page in one text: what a block imports from the first one is there."""
    return re.sub(r"^from proj import .*\n", "", "\n".join(python_blocks(page)), flags=re.MULTILINE)


def in_memory(text):
    """The same with a broker and a backend in this process."""
    results = f'backend="{DOCUMENTED_URL}"'
    return text.replace(results, 'backend="cache+memory://"').replace(DOCUMENTED_URL, "memory://")


def block_of(page, language):
    """The only block of a language."""
    [text] = [text for kind, text in _BLOCK.findall(page.read_text()) if kind == language]
    return text


def run_page(page, text, **names):
    """Run Python of a page as a module of its own; return what it defines.

    The module's name is the page's: tasks of one name in one process are one to Celery, whatever
    app they are of (``shared=True`` of ``Celery.task``).
    """
    names = {"__name__": page.stem.replace("-", "_"), **names}
    exec(compile(text, str(page), "exec"), names)
    return names


def app_of(page):
    """The app of a page. Messages that other pages left in memory are of tasks unknown to it."""
    app = page["app"]
    app.conf.broker_transport_options = {"polling_interval": 0.02}
    return app


def test_every_block_is_of_a_language_that_is_run_here():
    kinds = {kind for page in PAGES for kind, _ in _BLOCK.findall(page.read_text())}
    assert kinds <= LANGUAGES


@pytest.mark.parametrize(("page", "text"), blocks("json"))
def test_a_frame_is_one_of_the_protocol(page, text):
    event = json.loads(text)
    if "command" in event:
        assert event["command"] in commands.COMMANDS
        return
    assert event["event_type"] in {"progress", "status"}
    batch = batches.decode_batch(batches.join_batch("w", 1, [text.encode()]))
    assert msgspec.to_builtins(batch.events[0]) == event


@pytest.mark.parametrize(("page", "text"), blocks("bash"))
def test_a_command_is_one_that_exists(page, text):
    for line in text.splitlines():
        check_command(line)


def check_command(line):
    program, *arguments = shlex.split(line)
    if program == "celery-wsprogress":
        # Parsed like the real thing; --help after it keeps it from doing it.
        outcome = CliRunner().invoke(main, [*arguments, "--help"])
        assert outcome.exit_code == 0, outcome.output
        if arguments[0] != "--version":
            command = main.get_command(None, arguments[0])
            command.make_context(arguments[0], arguments[1:])
    elif program == "celery":
        assert arguments[0] == "-A"
        assert celery_cli.get_command(None, arguments[2]) is not None
    elif program == "python":
        check_manage(arguments)
    elif program == "curl":
        url = next(one for one in arguments if one.startswith("http://"))
        path = url.removeprefix("http://localhost:8765")
        known = {"/healthz", "/readyz", "/status", "/metrics", "/operations/<task"}
        assert path in {*known, "/operations/<task-id>/events"}
    elif program == "make":
        assert re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif program == "pip":
        assert arguments[:2] == ["install", "celery-wsprogress"]
        assert {*arguments[2:]} <= {"mcp"}
    elif program == "export":
        check_variable(line)
    else:
        raise AssertionError(f"nothing here knows how to check: {line}")


def check_manage(arguments):
    script, command, *more = arguments
    assert script == "manage.py"
    if command == "wsprogress":
        check_command(shlex.join(["celery-wsprogress", *more]))
    else:
        assert command in {"check", "migrate", "runserver"}


def check_variable(line):
    name, value = line.removeprefix("export ").split("=", 1)
    if name == "WSPROGRESS_KEY":
        check_key(line)
    elif name == "WSPROGRESS_URL":
        assert value == DOCUMENTED_URL
    elif name == "ENABLE_WEBSOCKET":
        assert setting_sources.websocket_enabled({name: value})
    else:
        found = setting_sources.from_environ({name: value}, settings.ServeSettings)
        assert settings.ServeSettings.load(found).port == int(value)


def check_key(line):
    python = Path(sys.executable).parent
    script = f'PATH="{python}:$PATH"; {line}; printf %s "$WSPROGRESS_KEY"'
    made = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert settings.ServeSettings.load({"key": made.stdout}).key


def test_the_tasks_of_the_documentation_run():
    """On a worker by threads, watched by a sidecar; each of them is seen to its end."""
    page = run_page(TASKS, in_memory(python_of(TASKS)))
    app = app_of(page)
    with (
        start_worker(app, pool="threads", concurrency=2, perform_ping_check=False),
        SidecarThread(broker_address(app)) as sidecar,
    ):
        hub = sidecar.sidecar.hub
        calls = {
            "import_rows": [[1, 2]],
            "convert": [["a.png", "b.png"]],
            "publish": ["a.pdf"],
            "parallel": [],
        }
        for name, arguments in calls.items():
            headers = {"wsprogress": {"tags": ["nightly"]}}
            task_id = page[name].apply_async(arguments, headers=headers).id
            found = eventually(
                lambda: (seen := hub.get(task_id)) and seen["state"] == "completed" and seen  # noqa: B023
            )
            assert found["tags"] == ["nightly"]
        assert hub.counts["malformed"] == 0


def test_the_loops_and_phases_of_the_documentation_run():
    page = run_page(TRACK, in_memory(python_of(TRACK)))
    app = app_of(page)
    calls = {
        "import_rows": (["a", "b"], {2}, {}),
        "convert": (["a.png"], {1}, {}),
        "publish": (["a", "b"], {None}, {"Download": 0.3, "Convert": 0.7}),
        "report": (["May"], {None}, {"Collect": 0.25, "Render": 0.75}),
        "upload": ([10, 20], {10, 20, 30}, {"Upload": 1.0}),
        "summary": (["May"], {1}, {"Read": 0.5}),
    }
    with (
        start_worker(app, pool="threads", concurrency=2, perform_ping_check=False),
        SidecarThread(broker_address(app)) as sidecar,
    ):
        for name, (argument, totals, weights) in calls.items():
            seen = _completed(sidecar.sidecar.hub, page[name].delay(argument).id)
            assert seen["total"] in totals, name
            phases = seen["details"].get("phases", [])
            assert {one["name"]: one["weight"] for one in phases} == weights
            assert {one["state"] for one in phases} <= {"completed"}


def test_the_tasks_with_bars_of_their_own_are_seen_to_their_end(tmp_path, monkeypatch):
    # A module, which child processes import.
    (tmp_path / "proj_with_bars.py").write_text(in_memory(python_of(LIBRARIES)))
    monkeypatch.syspath_prepend(tmp_path)
    page = vars(importlib.import_module("proj_with_bars"))
    app = app_of(page)
    with (
        start_worker(app, pool="threads", concurrency=2, perform_ping_check=False),
        SidecarThread(broker_address(app)) as sidecar,
    ):
        hub = sidecar.sidecar.hub
        for name in ("import_rows", "convert", "export", "count", "fetch_all", "resize_all"):
            seen = _completed(hub, page[name].delay(["a", "b", "c"]).id)
            assert (seen["current"], seen["total"]) == (3, 3), name
        told = page["collect"].delay(["a", "b", "c"]).id
        _completed(hub, told)


def test_the_tasks_of_the_documentation_can_be_cancelled():
    page = run_page(CANCEL, in_memory(python_of(CANCEL)))
    app = app_of(page)
    ends = {}
    with (
        start_worker(app, pool="threads", concurrency=2, perform_ping_check=False),
        SidecarThread(broker_address(app)) as sidecar,
    ):
        hub = sidecar.sidecar.hub
        for name in ("import_rows", "collect"):
            result = page[name].delay(list(range(10_000)))
            eventually(lambda: (seen := hub.get(result.id)) and seen["state"] == "running")  # noqa: B023

            def end(result=result):
                # Again: a worker takes tasks before it listens to commands.
                result.revoke()
                return (seen := hub.get(result.id)) and seen["finished_at"] and seen["state"]

            ends[name] = eventually(end, interval=0.5)
    assert ends["import_rows"] == "cancelled"
    assert ends["collect"] in {"completed", "cancelled"}


@pytest.fixture
def log_filters():
    """Nothing that a page changes about logs outlives the test."""
    handler, loggers = log_handler(), (logging.getLogger(), logging.getLogger("celery.task"))
    yield
    handler.filters.clear()
    for one in loggers:
        one.removeHandler(handler)


def test_the_lines_of_the_documentation_are_seen(log_filters, monkeypatch):
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    page = run_page(LOGS, in_memory(python_of(LOGS)))
    app = app_of(page)
    with (
        start_worker(app, pool="threads", concurrency=2, perform_ping_check=False),
        SidecarThread(broker_address(app)) as sidecar,
    ):
        # The worker sets the level of the root logger.
        page["logger"].setLevel(logging.INFO)
        hub, shown = sidecar.sidecar.hub, {}
        for name, arguments in {"import_rows": [[1]], "legacy": [], "call_api": ["abc"]}.items():
            task_id = page[name].delay(*arguments).id
            _completed(hub, task_id)
            shown[name] = [(one["logger"], one["message"]) for one in lines_of(hub, task_id)]
    assert shown == {
        "import_rows": [("logs", "importing 1 rows"), ("logs", "row 1 has no date")],
        "legacy": [("stdout", "reading the old files")],
        "call_api": [("logs", "calling with token=…")],
    }


def test_the_task_of_the_documentation_carries_its_trace():
    page = run_page(TRACING, in_memory(python_of(TRACING)))
    with (
        start_worker(app_of(page), pool="threads", concurrency=1, perform_ping_check=False),
        SidecarThread(broker_address(app_of(page))) as sidecar,
    ):
        seen = _completed(sidecar.sidecar.hub, page["order"]([1, 2]).id)
    trace_id, span_id = page["trace_of"](seen)
    assert (len(trace_id), len(span_id)) == (32, 16)
    assert int(trace_id, 16)


def lines_of(hub, operation_id, kind="log"):
    """The data of its log lines, or of its events of another type."""
    events, _ = newest_events(hub.store.get(operation_id).history, 100, 1_000_000)
    events = [json.loads(one) for one in events]
    return [one["data"] for one in events if one["event_type"] == kind]


def test_the_streams_of_the_documentation_are_seen(capsys):
    page = run_page(STREAMS, in_memory(python_of(STREAMS)))
    app = app_of(page)
    with (
        start_worker(app, pool="threads", concurrency=2, perform_ping_check=False),
        SidecarThread(broker_address(app)) as sidecar,
    ):
        hub, shown = sidecar.sidecar.hub, {}
        for name in ("ask", "search"):
            task_id = page[name].delay("what").id
            _completed(hub, task_id)
            if name == "ask":
                run_within(page["follow"](task_id, sidecar.url))
            for one in lines_of(hub, task_id, "chunk"):
                shown.setdefault(one["stream"], []).append(one["chunk"])
    hits, answer, notes = (shown.pop(name) for name in ("hits", "answer", "notes"))
    assert hits == [*({"row": row, "word": "what"} for row in range(3)), None]
    assert "".join(answer[:-1]) == "The answer is 42."
    assert "The answer is 42." in capsys.readouterr().out
    assert "".join(notes[:-1]) == "searching for what\ndone\n"
    assert not shown


def shapes_of(page):
    """The rows of a table: what is sent, and the id to watch, both as Python."""
    found = []
    for line in page.read_text().splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 4 and cells[3].endswith("result.id`"):
            found.append([cell.strip("`").replace("\\|", "|") for cell in (cells[1], cells[3])])
    return found


def test_each_id_of_the_documentation_is_one_to_watch():
    """On a worker by threads; each canvas of the table is seen to its end under its id."""
    shapes, text = shapes_of(WORKFLOWS), in_memory(python_of(WORKFLOWS))
    page = run_page(WORKFLOWS, text.partition("heavy =")[0], __name__="proj")
    assert len(shapes) > 10
    app = app_of(page)
    with (
        start_worker(app, pool="threads", concurrency=2, perform_ping_check=False),
        SidecarThread(broker_address(app)) as sidecar,
    ):
        hub = sidecar.sidecar.hub
        for canvas, held in shapes:
            page["result"] = eval(canvas, page).apply_async()
            seen = _completed(hub, eval(held, page))
            assert seen["progress"] == 1.0, canvas
        app.set_current()
        page = run_page(WORKFLOWS, "heavy =" + text.partition("heavy =")[2], **page)
        page["heavy"].apply_async()
        assert _completed(hub, page["started"].operation_id)["metadata"] == {"order": 7}


def test_the_loops_of_the_documentation_watch_tasks(monkeypatch, capsys):
    """The first block on a worker by threads, the others before a sidecar, in a thread."""
    first, *others = python_blocks(WATCH)
    page = run_page(WATCH, in_memory(first))
    monkeypatch.setitem(sys.modules, "proj", SimpleNamespace(**page))
    app, shown = app_of(page), {}
    with (
        start_worker(app, pool="threads", concurrency=2, perform_ping_check=False),
        SidecarThread(broker_address(app)) as sidecar,
        ThreadPoolExecutor(1) as thread,
    ):
        monkeypatch.setenv("WSPROGRESS_WS_URL", sidecar.url)
        for text in others:
            shown |= thread.submit(run_page, WATCH, text).result()
    assert shown["outcome"].result == {"rows": 3}
    lines = capsys.readouterr().out.splitlines()
    assert {"100% Importing", "{'rows': 3}", "[1, 2, 3]"} <= {*lines}
    assert [line for line in lines if line.startswith("completed ")]


@pytest.fixture(scope="module")
def tool():
    """The tool of the documentation before a worker by threads: what it defines, and the hub."""
    page = run_page(MCP, in_memory(python_of(MCP)))
    app = app_of(page)

    @app.task(base=StreamingTask, name="mcp.fail")
    def fail(rows):
        raise ValueError("row 2 has no date")

    @app.task(base=StreamingTask, bind=True, name="mcp.go_on")
    def go_on(self, rows):
        self.update_progress(0.5)
        while True:
            self.raise_if_cancelled()
            time.sleep(0.01)

    with (
        start_worker(app, pool="threads", concurrency=2, perform_ping_check=False),
        SidecarThread(broker_address(app)) as sidecar,
        pytest.MonkeyPatch.context() as monkeypatch,
    ):
        monkeypatch.setenv("WSPROGRESS_WS_URL", sidecar.url)
        # It takes tasks before it hears what is to be cancelled.
        eventually(lambda: app.control.ping(timeout=1))
        # Late: it takes a second.
        import mcp

        yield {**page, "tasks": app.tasks, "Client": mcp.Client}, sidecar.sidecar.hub


def test_the_tool_of_the_documentation_tells_how_far_its_task_is(tool):
    page, _ = tool

    async def call(told):
        async def progress(*said):
            told.append(said)

        async with page["Client"](page["server"]) as client:
            rows = {"rows": ["a", "b", "c"]}
            return await client.call_tool("import_table", rows, progress_callback=progress)

    answer = run_within(call(told := []))
    assert answer.structured_content == {"rows": 3}
    assert told[-1] == (1.0, 1.0, "row c")


def test_the_tool_of_the_documentation_says_why_its_task_failed(tool, monkeypatch):
    page, _ = tool
    monkeypatch.setattr(page["import_rows"], "delay", page["tasks"]["mcp.fail"].delay)

    async def call():
        async with page["Client"](page["server"]) as client:
            return await client.call_tool("import_table", {"rows": []})

    answer = run_within(call())
    assert answer.is_error
    assert "row 2 has no date" in answer.content[0].text


def test_who_cancels_the_call_of_the_tool_cancels_its_task(tool, monkeypatch):
    page, hub = tool
    monkeypatch.setattr(page["import_rows"], "delay", page["tasks"]["mcp.go_on"].delay)

    async def call():
        runs = asyncio.Event()

        async def progress(*_):
            runs.set()

        async with page["Client"](page["server"]) as client:
            call = client.call_tool("import_table", {"rows": []}, progress_callback=progress)
            calling = asyncio.create_task(call)
            await runs.wait()
            calling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await calling

    run_within(call())
    [record, *_] = hub.store.newest_first()
    eventually(lambda: hub.get(record.operation_id)["state"] == "cancelled")


def _completed(hub, operation_id):
    return eventually(
        lambda: (seen := hub.get(operation_id)) and seen["state"] == "completed" and seen,
        what=f"the end of {operation_id}",
    )


@pytest.mark.parametrize("name", sorted(TOKENS))
def test_the_token_of_the_documentation_holds(monkeypatch, name):
    monkeypatch.setenv("WSPROGRESS_KEY", KEY)
    howto = ROOT / "docs" / "howto" / name
    page = run_page(howto, python_of(howto))
    assert page["token"].count(".") == 2


@pytest.mark.browser
def test_the_asgi_application_of_the_documentation_serves_its_page(redis_url, browser):
    """On a worker by threads, in a real page: by the element, and by server-sent events."""
    text, html = python_of(ASGI), block_of(ASGI, "html")
    page = run_page(ASGI, text.replace(DOCUMENTED_URL, redis_url))

    @page["api"].get("/page/{task_id}", response_class=HTMLResponse)
    def show(task_id: str):
        return html.replace("TASK-ID", task_id)

    with (
        start_worker(page["celery"], pool="threads", concurrency=1, perform_ping_check=False),
        asgi_server(page["app"]) as address,
    ):
        tab = browser.new_page()
        tab.goto(f"http://{address}/page/none")
        task_id = tab.evaluate(START_IMPORT)
        tab.goto(f"http://{address}/page/{task_id}")
        tab.wait_for_selector("#latest >> text=completed")
        tab.wait_for_selector("celery-progress[state=completed]")
        assert tab.evaluate("fetch('/wsprogress/operations/other').then(one => one.status)") == 403
        tab.close()


def test_a_logged_in_user_of_the_documentation_gets_tokens_for_nobody_else(redis_url, monkeypatch):
    monkeypatch.setenv("WSPROGRESS_KEY", KEY)
    [text] = [text for kind, text in _BLOCK.findall(FASTAPI.read_text()) if "current_user" in text]
    page = run_page(FASTAPI, text.replace(DOCUMENTED_URL, redis_url))
    with asgi_server(page["app"]) as address:

        def ask(path, user, body=None):
            headers = {"X-User": user, "Content-Type": "application/json"}
            request = urllib.request.Request(f"http://{address}{path}", body, headers)
            try:
                with urllib.request.urlopen(request, timeout=60) as response:
                    return json.load(response)
            except urllib.error.HTTPError as refused:
                return refused.code

        started = ask("/imports", "anna", b"[1, 2]")
        again = ask(f"/imports/{started['task']}/token", "anna")
        assert ask(f"/imports/{started['task']}/token", "bert") == 404
    for token in (started["token"], again):
        claims = jwt.decode(token, KEY, algorithms=["HS256"])
        assert (claims["ids"], claims["sub"]) == ([started["task"]], "anna")


@pytest.mark.browser
def test_the_page_of_the_documentation_watches_without_our_javascript(redis_url, browser, tmp_path):
    text = block_of(SERVER_SENT_EVENTS, "html").replace("TASK-ID", "sse-page")
    with SidecarThread(BrokerAddress(redis_url)) as sidecar, log_writer(redis_url) as write:
        text = text.replace("http://localhost:8765", sidecar.http)
        (tmp_path / "page.html").write_text(text)
        tab = browser.new_page()
        with web_server(tmp_path) as root:
            tab.goto(f"{root}/page.html")
            write(status("started", operation_id="sse-page"))
            tab.wait_for_selector("#latest >> text=/status|snapshot/", timeout=60_000)
            write(completed(operation_id="sse-page"))
            tab.wait_for_selector("#latest >> text=completed", timeout=60_000)
        tab.close()


#: As a page of the application would start it.
START_IMPORT = """
    async () => {
      const headers = { "Content-Type": "application/json" };
      const answer = await fetch("/imports", { method: "POST", headers, body: "[1, 2, 3]" });
      return await answer.json();
    }
"""


def test_no_other_page_holds_python_that_nothing_runs():
    of_one_app = (TASKS, TRACK, LOGS, STREAMS, TRACING, CANCEL, WORKFLOWS, LIBRARIES, WATCH)
    of_tasks = {page.name for page in (FIRST_BAR, *of_one_app)}
    run = {*of_tasks, *STANDALONE, *OF_DJANGO}
    assert {page.name for page in PAGES if python_of(page)} == run


#: Each is a project, which tests/contrib/django makes and runs.
OF_DJANGO = {"django.md"}

DOCUMENTED_URL = "redis://localhost:6379/0"
STANDALONE = {
    *(*TOKENS, GUIDE.name, "README.md", "asgi.md", "brokers.md", "eager.md", "fastapi.md"),
    *("flask.md", "flower.md", "mcp.md", "test-your-tasks.md"),
}


def bare(**more):
    """The environment of a reader, of which nothing is set but what a page says."""
    ours = ("WSPROGRESS", "WEBSOCKET", "CELERY", "BROKER", "ENABLE_WEBSOCKET", "PYTEST")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, **more}


def exports_of(page, url):
    """What a page tells to set about the broker, with a broker that there is."""
    told = re.findall(r"^export (WSPROGRESS_URL)=(.*)$", page.read_text(), re.MULTILINE)
    return {name: value.replace(DOCUMENTED_URL, url) for name, value in told}


def run_as_reader(text, url, **environ):
    """Paste a text into a session of its own; the addresses are those that there are."""
    text = text.replace("8765", str(free_port())).replace(DOCUMENTED_URL, url)
    command = [sys.executable, "-c", text]
    return subprocess.run(
        command, capture_output=True, text=True, env=bare(**environ), timeout=600, check=False
    )


@pytest.mark.parametrize("set_as_told", [True, False], ids=["as-told", "nothing-set"])
@pytest.mark.parametrize(
    ("page", "text"), [one for one in blocks("python") if one.values[0].name in STANDALONE]
)
def test_each_block_runs_by_itself(redis_server, page, text, set_as_told):
    environ = exports_of(page, redis_server.url) if set_as_told else {}
    ran = run_as_reader(text, redis_server.url, **environ)
    assert ran.returncode == 0, ran.stderr
    assert "Error" not in ran.stderr
    alone = "Nobody can see the operations" in ran.stderr
    if set_as_told or "start_websocket_background" in text:
        assert not alone


#: Each block in names of its own; all of a page in one process, which is started once.
EACH_BY_ITSELF = """
import json, sys
for text in json.load(sys.stdin):
    exec(compile(text, "<block>", "exec"), {"__name__": "__main__"})
"""


@pytest.mark.parametrize(
    "page", [TASKS, TRACK, LIBRARIES, LOGS, STREAMS, WORKFLOWS], ids=lambda one: one.name
)
def test_a_block_needs_nothing_but_the_first_one_in_its_file(redis_server, tmp_path, page):
    first, *others = (one.replace(DOCUMENTED_URL, redis_server.url) for one in python_blocks(page))
    (tmp_path / "proj.py").write_text(first)
    assert others
    assert "The blocks below import from this one, which is `proj.py`." in page.read_text()
    ran = subprocess.run(
        [sys.executable, "-c", EACH_BY_ITSELF],
        input=json.dumps(others),
        cwd=tmp_path,
        env=bare(PYTHONPATH=f"{tmp_path}:{ROOT}"),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "Error" not in ran.stderr


def test_a_page_runs_from_top_to_bottom_with_nothing_set(redis_server):
    """As with a broker, below; it does not hang where a server starts after the first operation."""
    ran = run_as_reader(python_of(GUIDE), redis_server.url)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.count("Nobody can see the operations of this process") == 1
    assert "WSPROGRESS_URL" in ran.stderr


@pytest.fixture(scope="module")
def guide(redis_server, tmp_path_factory):
    """The guide's Python, run from top to bottom as a program of its own on Redis.

    Returns:
        The ids it made: of an operation that completed, and of one that failed.
    """
    redis_server.clear()
    program = tmp_path_factory.mktemp("guide") / "guide.py"
    said = 'print("ids", report_id, failed_id)\n'
    text = python_of(GUIDE).replace("8765", str(free_port()))
    program.write_text(text + said)
    environment = bare(**exports_of(GUIDE, redis_server.url))
    command = [sys.executable, program]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()[-1].split()[1:]


@pytest.fixture
def sidecar(redis_server):
    with SidecarThread(BrokerAddress(redis_server.url)) as sidecar:
        yield sidecar


def test_the_operations_of_the_guide_ended_as_it_says(guide, sidecar):
    hub = sidecar.sidecar.hub
    report, failed = guide
    found = eventually(lambda: (seen := hub.get(failed)) and seen["state"] == "error" and seen)
    assert found["error_type"] == "ValueError"
    assert hub.get(report)["state"] == "completed"
    held = [one.operation for one in hub.store.newest_first()]
    kinds = {one.operation_type for one in held}
    expected = {"report", "import", "export", "analysis", "conversion", "training", "transfer"}
    assert kinds == expected
    assert {str(one.state) for one in held if one.operation_id != failed} == {"completed"}


@pytest.mark.browser
def test_the_javascript_of_the_guide_shows_an_operation(guide, sidecar, browser):
    [script] = [t for kind, t in _BLOCK.findall(GUIDE.read_text()) if kind == "javascript"]
    page = browser.new_page()
    lines = []
    page.on("console", lambda line: lines.append(line.text))
    page.add_script_tag(content=placed(script, sidecar, guide[0]))
    eventually(lambda: page.evaluate("1") and [one for one in lines if "done in" in one])
    assert "[INFO] reading orders" in lines
    page.close()


@pytest.mark.browser
def test_the_page_of_the_guide_fills_its_bar(guide, sidecar, browser, tmp_path):
    [html] = [t for kind, t in _BLOCK.findall(GUIDE.read_text()) if kind == "html"]
    file = tmp_path / "page.html"
    file.write_text(html.replace("ws://localhost:8765", sidecar.url))
    page = browser.new_page()
    page.goto(f"{file.as_uri()}?{urlencode({'operation': guide[0]})}")
    page.wait_for_selector("text=completed")
    assert page.evaluate("document.getElementById('bar').value") == 1
    page.close()


@pytest.mark.browser
@pytest.mark.parametrize("page", [ROOT / "README.md", FIRST_BAR], ids=lambda page: page.name)
def test_the_three_lines_fill_a_bar(browser, tmp_path, page):
    """The task of the page on a worker, its HTML in a browser, and a bar that fills."""
    [html] = [text for kind, text in _BLOCK.findall(page.read_text()) if kind == "html"]
    text = in_memory(python_of(page))
    names = run_page(page, text)
    app = app_of(names)
    with (
        start_worker(app, pool="threads", concurrency=1, perform_ping_check=False),
        SidecarThread(broker_address(app)) as sidecar,
    ):
        page_file, task_id = tmp_path / "page.html", str(uuid.uuid4())
        page_file.write_text(placed(html, sidecar, task_id))
        page = browser.new_page()
        page.goto(page_file.as_uri())
        eventually(lambda: sidecar.sidecar.stats()["subscriptions"] == 1)
        names["import_rows"].apply_async([list(range(50))], task_id=task_id)
        page.wait_for_selector("celery-progress[state=completed]")
        assert page.get_by_role("progressbar").get_attribute("aria-valuenow") == "100"
        page.close()


def placed(text, sidecar, operation_id):
    """An example with the addresses of a sidecar, and the id of an operation, that there are."""
    text = text.replace("ws://localhost:8765", sidecar.url)
    text = text.replace("http://localhost:8765", sidecar.http)
    return text.replace("550e8400-e29b-41d4-a716-446655440000", operation_id)


@pytest.fixture
def browser_page(browser, site, guide, sidecar):
    """Open an example of the page about browsers, on a site; gives the page and its console."""
    folder, root = site
    context = browser.new_context()

    def browser_page(html):
        page, lines = context.new_page(), []
        page.on("console", lambda line: lines.append(line.text))
        page.on("pageerror", lambda error: lines.append(f"failed: {error}"))
        page.route("**/token?*", lambda route: route.fulfill(body="a token"))
        (folder / "example.html").write_text(placed(html, sidecar, guide[0]))
        page.goto(f"{root}/example.html")
        return page, lines

    yield browser_page
    context.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    with web_server(folder) as root:
        yield folder, root


@pytest.mark.browser
@pytest.mark.parametrize(("_", "html"), examples_of_browser("html"))
def test_an_element_of_the_documentation_shows_an_operation(browser_page, _, html):
    page, lines = browser_page(f"<!doctype html><meta charset=utf-8>{html}")
    page.wait_for_selector("celery-progress[state=completed]")
    if "celery-log" in html:
        eventually(lambda: len(lines) > 1, what="what the page wrote to its console")
        assert lines[0] == "reading orders"
        assert re.fullmatch(r"done [\d.]+", lines[1])
        assert page.get_by_text("Read it").is_visible()


@pytest.mark.browser
@pytest.mark.parametrize(("_", "script"), examples_of_browser("javascript"))
def test_the_scripts_of_the_documentation_run_to_their_end(browser_page, _, script):
    page, lines = browser_page(f"<!doctype html><script type=module>{script}</script>")
    last = "listed true completed" if "client.list" in script else "completed"
    eventually(lambda: page.evaluate("1") and last in lines, what=f"{last!r} among {lines}")
    if "client.list" in script:
        assert lines[0] == "[info] reading orders"
        assert 'result {"pages":4}' in lines
        assert "event completed" in lines


@pytest.mark.browser
@pytest.mark.parametrize(("_", "script"), examples_of_browser("jsx"))
def test_the_components_of_the_documentation_run(browser_page, guide, _, script):
    require_packages()
    mount = (
        'import { createRoot } from "react-dom/client";\n'
        f"createRoot(document.body).render(<App taskId={json.dumps(guide[0])} />);"
    )
    folder_of_modules = f"--alias:celery-wsprogress/react.js={MODULES}/react.js"
    bundled = bundle(
        f"{script.replace('export default', '')}\n{mount}",
        define={"process.env.NODE_ENV": '"production"'},
        options=("--loader=jsx", "--jsx=automatic", folder_of_modules),
    )
    page, lines = browser_page(
        f"<!doctype html><meta charset=utf-8><body><script type=module>{bundled}</script>"
    )
    page.wait_for_selector("celery-progress[state=completed]")
    page.wait_for_selector("p:has-text('pages')")
    page.wait_for_selector("li:has-text('report')")
    assert lines == ["completed"]
