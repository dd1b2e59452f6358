"""The dashboard in Chromium, before a real sidecar, broker and worker."""

from __future__ import annotations

import csv
import io
import json
import re
import time
import uuid
from itertools import count
from pathlib import Path

import pytest
from dictation import Dictation
from msgspec import structs
from support.conditions import eventually
from support.event_log import log_writer
from support.node import NODE_MODULES, require_packages
from support.proxies import Proxy
from support.sample_events import completed, error, log, progress, queued, result, scheduled, status
from support.sidecars import SidecarThread

from celery_wsprogress import create_token
from celery_wsprogress.brokers import BrokerAddress

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

pytestmark = [pytest.mark.browser, pytest.mark.redis]

SCREENSHOTS = Path(__file__).parents[1] / "screenshots"
KEY = "a key that is long enough for HS256"
LONG = 60_000  # ms; for machines that are busy

LISTEN = """
window.violations = [];
addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
  violations.push([violatedDirective, blockedURI]));
"""


@pytest.fixture(scope="module")
def sidecar(stack):
    return stack[1]


@pytest.fixture
def open_dashboard(browser):
    """Open it; in the end nothing was against its policy, and no script has failed."""
    pages, complaints, contexts = [], [], []

    def open_dashboard(address, **how):
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 800}, **how))
        contexts[-1].add_init_script(LISTEN)
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        pages.append(page)
        return page

    yield open_dashboard
    violations = [one.evaluate("violations") for one in pages]
    for one in contexts:
        one.close()
    assert violations == [[]] * len(pages)
    assert complaints == []


@pytest.fixture
def dashboard(open_dashboard, sidecar):
    page = open_dashboard(f"{sidecar.http}/")
    expect(page.locator("#connection")).to_have_text("Live")
    return page


numbers = count(1)


class Life:
    """Writes what happens to an operation of a type of its own."""

    def __init__(self, write, **more):
        self.id = str(uuid.uuid4())
        self.kind = f"shop.kind{next(numbers)}"
        self._write = write
        self.begun = time.time()
        self.say(
            queued(at=self.begun, operation_type=self.kind, queue="fast", **more),
            status(
                "started", at=self.begun + 1, operation_type=self.kind, metadata={"for": "acme"},
                attempt=1, worker="celery@here",
            ),
        )  # fmt: skip

    def say(self, *events):
        at = self.begun + 2
        self._write(
            *[structs.replace(one, operation_id=self.id, timestamp=one.timestamp or at)
              for one in events]
        )  # fmt: skip


@pytest.fixture
def live(write):
    return lambda **more: Life(write, **more)


def row_of(page, life):
    return page.locator(f'[data-id="{life.id}"]')


def narrow(page, life):
    """Filter for one type, so that other tests' operations are not in the way."""
    page.get_by_label("Filter by type").fill(life.kind)


def test_a_task_is_seen_from_its_start_to_its_end(stack, dashboard, tmp_path):
    app, gate = stack[0], tmp_path / "gate"
    task = app.tasks["scenario.steps"].delay(str(gate))
    row = dashboard.locator(f'[data-id="{task.id}"]')
    expect(row).to_contain_text("25%", timeout=LONG)
    expect(row).to_contain_text("quarter")
    expect(row.get_by_role("gridcell").first).to_have_text("running")
    expect(row).to_contain_text("scenario.steps")
    gate.touch()
    expect(row.get_by_role("gridcell").first).to_have_text("done", timeout=LONG)
    row.click()
    detail = dashboard.get_by_role("complementary", name="scenario.steps")
    expect(detail).to_contain_text('"parts": 4')
    words = detail.locator(".timeline strong")
    # The caller and the worker do not wait for each other: their words come in either order.
    expect(words.last).to_have_text("completed")
    told = words.all_inner_texts()
    assert sorted(told[:-2]) == ["queued", "received", "started"]
    assert told[-2:] == ["halfway", "completed"]
    expect(detail.locator(".log .said")).to_have_text(["careful"])
    expect(detail.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "100")


def test_phases_are_segments_of_the_bar(dashboard, live):
    life, plain = live(), live()
    two = [
        {"name": "Download", "weight": 0.25, "state": "completed", "fraction": 1.0},
        {"name": "Convert", "weight": 0.5, "state": "running", "fraction": 0.5},
    ]
    life.say(progress(0.5, message="Convert", details={"phases": two}))
    plain.say(progress(0.5))
    dashboard.emulate_media(reduced_motion="reduce")
    narrow(dashboard, life)
    bar = row_of(dashboard, life).locator(".bar")
    # The third one is what no phase has.
    expect(bar.locator("[part=phase]")).to_have_count(3, timeout=LONG)
    segment = bar.get_by_title("Convert")
    expect(segment).to_have_attribute("data-state", "running")
    expect(bar.locator("[data-part=fill]")).to_be_hidden()

    def share(found):
        wide = [one.evaluate("(part) => part.clientWidth") for one in (found, bar)]
        return pytest.approx(wide[0] / wide[1], abs=0.05)

    # Widths change with the event of a frame.
    eventually(lambda: share(segment) == 0.5)
    eventually(lambda: share(segment.locator("[part=phase-fill]")) == 0.25)
    narrow(dashboard, plain)
    bar = row_of(dashboard, plain).locator(".bar")
    expect(bar.locator("[data-part=fill]")).to_be_visible(timeout=LONG)
    expect(bar.locator("[part=phase]")).to_have_count(0)


def test_it_is_filtered_by_state_type_tag_and_text(dashboard, live, write):
    ours = live(tags=["blue", "night"])
    other = Life(write)
    ours.say(progress(0.5, message="counting sheep"))
    other.say(completed(duration=1.0))
    for life in (ours, other):
        narrow(dashboard, life)
        expect(dashboard.locator("[data-id]")).to_have_count(1)
    dashboard.get_by_label("Filter by type").fill("shop.*")
    expect(row_of(dashboard, ours)).to_be_visible()
    dashboard.get_by_role("button", name="Done").click()
    expect(row_of(dashboard, ours)).to_have_count(0)
    expect(row_of(dashboard, other)).to_be_visible()
    dashboard.get_by_role("button", name="Running").click()
    expect(row_of(dashboard, ours)).to_be_visible()
    dashboard.get_by_label("Filter by tag").fill("night")
    dashboard.get_by_label("Filter by text").fill("sheep COUNT")
    expect(dashboard.locator("[data-id]")).to_have_count(1)
    expect(dashboard.locator("#shown")).to_contain_text("1 of ")
    ours.say(progress(0.6, message="counting goats"))
    expect(row_of(dashboard, ours)).to_have_count(0)
    expect(dashboard.get_by_text("No operation matches")).to_be_visible()
    dashboard.get_by_role("button", name="Clear").click()
    expect(row_of(dashboard, ours)).to_be_visible()
    expect(row_of(dashboard, other)).to_be_visible()


def test_what_is_chosen_is_in_the_address_and_comes_back_with_it(open_dashboard, sidecar, live):
    lives = [live(tags=["address"], group_id="the-group") for _ in range(3)]
    for number, life in enumerate(lives):
        life.say(progress((number + 1) / 10))
    page = open_dashboard(f"{sidecar.http}/")
    page.get_by_label("Filter by group or workflow").fill("the-group")
    expect(page.locator("[data-id]")).to_have_count(3)
    page.get_by_role("button", name="Running").click()
    page.get_by_role("button", name="Progress", exact=True).click()
    chosen = "state=running&within=the-group&sort=-progress"
    page.wait_for_url(f"**/#/?{chosen}")
    head = page.get_by_role("columnheader", name="Progress")
    expect(head).to_have_attribute("aria-sort", "descending")
    ids = [life.id for life in reversed(lives)]
    eventually(lambda: shown_ids(page) == ids)
    page.reload()
    eventually(lambda: shown_ids(page) == ids)
    expect(page.get_by_label("Filter by group or workflow")).to_have_value("the-group")
    expect(page.get_by_role("button", name="Running")).to_have_attribute("aria-pressed", "true")
    # It stays while an operation is open, and where a link names nothing but one.
    row_of(page, lives[0]).click()
    page.wait_for_url(f"**/#/operation/{lives[0].id}?{chosen}")
    page.evaluate("(id) => { location.hash = `#/operation/${id}` }", lives[1].id)
    page.wait_for_url(f"**/#/operation/{lives[1].id}?{chosen}")
    expect(page.get_by_role("complementary").get_by_role("heading", level=2)).to_have_text(
        lives[1].kind
    )
    # The group of an operation leads to all of its members.
    group = page.get_by_role("complementary").get_by_role("link", name="the-group")
    assert group.get_attribute("href") == "#/?within=the-group"
    group.click()
    page.wait_for_url("**/#/?within=the-group")
    expect(page.get_by_role("complementary")).to_be_hidden()
    page.get_by_role("button", name="Clear").click()
    page.wait_for_url("**/#/")


def shown_ids(page):
    """The ids of the rows from the top."""
    rows = page.locator("[data-id]").all()
    placed = [
        (int(one.get_attribute("aria-rowindex")), one.get_attribute("data-id")) for one in rows
    ]
    return [identity for _, identity in sorted(placed)]


def test_columns_sort_and_say_so(dashboard, live):
    lives = [live(tags=["sorted"]) for _ in range(3)]
    for life, duration in zip(lives, (5.0, 50.0, 20.0), strict=True):
        life.say(completed(duration=duration))
    dashboard.get_by_label("Filter by tag").fill("sorted")
    expect(dashboard.locator("[data-id]")).to_have_count(3)
    clock = row_of(dashboard, lives[0]).locator("[data-part=started]")
    expect(clock).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$|^\d+ \w+ \d\d:\d\d$"))
    expect(clock).to_have_attribute("title", re.compile(r"\d"))
    head = dashboard.get_by_role("columnheader", name="Time")
    expect(head).not_to_have_attribute("aria-sort", re.compile("."))
    slowest = [lives[index].id for index in (1, 2, 0)]
    for direction, expected in (("descending", slowest), ("ascending", slowest[::-1])):
        head.get_by_role("button").press("Enter")
        expect(head).to_have_attribute("aria-sort", direction)
        eventually(lambda expected=expected: shown_ids(dashboard) == expected)
    head.get_by_role("button").press("Enter")
    expect(head).not_to_have_attribute("aria-sort", re.compile("."))


def test_what_is_shown_is_saved_as_a_file(dashboard, live):
    lives = [live(tags=["saved"]) for _ in range(2)]
    lives[0].say(progress(0.5, message='one, "two"'))
    lives[1].say(error("=broken", duration=1.0))
    dashboard.get_by_label("Filter by tag").fill("saved")
    expect(dashboard.locator("[data-id]")).to_have_count(2)
    expect(row_of(dashboard, lives[1])).to_contain_text("=broken")
    expect(row_of(dashboard, lives[0])).to_contain_text("two")

    def saved(name):
        with dashboard.expect_download(timeout=LONG) as download:
            dashboard.get_by_role("button", name=name).click()
        ending = name.lower()
        assert re.fullmatch(rf"operations-[\dT-]+\.{ending}", download.value.suggested_filename)
        return Path(download.value.path()).read_text()

    rows = list(csv.DictReader(io.StringIO(saved("CSV"), newline="")))
    assert [one["operation_id"] for one in rows] == [life.id for life in lives]
    assert rows[0]["message"] == 'one, "two"'
    assert rows[1]["error"] == "'=broken", "no spreadsheet runs it"
    found = json.loads(saved("JSON"))
    assert [one["state"] for one in found] == ["running", "error"]
    assert found[0]["tags"] == ["saved"]


@pytest.mark.parametrize("told", ["before", "while it is shown"])
def test_whole_numbers_of_a_result_are_shown_as_they_are(open_dashboard, sidecar, live, told):
    """Above 2**53 JavaScript's numbers are not whole any more."""
    life, large = live(), 2**63 - 1
    ends = result({"id": large, "ids": [-large]}), completed(duration=1.0)
    if told == "before":
        life.say(*ends)
    page = open_dashboard(f"{sidecar.http}/#/operation/{life.id}")
    expect(page.get_by_role("heading", level=2, name=life.kind)).to_be_visible()
    if told != "before":
        life.say(*ends)
    shown = page.locator("pre.result")
    expect(shown).to_contain_text(f'"id": {large}')
    expect(shown).to_contain_text(f"-{large}")


def test_a_link_leads_to_an_operation(open_dashboard, sidecar, live):
    life = live(tags=["blue"])
    life.say(log("first"), result(["<b>", 2]), completed(duration=4.0))
    page = open_dashboard(f"{sidecar.http}/#/operation/{life.id}")
    detail = page.get_by_role("complementary")
    expect(detail.get_by_role("heading", level=2)).to_have_text(life.kind)
    expect(detail.locator(".log .said")).to_have_text(["first"])
    expect(detail.locator("pre.result")).to_have_text('[\n  "<b>",\n  2\n]')
    expect(detail.locator(".facts")).to_contain_text("acme")
    expect(detail.locator(".facts")).to_contain_text("blue")
    link = detail.get_by_role("link", name="In Flower")
    expect(link).to_have_attribute("href", f"http://flower.example/task/{life.id}")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    detail.get_by_role("button", name="Copy the id").click()
    expect(detail.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == life.id
    page.keyboard.press("Escape")
    expect(detail).to_be_hidden()
    assert page.locator("celery-progress").count() == 0, "what is not seen is not watched"
    assert page.url.endswith("/#/")
    page.go_back()
    expect(detail).to_be_visible()


def test_an_id_is_waited_for(dashboard, write):
    life = Life(write)
    one = str(uuid.uuid4())
    dashboard.get_by_label("Task id").fill(f" {one} ")
    dashboard.get_by_role("button", name="Open", exact=True).click()
    detail = dashboard.get_by_role("complementary")
    expect(detail).to_contain_text("This id is unknown so far")
    life.id = one
    life.say(status("started", operation_type=life.kind, metadata={}), log("there it is"))
    expect(detail.locator(".log")).to_contain_text("there it is")
    expect(detail).not_to_contain_text("This id is unknown so far")


def test_lines_go_on_over_a_killed_sidecar(stack, open_dashboard, tmp_path):
    app, sidecar = stack
    dictation = Dictation(app, tmp_path / "dictation")
    page = open_dashboard(f"{sidecar.http}/#/operation/{dictation.id}")
    lines, connection = page.locator(".log .said"), page.locator("#connection")

    def seen():
        return lines.all_text_contents()

    dictation.say(3)
    eventually(lambda: seen() == dictation.lines)
    sidecar.kill()
    expect(connection).to_have_text("Reconnecting", timeout=LONG)
    dictation.say(4)
    sidecar.start()
    expect(connection).to_have_text("Live", timeout=LONG)
    eventually(lambda: seen() == dictation.lines, what="what was missed, once")
    dictation.say(2)
    eventually(lambda: seen() == dictation.lines)
    row = page.locator(f'[data-id="{dictation.id}"]')
    expect(row).to_contain_text("line 8")
    dictation.end()
    expect(row.get_by_role("gridcell").first).to_have_text("done", timeout=LONG)


def test_it_says_that_it_is_offline_and_goes_on(open_dashboard, sidecar, live):
    with Proxy(sidecar.port) as network:
        life = live()
        page = open_dashboard(f"http://localhost:{network.port}/")
        connection = page.locator("#connection")
        expect(connection).to_have_text("Live")
        page.context.set_offline(True)
        network.cut()
        expect(connection).to_have_text("Offline", timeout=LONG)
        life.say(progress(0.42, message="meanwhile"))
        network.mend()
        page.context.set_offline(False)
        expect(connection).to_have_text("Live", timeout=LONG)
        expect(row_of(page, life)).to_contain_text("meanwhile")


def test_what_a_task_says_is_text(dashboard, live):
    trap = "<img src=x onerror=\"document.title='caught'\">"
    life = live(tags=[trap])
    kind = {"operation_type": trap, "metadata": {trap: trap}, "worker": trap}
    life.say(
        status("started", run="r2", after="r1", **kind),
        status(trap, run="r2", message=trap),
        log(trap, run="r2"),
        progress(0.5, run="r2", message=trap, current=1, total=2, unit=trap, rate=1.0),
        result(trap, run="r2"),
    )
    dashboard.get_by_role("button", name="Events as they come").click()
    dashboard.get_by_label("Filter by type").fill("<img")
    row = row_of(dashboard, life)
    expect(row.locator("[data-part=type]")).to_have_text(trap)
    expect(row.locator("[data-part=message]")).to_have_text(trap)
    expect(row.locator(".tag")).to_have_text(trap)
    row.click()
    detail = dashboard.get_by_role("complementary")
    expect(detail.get_by_role("heading", level=2)).to_have_text(trap)
    expect(detail.locator(".log .said")).to_have_text([trap])
    expect(detail.locator("pre.result")).to_have_text(trap)
    expect(detail.locator(".timeline")).to_contain_text(trap)
    life.say(error(trap, run="r2", duration=1.0))
    expect(detail.locator("pre.failed")).to_have_text(f"ValueError: {trap}")
    expect(row.locator("[data-part=message]")).to_have_text(f"ValueError: {trap}")
    expect(dashboard.locator(".events-body")).to_contain_text(trap)
    assert dashboard.locator("img").count() == 1, "its own sign"
    assert dashboard.title() == "Celery progress"


def test_everything_is_reached_by_keys(dashboard, live):
    lives = [live() for _ in range(3)]
    first, second = lives[2], lives[1]
    expect(row_of(dashboard, first)).to_be_visible()
    dashboard.keyboard.press("/")
    expect(dashboard.get_by_label("Filter by text")).to_be_focused()
    dashboard.keyboard.type("kind")
    reached = []
    while "row" not in reached:
        dashboard.keyboard.press("Tab")
        reached.append(dashboard.evaluate("document.activeElement.role ?? ''"))
        assert len(reached) < 20
    expect(row_of(dashboard, first)).to_be_focused()
    dashboard.keyboard.press("ArrowDown")
    expect(row_of(dashboard, second)).to_be_focused()
    dashboard.keyboard.press("End")
    dashboard.keyboard.press("Home")
    expect(row_of(dashboard, first)).to_be_focused()
    dashboard.keyboard.press("Enter")
    title = dashboard.get_by_role("complementary").get_by_role("heading", level=2)
    expect(title).to_have_text(first.kind)
    expect(title).to_be_focused()
    dashboard.keyboard.press("Tab")
    expect(dashboard.get_by_role("button", name="Close")).to_be_focused()
    dashboard.keyboard.press("Escape")
    expect(row_of(dashboard, first)).to_be_focused()
    # The row that has the focus keeps it, wherever it goes.
    first.say(completed(duration=1.0))
    expect(row_of(dashboard, first)).to_contain_text("done")
    expect(row_of(dashboard, first)).to_be_focused()


def test_events_are_listed_and_held_still(dashboard, live):
    life = live()
    body = dashboard.locator("#events-body")
    expect(body).to_be_hidden()
    dashboard.get_by_role("button", name="Events as they come").click()
    life.say(log("one"))
    expect(body).to_contain_text("one")
    dashboard.get_by_role("button", name="Pause").click()
    life.say(log("two"))
    # What other tests left behind may be given up as lost meanwhile, and is counted, too.
    more = re.compile(r"^Go on \([1-9]\d* more\)$")
    expect(dashboard.get_by_role("button", name=more)).to_be_visible()
    expect(body).not_to_contain_text("two")
    dashboard.get_by_role("button", name="Go on").click()
    expect(body).to_contain_text("two")


def test_the_sidecars_figures_are_shown_and_drawn(dashboard, live):
    life = live()
    figures = dashboard.locator("#figures")
    expect(figures.locator("dt")).to_have_text(
        ["Clients", "Held", "Events", "Memory", "Gaps", "Unreadable"]
    )

    expect(figures.locator("div").first).to_have_attribute("title", re.compile("Connections"))
    expect(figures.locator("div").first).to_contain_text("Connections that are open now")

    def drawn():
        life.say(log("again"))
        found = dashboard.locator(".plot .line").evaluate_all(
            "(lines) => lines.map((one) => one.getAttribute('d') ?? '')"
        )
        return all("L" in one for one in found)

    eventually(drawn, interval=0.2)
    expect(dashboard.locator("#plot-events output")).to_have_text(re.compile(r"^[\d.]+$"))
    expect(dashboard.locator("#plot-delay output")).to_have_text(re.compile(r"^[\d.]+ (ms|sec)$"))


class Prefix(Proxy):
    """A proxy that serves the sidecar below ``/progress/``, as a web server would."""

    async def _forward(self, reader, writer):
        line = await reader.readuntil(b"\r\n")
        # What is asked for beside it is not there.
        inside = line.replace(b"GET /progress/", b"GET /", 1)
        reader._buffer[:0] = line.replace(b"GET /", b"GET /not/") if inside == line else inside
        await super()._forward(reader, writer)


def test_it_works_behind_a_prefix(open_dashboard, sidecar, live):
    life = live()
    life.say(log("from afar"))
    with Prefix(sidecar.port) as network:
        page = open_dashboard(f"http://localhost:{network.port}/progress/#/operation/{life.id}")
        expect(row_of(page, life)).to_be_visible()
        expect(page.locator(".log")).to_contain_text("from afar")
        expect(page.locator("#figures")).to_contain_text("Clients")


# Where access is closed.


@pytest.fixture
def closed_sidecar(redis_server, write):
    """One with a key, that looks often for tokens that expired."""
    with SidecarThread(BrokerAddress(redis_server.url), sweep_interval=0.1, key=KEY) as sidecar:
        yield sidecar


def give(page, token):
    page.get_by_label("Token").fill(token)
    page.locator("#access").get_by_role("button", name="Open").click()


def test_a_token_is_asked_for_and_kept_in_the_tab(open_dashboard, closed_sidecar, live):
    life = live()
    asked = []
    page = open_dashboard(f"{closed_sidecar.http}/#/operation/{life.id}")
    page.on("request", lambda request: asked.append(request.url))
    expect(page.locator(".empty-title")).to_have_text("A token is needed")
    expect(page.get_by_role("complementary")).to_contain_text("A token is needed")
    give(page, "nonsense")
    expect(page.locator(".empty-title")).to_have_text("This token was rejected")
    expect(page.locator(".empty-text")).to_have_text("The token is not valid.")
    expect(page.get_by_label("Token")).to_have_attribute("aria-invalid", "true")
    token = create_token("*", key=KEY)
    give(page, token)
    expect(row_of(page, life)).to_be_visible()
    expect(page.get_by_role("complementary").locator(".timeline")).to_contain_text("started")
    expect(page.locator("#access")).to_be_hidden()
    page.reload()
    expect(row_of(page, life)).to_be_visible()
    expect(page.locator("#figures")).to_contain_text("Clients")
    assert token not in "".join([*asked, page.url])
    assert token not in page.content()
    page.get_by_role("button", name="Forget the token").click()
    expect(page.locator(".empty-title")).to_have_text("A token is needed")
    expect(row_of(page, life)).to_have_count(0)
    assert page.evaluate("sessionStorage.length + localStorage.length") == 0


def test_a_token_that_expires_is_asked_for_again(open_dashboard, closed_sidecar, live):
    life = live()
    page = open_dashboard(f"{closed_sidecar.http}/")
    give(page, create_token("*", 5.0, key=KEY))
    expect(row_of(page, life)).to_be_visible()
    expect(page.locator(".empty-text")).to_have_text("The token has expired.", timeout=LONG)
    give(page, create_token("*", key=KEY))
    life.say(progress(0.5, message="afterwards"))
    expect(row_of(page, life)).to_contain_text("afterwards")


def test_a_token_for_one_task_shows_that_one(open_dashboard, closed_sidecar, live):
    life, other = live(), live()
    life.say(log("mine"))
    page = open_dashboard(f"{closed_sidecar.http}/")
    give(page, create_token(life.id, key=KEY))
    expect(page.get_by_text("This token does not show everything")).to_be_visible()
    page.get_by_label("Task id").fill(life.id)
    page.keyboard.press("Enter")
    expect(page.get_by_role("complementary").locator(".log")).to_contain_text("mine")
    page.get_by_label("Task id").fill(other.id)
    page.keyboard.press("Enter")
    expect(page.get_by_role("complementary")).to_contain_text("does not grant operation")


def test_without_a_key_and_without_lists_tasks_are_opened_by_id(open_dashboard, redis_server, live):
    life = live()
    with SidecarThread(BrokerAddress(redis_server.url), exact_only=True) as sidecar:
        page = open_dashboard(f"{sidecar.http}/#/operation/{life.id}")
        expect(page.get_by_text("Not everything is shown here")).to_be_visible()
        expect(page.locator("#access")).to_be_hidden()
        expect(page.get_by_role("complementary").locator(".timeline")).to_contain_text("started")


# How it looks, and how much of it there is.


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_its_looks_are_accessible(open_dashboard, sidecar, live, write, scheme):
    require_packages()
    lives = [live(tags=["nightly"]) for _ in range(9)]
    for number, life in enumerate(lives):
        life.say(progress(number / 10, message="Reading orders", current=number, total=10))
    lives[0].say(log("cache is cold"), error("no space left on device", duration=3.0))
    lives[1].say(error("revoked", status="cancelled", duration=3.0))
    lives[2].say(log("written"), result({"file": "a.pdf"}), completed(duration=3.0))
    starts_at = time.time() + 1_199
    lives[3].say(
        status("retrying", message="ConnectionError", attempt=1, starts_at=starts_at,
            retry_in=1_199.0, max_attempts=4),
    )  # fmt: skip
    waits = scheduled(
        at=lives[0].begun, operation_type="shop.remind", tags=["nightly"], queue="mails",
        starts_at=starts_at, expires_at=starts_at + 3_600,
    )  # fmt: skip
    write(structs.replace(waits, operation_id="waits"))
    page = open_dashboard(
        f"{sidecar.http}/#/operation/{lives[0].id}", color_scheme=scheme, reduced_motion="reduce"
    )
    page.get_by_role("button", name="Events as they come").click()
    expect(page.locator("pre.failed")).to_be_visible()
    expect(page.locator(".figures dd").first).to_be_visible()
    page.evaluate((NODE_MODULES / "axe-core" / "axe.min.js").read_text())
    SCREENSHOTS.mkdir(exist_ok=True)
    for step in ["failed", "done", "waits", "list"]:
        if step == "done":
            page.goto(f"{sidecar.http}/#/operation/{lives[2].id}")
            expect(page.locator("pre.result")).to_be_visible()
        if step == "waits":
            page.goto(f"{sidecar.http}/#/operation/waits")
            expect(page.locator("aside [part=status]")).to_have_text(
                re.compile(r"^starts in \d\d min$")
            )
            expect(page.locator(".facts")).to_contain_text("Expires")
            expect(row_of(page, lives[3])).to_contain_text(re.compile(r"retry in \d\d min"))
            expect(row_of(page, lives[3])).to_contain_text("1 of 4")
            expect(page.locator('[data-id="waits"]')).to_contain_text(
                re.compile(r"starts in \d\d min")
            )
        if step == "list":
            page.keyboard.press("Escape")
            expect(page.get_by_role("complementary")).to_be_hidden()
        page.screenshot(path=SCREENSHOTS / f"dashboard-{scheme}-{step}.png")
        found = page.evaluate("axe.run().then(({ violations }) => violations)")
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []


def test_the_page_that_asks_for_a_token_is_accessible(open_dashboard, closed_sidecar):
    require_packages()
    page = open_dashboard(f"{closed_sidecar.http}/")
    give(page, "nonsense")
    expect(page.locator(".empty-title")).to_have_text("This token was rejected")
    page.evaluate((NODE_MODULES / "axe-core" / "axe.min.js").read_text())
    found = page.evaluate("axe.run().then(({ violations }) => violations)")
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []


def test_it_fits_a_phone(open_dashboard, sidecar, live):
    life = live()
    page = open_dashboard(f"{sidecar.http}/")
    page.set_viewport_size({"width": 320, "height": 640})
    row = row_of(page, life)
    expect(row).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    # Whatever is chosen, all of it is inside.
    page.get_by_label("Filter by type").fill(life.kind)
    for part in ("#filters", ".fields"):
        inside = page.locator(part).evaluate("(part) => part.scrollWidth <= part.clientWidth")
        assert inside, part
    row.click()
    box = page.get_by_role("complementary").bounding_box()
    assert box["width"] > 290
    page.get_by_role("button", name="Close").click()
    expect(row).to_be_focused()


def test_no_column_is_cut_off_however_wide_the_table_is(open_dashboard, sidecar, live):
    life = live()
    page = open_dashboard(f"{sidecar.http}/#/operation/{life.id}")
    expect(row_of(page, life)).to_be_visible()
    expect(page.get_by_role("complementary").locator(".timeline")).to_contain_text("started")
    inside = "(grid) => grid.scrollWidth <= grid.clientWidth"
    for width in (1920, 1440, 1280, 1100, 1000, 800, 700, 480, 390, 320):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.locator("#grid").evaluate(inside), width


def test_where_there_is_little_room_the_end_of_a_tasks_name_is_seen(dashboard, live):
    life = live()
    kind = "company.department.team.project.application.tasks.import_orders"
    life.say(status("started", run="r2", after="r1", operation_type=kind, metadata={}))
    dashboard.get_by_label("Filter by type").fill(kind)
    named = row_of(dashboard, life).locator("[data-part=type]")
    expect(named).to_have_text(kind)
    expect(named).to_have_attribute("title", kind)
    cut = "(part) => part.scrollWidth > part.clientWidth"
    assert named.locator("[data-part=module]").evaluate(cut)
    assert not named.locator("[data-part=name]").evaluate(cut)
    assert named.locator("[data-part=name]").inner_text() == "import_orders"


def test_only_the_rows_in_sight_are_made(open_dashboard, redis_server):
    """5,000 operations, and as many elements as for fifty."""
    redis_server.clear()
    begun = time.time() - 10_000
    many = [
        status(
            "started", at=begun + number, operation_type=f"many.of{number}", metadata={},
            operation_id=f"many-{number}",
        )
        for number in range(5_000)
    ]  # fmt: skip
    with (
        log_writer(redis_server.url) as write,
        SidecarThread(BrokerAddress(redis_server.url)) as sidecar,
    ):
        for start in range(0, len(many), 500):
            write(*many[start : start + 500])
        page = open_dashboard(f"{sidecar.http}/")
        grid = page.get_by_role("treegrid")
        # A worker of another test may still say something on this broker.
        page.get_by_label("Filter by type").fill("many.*")
        expect(grid).to_have_attribute("aria-rowcount", "5001")
        assert page.locator("[data-id]").count() < 40
        expect(page.locator("[data-id=many-4999]")).to_be_visible()
        grid.evaluate("(grid) => grid.scrollTo(0, grid.scrollHeight)")
        last = page.locator("[data-id=many-0]")
        expect(last).to_be_in_viewport()
        expect(last).to_have_attribute("aria-rowindex", "5001")
        assert page.locator("[data-id]").count() < 40
        # What comes above moves nothing of what is looked at.
        place = last.bounding_box()
        new = {"operation_id": "new", "operation_type": "many.new"}
        write(status("started", at=time.time(), metadata={}, **new))
        expect(grid).to_have_attribute("aria-rowcount", "5002")
        expect(last).to_have_attribute("aria-rowindex", "5002")
        assert last.bounding_box() == place
        page.get_by_label("Filter by type").fill("many.of777")
        expect(page.locator("[data-id]")).to_have_count(1)
