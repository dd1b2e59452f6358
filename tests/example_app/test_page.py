"""The example's pages in a real browser, against the demo as people start it."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import make_or_skip, skip_or_fail
from fastapi import HTTPException
from support.conditions import eventually
from support.demos import Demo
from support.node import NODE_MODULES, require_packages
from support.servers import find_program

from example_app import web
from example_app.work.fractal import WIDTH
from example_app.work.orders import ROWS

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.redis, pytest.mark.timeout(600)]

SCREENSHOTS = Path(__file__).parents[1] / "screenshots"
LONG = 240_000  # ms; these tasks really work, and the machine may be busy with all other tests


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Iterator[Demo]:
    make_or_skip(lambda: find_program("redis-server"))
    with Demo(tmp_path_factory.mktemp("demo")) as demo:
        demo.wait_until_ready()
        yield demo


@pytest.fixture(scope="module")
def where(demo) -> dict[str, str]:
    return demo.wait_until_ready()


@pytest.fixture
def complaints() -> list[str]:
    """What the consoles of a test's pages complained of, and the test has not taken out."""
    return []


@pytest.fixture
def open_page(browser, where, complaints) -> Iterator[Callable[..., Page]]:
    """Open pages of the example in browsers that have never seen it; none may have complaints."""
    contexts = []

    def open_page(path: str = "/", **how: Any) -> Page:
        context = browser.new_context(viewport={"width": 1200, "height": 900}, **how)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda line: (
                complaints.append(line.text) if line.type in ("error", "warning") else None
            ),
        )
        page.goto(where["page"] + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(open_page) -> Page:
    page = open_page()
    expect(page.locator("#connection")).to_have_text("connected")
    return page


def start(page: Page, name: str, word: str | None = None) -> Locator:
    """Start a task and return its card."""
    form = page.locator(f"form[data-task={name}]")
    before = page.locator("#operations > li").count()
    if word is not None:
        form.locator("input").fill(word)
    form.locator("button").click()
    expect(page.locator("#operations > li")).to_have_count(before + 1)
    bar = page.locator("celery-progress").first
    watched = bar.evaluate(
        "bar => ['task-id', 'group-id', 'workflow-id']"
        ".map((name) => [name, bar.getAttribute(name)])"
    )
    name, identity = next((name, value) for name, value in watched if value)
    return page.locator(f"#operations > li:has([{name}='{identity}'])")


def bar_of(card: Locator) -> Locator:
    return card.locator("celery-progress")


def percent(card: Locator) -> int:
    return int(card.locator("[part=bar]").get_attribute("aria-valuenow") or 0)


def shot(page: Page, name: str) -> None:
    """The page as it looks, by day and by night."""
    SCREENSHOTS.mkdir(exist_ok=True)
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        path = SCREENSHOTS / f"{name}-{scheme}.png"
        page.screenshot(path=path, full_page=True, animations="disabled")


def check_accessibility(page: Page) -> None:
    """What axe finds, for which the page's policy lets no script in but by the driver."""
    require_packages()
    page.evaluate((NODE_MODULES / "axe-core" / "axe.min.js").read_text())
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        found = page.evaluate("axe.run().then(({ violations }) => violations)")
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == [], scheme


def test_a_workflow_unfolds_into_its_steps(page):
    card = start(page, "rank_library")
    card.get_by_role("button", name="Steps").click(timeout=LONG)
    steps = card.get_by_role("treeitem")
    expect(steps.first).to_have_attribute("data-state", "completed", timeout=LONG)
    expect(card.locator("[role=treeitem][data-kind=task][data-state=running]").first).to_be_visible(
        timeout=LONG
    )
    expect(card.locator("[part=cancel]")).to_be_visible()
    SCREENSHOTS.mkdir(exist_ok=True)
    eventually(lambda: percent(card) >= 25, 240)
    card.screenshot(path=SCREENSHOTS / "workflow-card.png", animations="disabled")
    shot(page, "workflow")
    check_accessibility(page)
    expect(bar_of(card)).to_have_attribute("state", "completed", timeout=LONG)
    expect(card.locator("[role=treeitem]:not([data-state=completed])")).to_have_count(0)
    expect(card.locator("[part=result]")).not_to_be_empty()


def test_several_tasks_at_once_a_reload_in_the_middle_and_every_kind_of_end(page):
    cards = {
        name: start(page, name)
        for name in ("import_orders", "index_library", "render_fractal", "check_backup")
    }
    index, retried = cards["index_library"], cards["import_orders"]
    eventually(lambda: percent(index) > 0)
    first = percent(index)
    eventually(lambda: percent(index) > first, what="the bar moves")
    expect(index.locator("[part=figures]")).to_have_text(re.compile(r"of [\d,]+ files"))
    expect(bar_of(retried)).to_have_attribute("state", "retrying", timeout=LONG)
    shot(page, "running")

    page.reload()
    expect(page.locator("#operations > li")).to_have_count(4)
    eventually(lambda: percent(index) >= first, what="the bar came back")
    expect(index.get_by_role("progressbar")).to_have_accessible_name(
        re.compile("Index the library")
    )

    expect(bar_of(retried)).to_have_attribute("state", "completed", timeout=LONG)
    expect(retried.locator(".attempt")).to_have_text("attempt 3")
    expect(retried.locator("[part=result]")).to_contain_text(f'"rows":{ROWS}')

    fractal = cards["render_fractal"]
    expect(bar_of(fractal)).to_have_attribute("state", "completed", timeout=LONG)
    picture = fractal.locator("img")
    expect(picture).to_be_visible()
    eventually(lambda: picture.evaluate("image => image.naturalWidth") == WIDTH)

    failed = cards["check_backup"]
    expect(bar_of(failed)).to_have_attribute("state", "error", timeout=LONG)
    expect(failed.locator("[part=error]")).to_contain_text("DamagedBackupError: ")

    expect(bar_of(index)).to_have_attribute("state", "completed", timeout=LONG)
    assert percent(index) == 100
    expect(index.locator("[part=result]")).to_contain_text('"functions"')
    shot(page, "finished")
    check_accessibility(page)

    page.locator("#clear").click()
    expect(page.locator("#operations > li")).to_have_count(0)
    page.reload()
    expect(page.locator("#connection")).to_have_text("connected")
    expect(page.locator("#operations > li")).to_have_count(0)


def test_a_group_is_one_bar_and_its_pictures_come_back_with_a_reload(page):
    card = start(page, "render_gallery")
    expect(card.locator("[part=figures]")).to_contain_text(re.compile(r"[0-4] of 4"))
    page.reload()
    expect(bar_of(card)).to_have_attribute("state", "completed", timeout=LONG)
    expect(card.locator("[part=figures]")).to_contain_text("4 of 4")
    expect(card.locator("img")).to_have_count(4)
    shot(page, "gallery")
    page.reload()
    expect(card.locator("img")).to_have_count(4)


def test_what_a_task_reports_is_shown_as_text_whatever_it_looks_like(page):
    word = "<img src=x onerror=alert(1)>"
    card = start(page, "search_library", word)
    expect(card.locator(".title")).to_have_text(f"Search the library for “{word}”")
    expect(bar_of(card)).to_have_attribute("state", "completed", timeout=LONG)
    expect(card.locator("[part=result]")).to_contain_text(word)
    assert page.locator("img[src=x]").count() == 0


def test_hits_arrive_as_log_lines_while_the_search_goes_on(page):
    card = start(page, "search_library", "coroutine")
    expect(card.locator(".log li").first).to_contain_text("coroutine", timeout=LONG)
    expect(bar_of(card)).to_have_attribute("state", "running")
    expect(bar_of(card)).to_have_attribute("state", "completed", timeout=LONG)
    expect(card.locator(".log li").last).to_contain_text("are shown")


def test_a_program_passes_through_its_own_words(page):
    card = start(page, "write_program")
    expect(card.locator("[part=status]")).to_have_text("mutating", timeout=LONG)
    expect(bar_of(card)).to_have_attribute("state", "completed", timeout=LONG)
    expect(card.locator(".log")).to_contain_text("12 functions, all checks passed")


def test_a_pool_process_that_is_killed_is_an_error_on_the_page(page, demo):
    card = start(page, "render_fractal")
    eventually(lambda: percent(card) > 0)
    for process in demo.pool():
        process.kill()
    expect(bar_of(card)).to_have_attribute("state", "error", timeout=LONG)
    expect(card.locator("[part=error]")).to_contain_text("WorkerLostError")


def test_a_connection_that_breaks_is_made_again_and_nothing_comes_twice(page, complaints):
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
    expect(bar_of(card)).to_have_attribute("state", "completed", timeout=LONG)
    expect(card.locator(".log summary")).to_have_text("Log (201)")  # 200 hits and the last word
    expect(card.locator(".log li")).to_have_count(201)
    assert len(sockets) == 2
    # Whoever operates the page reads why; the bar says it in other words.
    assert {"(for the test)" in said for said in complaints} == {True}
    complaints.clear()


def test_what_cannot_be_started_is_said(browser, where):
    page = browser.new_page()  # one whose console may complain
    page.route("**/api/tasks/*", lambda route: route.abort())
    page.goto(where["page"])
    page.locator("form[data-task=index_library] button").click()
    expect(page.get_by_role("alert")).to_have_text("The web app does not answer")
    page.close()


def test_the_page_in_react_shows_what_runs_whoever_started_it(open_page, page):
    if not web.BUILT.is_file():
        skip_or_fail("example_app/react is not built: `make example_app/react/build/page.js`")
    shown = open_page("/react")
    start(page, "search_library", "generator")
    others = shown.locator("celery-progress[label='Search the library for “generator”']")
    expect(others).to_have_attribute("state", "running", timeout=LONG)
    shown.get_by_role("button", name="Write a program").click()
    mine = shown.locator("celery-progress[label='Write a program']").first
    expect(mine).to_have_attribute("state", "running", timeout=LONG)
    expect(shown.get_by_role("heading", name="running")).to_have_text(re.compile(r"^\d+ of \d+"))
    shot(shown, "react")
    check_accessibility(shown)
    expect(mine).to_have_attribute("state", "completed", timeout=LONG)


def test_without_react_its_page_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(web, "BUILT", tmp_path / "page.js")
    assert "npm install" in Path(web.react_page().path).read_text()
    with pytest.raises(HTTPException):
        web.react_script()


def test_the_pages_run_no_foreign_code_and_nothing_else_is_served(where):
    with urllib.request.urlopen(where["page"], timeout=10) as response:
        policy = response.headers["Content-Security-Policy"]
        text = response.read().decode()
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    own = re.escape(where["sidecar"].replace("ws", "http", 1))
    foreign = rf"https?://(?!www\.w3\.org/2000/svg)(?!{own[7:]})"
    assert not re.search(rf"<script>|\son\w+=|\sstyle=|{foreign}", text)
    for path in ("/tasks.py", "/page.html", "/pictures/..%2fworker.log", "/docs", "/openapi.json"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(where["page"] + path, timeout=10)


def test_a_task_is_cancelled_by_its_button(page):
    card = start(page, "index_library")
    bar_of(card).get_by_role("button", name="Cancel").click(timeout=LONG)
    expect(bar_of(card)).to_have_attribute("state", "cancelled", timeout=LONG)
    expect(bar_of(card).get_by_role("button")).to_have_count(0)
