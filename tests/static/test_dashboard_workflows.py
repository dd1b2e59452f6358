"""Workflows in the dashboard: rows that unfold into their steps."""

from __future__ import annotations

import re
import time

import pytest
from canvas import Canvas
from support.conditions import eventually
from support.node import NODE_MODULES, require_packages
from support.sample_events import plan
from support.sidecars import PATIENT, SidecarThread
from test_dashboard import SCREENSHOTS, open_dashboard  # noqa: F401 - a fixture

from celery_wsprogress.brokers import BrokerAddress

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

pytestmark = [pytest.mark.browser, pytest.mark.redis]


@pytest.fixture
def sidecar(write, redis_server):
    """One that has read nothing of other tests."""
    redis_server.clear()
    with SidecarThread(BrokerAddress(redis_server.url), **PATIENT) as sidecar:
        yield sidecar


def row_of(page, operation_id):
    return page.locator(f'[data-id="{operation_id}"]')


def test_steps_stand_below_their_workflow(open_dashboard, sidecar, canvas):  # noqa: F811
    page = open_dashboard(f"{sidecar.http}/")
    canvas.plan()
    canvas.start(canvas.a)
    canvas.move(canvas.a, 0.5, message="halfway")
    whole = row_of(page, f"workflow:{canvas.c}")
    expect(whole).to_contain_text("0 of 3 steps · shop.a: halfway")
    expect(whole).to_have_attribute("aria-expanded", "false")
    expect(row_of(page, canvas.a)).to_have_count(0)
    whole.locator("[data-part=fold]").click()
    expect(whole).to_have_attribute("aria-expanded", "true")
    rows = page.locator("[data-id]")
    expect(rows).to_have_count(4)
    assert [one.get_attribute("data-id") for one in rows.all()] == [
        f"workflow:{canvas.c}",
        *canvas.ids,
    ]
    expect(row_of(page, canvas.a)).to_contain_text("halfway")
    expect(row_of(page, canvas.a)).to_have_attribute("aria-level", "3")
    expect(row_of(page, canvas.c)).to_have_attribute("aria-level", "2")
    expect(row_of(page, canvas.c)).to_contain_text("waiting")
    canvas.end(canvas.a)
    expect(row_of(page, canvas.a)).to_contain_text("done")
    expect(whole).to_contain_text("1 of 3 steps")
    whole.focus()
    page.keyboard.press("ArrowLeft")
    expect(rows).to_have_count(1)
    page.keyboard.press("ArrowRight")
    expect(rows).to_have_count(4)


def test_workflows_are_filtered(open_dashboard, sidecar, canvas, write):  # noqa: F811
    other = Canvas(write)
    canvas.plan()
    canvas.start(canvas.a)
    other.start(other.a, kind="shop.alone")
    page = open_dashboard(f"{sidecar.http}/")
    rows = page.locator("[data-id]")
    expect(rows).to_have_count(2)
    page.get_by_role("button", name="Workflows").click()
    expect(rows).to_have_count(1)
    expect(row_of(page, f"workflow:{canvas.c}")).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    expect(rows).to_have_count(2)
    # Who looks for a step finds it.
    page.get_by_label("Filter by type").fill("shop.a")
    expect(row_of(page, canvas.a)).to_be_visible()


def test_steps_that_begin_while_it_is_shown_go_below(open_dashboard, sidecar, canvas):  # noqa: F811
    page = open_dashboard(f"{sidecar.http}/")
    canvas.start(canvas.a)
    expect(row_of(page, canvas.a)).to_be_visible()
    canvas.plan()
    expect(row_of(page, f"workflow:{canvas.c}")).to_be_visible()
    expect(row_of(page, canvas.a)).to_have_count(0)
    canvas.start(f"{canvas.a}-x", parent_id=canvas.a, kind="shop.extra")
    expect(row_of(page, f"workflow:{canvas.c}")).to_contain_text("of 4 steps")
    eventually(lambda: page.locator("[data-id]").count() == 1)


def test_the_detail_of_a_workflow_shows_its_tree(open_dashboard, sidecar, canvas):  # noqa: F811
    canvas.plan()
    canvas.start(canvas.a)
    page = open_dashboard(f"{sidecar.http}/#/operation/workflow:{canvas.c}")
    detail = page.get_by_role("complementary")
    expect(detail.get_by_role("heading", level=2)).to_have_text("celery.chain")
    expect(detail.get_by_role("treeitem")).to_have_count(4)
    detail.get_by_role("treeitem").filter(has_text="shop.a").click()
    expect(detail.get_by_role("heading", level=2)).to_have_text("shop.a")
    detail.get_by_role("link", name=f"workflow:{canvas.c}").click()
    expect(detail.get_by_role("treeitem")).to_have_count(4)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_workflows_look_as_they_should(open_dashboard, sidecar, busy, write, scheme):  # noqa: F811
    require_packages()
    other = Canvas(write)
    other.begun = time.time() - 15.0
    other.start(other.a, kind="shop.orders.import")
    other.move(other.a, 0.3, message="Reading orders")
    page = open_dashboard(f"{sidecar.http}/", color_scheme=scheme, reduced_motion="reduce")
    whole = row_of(page, f"workflow:{busy}")
    whole.locator("[data-part=fold]").click()
    expect(page.locator("[data-id]")).to_have_count(8)
    SCREENSHOTS.mkdir(exist_ok=True)
    page.evaluate((NODE_MODULES / "axe-core" / "axe.min.js").read_text())
    for step in ("list", "detail", "phone"):
        if step == "detail":
            whole.locator("[data-part=message]").click()
            expect(page.get_by_role("complementary").get_by_role("treeitem")).to_have_count(8)
        if step == "phone":
            page.get_by_role("button", name="Close").click()
            page.set_viewport_size({"width": 320, "height": 640})
            assert page.evaluate("document.documentElement.scrollWidth") <= 320
        page.screenshot(path=SCREENSHOTS / f"dashboard-workflows-{scheme}-{step}.png")
        found = page.evaluate("axe.run().then(({ violations }) => violations)")
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []


def test_ten_thousand_steps_take_no_row_each(open_dashboard, sidecar, write):  # noqa: F811
    name = f"large-{time.time()}"
    nodes = [("group", -1, name), *[("task", 0, f"{name}-{at}", "shop.x") for at in range(9_000)]]
    for first in range(0, len(nodes), 1_000):
        write(plan(*nodes[first : first + 1_000], held=name, first=first, tasks=9_000))
    page = open_dashboard(f"{sidecar.http}/")
    whole = row_of(page, f"workflow:{name}")
    whole.locator("[data-part=fold]").click()
    # With rows of what other tests have written.
    rows = re.compile(r"9\d{3}")
    expect(page.get_by_role("treegrid")).to_have_attribute("aria-rowcount", rows, timeout=180_000)
    assert page.locator("[data-id]").count() < 40
