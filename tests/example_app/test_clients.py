"""The clients that are made to be copied, on Redis and on RabbitMQ.

Each watches a real Celery task, and an operation that ``ws_manager`` made.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
import uuid
from contextlib import ExitStack
from pathlib import Path

import pytest
import scenario
from support.conditions import eventually
from support.event_log import log_writer
from support.programs import PROJECTS, Piped, environment
from support.sample_events import completed, error, log, progress, status
from support.sidecars import SidecarProcess, SidecarThread
from support.workers import Worker

from celery_wsprogress.brokers import BrokerAddress

CLIENTS = Path(__file__).parents[2] / "example_app" / "clients"
SCREENSHOTS = Path(__file__).parents[1] / "screenshots"


class Stack:
    """A broker with a worker and a sidecar; operations of two kinds begin in it."""

    def __init__(self, broker, backend, closes):
        self._broker = broker
        self._app = scenario.make_app(broker, backend)
        self._closes = closes
        closes.enter_context(Worker("scenario", broker=broker, backend=backend))
        self.sidecar = closes.enter_context(SidecarProcess(broker))

    def start(self, kind, gate):
        """Begin an operation that waits for the gate; returns its id."""
        return getattr(self, f"_start_{kind}")(gate)

    def _start_task(self, gate):
        return self._app.tasks["scenario.steps"].delay(str(gate)).id

    def _start_manager(self, gate):
        program = subprocess.Popen(
            [sys.executable, "managed.py", str(gate)],
            cwd=PROJECTS,
            env=environment(WSPROGRESS_URL=self._broker),
            stdout=subprocess.PIPE,
            text=True,
        )
        self._closes.callback(_end, program)
        return program.stdout.readline().strip()

    def subscriptions(self):
        with urllib.request.urlopen(f"{self.sidecar.http}/status", timeout=30) as response:
            return json.loads(response.read())["stats"]["subscriptions"]

    def fail(self, path):
        return self._app.tasks["scenario.second_time_lucky"].delay(str(path)).id


def _end(program):
    program.kill()
    program.wait(60)
    program.stdout.close()


@pytest.fixture(scope="module", params=["redis", "rabbitmq"])
def stack(request):
    backend = request.getfixturevalue("redis_server").url
    broker = request.getfixturevalue(f"{request.param}_server").url
    with ExitStack() as closes:
        yield Stack(broker, backend, closes)


@pytest.fixture(params=["task", "manager"])
def kind(request):
    return request.param


@pytest.fixture
def gate(tmp_path):
    return tmp_path / "gate"


@pytest.fixture
def served(redis_url):
    with SidecarThread(BrokerAddress(redis_url)) as sidecar:
        yield sidecar


@pytest.fixture
def write(redis_url):
    with log_writer(redis_url) as write:
        yield write


# The one for a terminal.


@pytest.fixture
def client(tmp_path):
    """Start a mode of the client, from a copy of the file in a folder of its own."""
    copy = shutil.copy(CLIENTS / "client.py", tmp_path / "client.py")

    def client(mode, url):
        return Piped(mode, command=[sys.executable, copy], WSPROGRESS_WS_URL=url)

    return client


def test_it_imports_nothing_of_this_package():
    tree = ast.parse((CLIENTS / "client.py").read_text())
    froms = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    plain = {
        one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names
    }
    packages = {name.partition(".")[0] for name in froms | plain}
    assert packages - sys.stdlib_module_names == {"websockets"}


def test_an_operation_to_its_end(stack, client, kind, gate):
    operation_id = stack.start(kind, gate)
    with client(operation_id, stack.sidecar.url) as watch:
        watch.wait_for(r" 25% \[#####\.+\] quarter\n")
        watch.wait_for("warning: careful")
        gate.touch()
        assert watch.wait() == 0
    assert watch.stderr == ""
    assert 'result: {"parts": 4}\n' in watch.stdout
    assert re.search(r"completed in \d+\.\d s\n$", watch.stdout)


def test_an_operation_that_fails(stack, client, tmp_path):
    with client(stack.fail(tmp_path / "tried"), stack.sidecar.url) as watch:
        assert watch.wait() == 1
    assert "error: ValueError: not the first time\n" in watch.stdout


def test_monitor(stack, client, kind, gate):
    gate.touch()
    with client("monitor", stack.sidecar.url) as monitor:
        eventually(lambda: stack.subscriptions() == 1)
        first = stack.start(kind, gate)
        monitor.wait_for(f"{first[:8]}  completed in")
        assert monitor.end(signal.SIGINT) == 130
    assert monitor.stderr == ""
    assert f"{first[:8]}  started" in monitor.stdout


def test_stats(stack, client):
    with client("stats", stack.sidecar.url) as stats:
        assert stats.wait() == 0
    assert re.search(r"^connected_clients +1$", stats.stdout, re.MULTILINE)
    assert "active_operations" in stats.stdout


def test_interactive(stack, client, kind, gate):
    operation_id = stack.start(kind, gate)
    with client("interactive", stack.sidecar.url) as one:
        one.type(f"subscribe {operation_id}\n")
        one.wait_for("warning: careful")
        one.type(f"get {operation_id}\nget nobody\ndance\n\nstats\n")
        one.wait_for(r"subscriptions +1\n")
        gate.touch()
        one.wait_for("completed in")
        one.type("quit\n")
        assert one.wait() == 0
    assert re.search(r"^metadata +\{.*\}$", one.stdout, re.MULTILINE)
    assert "Unknown command: dance" in one.stdout
    assert one.stderr == ""


@pytest.mark.parametrize("source", ["pipe", "file"])
def test_interactive_ends_with_its_input(served, client, tmp_path, source):
    if source == "pipe":
        with client("interactive", served.url) as one:
            one.type("stats\n")
            one.process.stdin.close()
            assert one.wait() == 0
        assert "connected_clients" in one.stdout
        return
    typed = tmp_path / "typed"
    typed.write_text("stats")
    with typed.open() as stdin:
        done = subprocess.run(
            [sys.executable, CLIENTS / "client.py", "interactive"],
            env=environment(WSPROGRESS_WS_URL=served.url),
            stdin=stdin, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "connected_clients" in done.stdout


def test_a_sidecar_is_killed_and_restarted(redis_url, write, client):
    with SidecarProcess(redis_url) as sidecar, client("op-1", sidecar.url) as watch:
        write(status("started", metadata={}), log("one"))
        watch.wait_for("info: one")
        sidecar.kill()
        write(log("two"), completed(duration=1.0))
        sidecar.start()
        assert watch.wait() == 0
    said = [line.split("  ")[1].strip() for line in watch.stdout.splitlines()]
    assert said == ["started", "info: one", "info: two", "completed in 1.0 s"]


def test_nobody_there(client):
    with client("stats", "ws://localhost:1") as stats:
        assert stats.wait() == 2
    assert stats.stdout == ""
    assert "ws://localhost:1" in stats.stderr
    assert "celery-wsprogress serve" in stats.stderr


def test_what_a_task_says_is_not_obeyed(served, write, client):
    write(log("\x1b[2J\nnext"), error())
    with client("op-1", served.url) as watch:
        assert watch.wait() == 1
    assert "\x1b" not in watch.stdout
    assert watch.stdout.count("\n") == 2


# The one for a browser.


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 820, "height": 900})
    page = context.new_page()
    complaints = []
    page.on("pageerror", lambda failure: complaints.append(str(failure)))
    page.goto((CLIENTS / "client.html").as_uri())
    yield page
    context.close()
    assert complaints == []


def expect(page, selector):
    from playwright.sync_api import expect

    return expect(page.locator(selector))


def connect(page, url, operation_id):
    page.fill("#url", url)
    page.fill("#id", operation_id)
    page.click("#button")
    expect(page, "#connection").to_have_text(f"Connected to {url}")


def take_screenshot(page, name):
    """For people to look at; the name is of one test only."""
    SCREENSHOTS.mkdir(exist_ok=True)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=SCREENSHOTS / f"client_{name}_{scheme}.png")


@pytest.mark.browser
def test_a_page_from_disk_shows_an_operation_to_its_end(request, stack, page, kind, gate):
    which = request.node.callspec.id
    operation_id = stack.start(kind, gate)
    connect(page, stack.sidecar.url, operation_id)
    expect(page, "#bar").to_have_attribute("aria-valuenow", "25")
    expect(page, "#message").to_have_text("quarter")
    expect(page, "#log li.warning").to_contain_text("careful")
    expect(page, "#connected_clients").to_have_text("1")
    take_screenshot(page, f"{which}_running")
    gate.touch()
    expect(page, "#state").to_have_text(re.compile(r"completed in \d+\.\d s"))
    expect(page, "#percent").to_have_text("100 %")
    expect(page, "#log").to_contain_text('{"parts":4}')
    take_screenshot(page, f"{which}_completed")
    page.click("#button")
    expect(page, "#connection").to_have_text("Disconnected")


@pytest.mark.browser
def test_a_page_shows_an_operation_that_fails(stack, page, tmp_path):
    connect(page, stack.sidecar.url, stack.fail(tmp_path / "tried"))
    expect(page, "#state").to_have_text("error")
    expect(page, "#log li.error").to_contain_text("ValueError: not the first time")


@pytest.mark.browser
def test_a_page_connects_disconnects_and_watches_something_else(served, write, page):
    write(log("first"), log("second", operation_id="op-2"))
    connect(page, served.url, "op-1")
    expect(page, "#log").to_contain_text("first")
    page.click("#button")
    eventually(lambda: served.sidecar.stats()["connected_clients"] == 0)
    connect(page, served.url, "op-2")
    expect(page, "#log").to_contain_text("second")
    assert page.locator("#log li").count() == 1
    connect_again = page.locator("#button")
    connect_again.click()
    page.fill("#id", "*")
    connect_again.click()
    expect(page, "#connection").to_contain_text("may watch by exact id only")


@pytest.mark.browser
def test_a_page_comes_back_and_shows_nothing_twice(redis_url, write, page):
    with SidecarProcess(redis_url) as sidecar:
        connect(page, sidecar.url, "op-1")
        write(status("started", metadata={}), log("one"))
        expect(page, "#log").to_contain_text("one")
        sidecar.kill()
        expect(page, "#connection").to_contain_text("trying again")
        write(log("two"))
        sidecar.start()
        expect(page, "#log").to_contain_text("two")
        assert page.locator("#log li").count() == 3


@pytest.mark.browser
def test_what_a_task_says_becomes_text(served, write, page):
    bad = "<img src=x onerror='document.title=1'>"
    write(
        status(bad, message=bad),
        progress(0.5, message=bad),
        log(bad),
        error(bad),
    )
    connect(page, served.url, "op-1")
    expect(page, "#log li.error").to_contain_text(bad)
    assert page.locator("img").count() == 0
    assert page.title() == "Operation"


@pytest.mark.browser
@pytest.mark.parametrize("url", ["nonsense://x", "ws://localhost:1"])
def test_an_address_where_nobody_is(page, url):
    page.fill("#url", url)
    page.fill("#id", str(uuid.uuid4()))
    page.click("#button")
    expect(page, "#connection").to_have_text(re.compile("sidecar"))
