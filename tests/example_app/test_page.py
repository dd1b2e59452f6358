"""The example's page in a real browser, against the demo as people start it."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import skip_or_fail
from demos import Demo
from servers import ServerMissingError, find_program
from waiting import eventually

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.redis, pytest.mark.timeout(240)]

SCREENSHOTS = Path(__file__).parents[1] / "screenshots"
LONG = 120_000  # ms; for machines that are busy


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Iterator[Demo]:
    try:
        find_program("redis-server")
    except ServerMissingError as exc:
        skip_or_fail(str(exc))
    with Demo(tmp_path_factory.mktemp("demo")) as demo:
        demo.wait_until_ready()
        yield demo


@pytest.fixture(scope="module")
def where(demo) -> dict[str, str]:
    return demo.wait_until_ready()


@pytest.fixture
def page(browser, where) -> Iterator[Page]:
    """The page, connected, in a browser that has never seen it; it must have no complaints."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda line: complaints.append(line.text) if line.type in ("error", "warning") else None,
    )
    page.goto(where["page"])
    expect(page.locator("#connection")).to_have_text("connected")
    yield page
    context.close()
    assert complaints == []


def start(page: Page, name: str, word: str | None = None) -> Locator:
    """Start a task and return its card."""
    form = page.locator(f"form[data-task={name}]")
    before = page.locator("#operations > li").count()
    if word is not None:
        form.locator("input").fill(word)
    form.locator("button").click()
    expect(page.locator("#operations > li")).to_have_count(before + 1)
    operation_id = page.locator("#operations > li").first.get_attribute("data-id")
    return page.locator(f"#operations > li[data-id='{operation_id}']")


def percent(card: Locator) -> int:
    return int(card.locator("[role=progressbar]").get_attribute("aria-valuenow") or 0)


def shot(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


def test_several_tasks_at_once_a_reload_in_the_middle_and_every_kind_of_end(page):
    cards = {
        name: start(page, name)
        for name in ("import_orders", "index_library", "render_fractal", "check_backup")
    }
    index, retried = cards["index_library"], cards["import_orders"]
    eventually(lambda: percent(index) > 0)
    first = percent(index)
    eventually(lambda: percent(index) > first, what="the bar moves")
    expect(index.locator(".numbers")).to_have_text(re.compile(r"of [\d,]+ files"))
    expect(retried).to_have_attribute("data-state", "retrying", timeout=LONG)
    shot(page, "running")

    page.reload()
    expect(page.locator("#operations > li")).to_have_count(4)
    eventually(lambda: percent(index) >= first, what="the bar came back")
    expect(index.locator("h3")).to_have_text("Index the library")

    expect(retried).to_have_attribute("data-state", "completed", timeout=LONG)
    expect(retried.locator(".attempt")).to_have_text("attempt 3")
    expect(retried.locator(".result pre")).to_contain_text('"rows": 400000')

    fractal = cards["render_fractal"]
    expect(fractal).to_have_attribute("data-state", "completed", timeout=LONG)
    picture = fractal.locator("img.picture")
    expect(picture).to_be_visible()
    eventually(lambda: picture.evaluate("image => image.naturalWidth") == 800)

    failed = cards["check_backup"]
    expect(failed).to_have_attribute("data-state", "error", timeout=LONG)
    expect(failed.locator(".failure")).to_contain_text("DamagedBackupError: ")

    expect(index).to_have_attribute("data-state", "completed", timeout=LONG)
    assert percent(index) == 100
    expect(index.locator(".result pre")).to_contain_text('"functions"')
    shot(page, "finished")

    page.locator("#clear").click()
    expect(page.locator("#operations > li")).to_have_count(0)
    page.reload()
    expect(page.locator("#connection")).to_have_text("connected")
    expect(page.locator("#operations > li")).to_have_count(0)


def test_what_a_task_reports_is_shown_as_text_whatever_it_looks_like(page):
    word = "<img src=x onerror=alert(1)>"
    card = start(page, "search_library", word)
    expect(card.locator("h3")).to_have_text(f"Search the library for “{word}”")
    assert page.locator("img[src=x]").count() == 0


def test_hits_arrive_as_log_lines_while_the_search_goes_on(page):
    card = start(page, "search_library", "coroutine")
    expect(card.locator(".log li").first).to_contain_text("coroutine", timeout=LONG)
    assert card.get_attribute("data-state") == "running"
    expect(card).to_have_attribute("data-state", "completed", timeout=LONG)
    expect(card.locator(".log li").last).to_contain_text("are shown")


def test_a_program_passes_through_its_own_words(page):
    card = start(page, "write_program")
    expect(card.locator(".badge")).to_have_text("mutating", timeout=LONG)
    expect(card).to_have_attribute("data-state", "completed", timeout=LONG)
    expect(card.locator(".log")).to_contain_text("12 functions, all checks passed")


def test_a_pool_process_that_is_killed_is_an_error_on_the_page(page, demo):
    card = start(page, "render_fractal")
    eventually(lambda: percent(card) > 0)
    for process in demo.pool():
        process.kill()
    expect(card).to_have_attribute("data-state", "error", timeout=LONG)
    expect(card.locator(".failure")).to_contain_text("WorkerLostError")


def test_a_connection_that_breaks_is_made_again_and_nothing_comes_twice(page, where):
    sockets: list[Any] = []

    def pass_on(route: Any) -> None:
        route.connect_to_server()
        sockets.append(route)

    page.route_web_socket(re.compile("^ws:"), pass_on)
    page.reload()
    expect(page.locator("#connection")).to_have_text("connected")
    card = start(page, "search_library", "coroutine")
    expect(card.locator(".log li").first).to_be_visible(timeout=LONG)
    sockets[-1].close(code=1001, reason="for the test")
    expect(card).to_have_attribute("data-state", "completed", timeout=LONG)
    expect(card.locator(".log-count")).to_have_text("(201)")  # 200 hits and the last word
    expect(card.locator(".log li")).to_have_count(201)
    assert len(sockets) == 2


def test_the_page_runs_no_foreign_code_and_serves_nothing_else(where):
    with urllib.request.urlopen(where["page"], timeout=10) as response:
        policy = response.headers["Content-Security-Policy"]
        text = response.read().decode()
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script>|\son\w+=|\sstyle=|https?://(?!www\.w3\.org/2000/svg)", text)
    for path in ("/tasks.py", "/page.html", "/pictures/..%2fworker.log", "/docs", "/openapi.json"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(where["page"] + path, timeout=10)


# The reducer, where it lives: in the page's own module.

FOLD = """
async (events) => {
    const { begin, reduce } = await import("/page.js");
    return events.reduce(reduce, begin("one"));
}
"""


def event(event_type: str, **data: Any) -> dict[str, Any]:
    return {"event_type": event_type, "operation_id": "one", "data": data}


STARTED = event("status", status="started", message="", details={}, metadata={}, attempt=1)
HALF = event("progress", progress=0.5, message="half", details={}, current=1, total=2)


@pytest.mark.parametrize(
    ("events", "due"),
    [
        pytest.param([STARTED, HALF], {"state": "running", "progress": 0.5}, id="progress"),
        pytest.param(
            [STARTED, HALF, event("status", status="retrying", message="", details={}), STARTED],
            {"state": "running", "progress": 0, "message": ""},
            id="a new run begins at nothing",
        ),
        pytest.param(
            [STARTED, event("status", status="queued", message="", details={}), HALF],
            {"state": "running", "label": "running"},
            id="a queued that comes late changes nothing",
        ),
        pytest.param(
            [STARTED, event("status", status="packing", message="", details={})],
            {"state": "running", "label": "packing"},
            id="a word of the task's own is a label",
        ),
        pytest.param(
            [STARTED, event("error", error="no", error_type="E", status="cancelled", duration=1)],
            {"state": "cancelled", "error": "no"},
            id="cancelled",
        ),
        pytest.param(
            [STARTED, event("from_the_future", anything=1)],
            {"state": "running"},
            id="an unknown type changes nothing",
        ),
    ],
)
def test_reduce(page, events, due):
    folded = page.evaluate(FOLD, events)
    assert {name: folded[name] for name in due} == due
