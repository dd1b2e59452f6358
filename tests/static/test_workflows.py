"""Workflows in the browser's client and in the element, in pages before a real sidecar."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from support.conditions import eventually
from support.node import NODE_MODULES, require_packages
from support.proxies import Proxy
from support.sample_events import completed, error, plan, queued, status
from support.sidecars import PATIENT, SidecarThread

from celery_wsprogress import create_token
from celery_wsprogress.brokers import BrokerAddress

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

pytestmark = [pytest.mark.browser, pytest.mark.redis]

SCREENSHOTS = Path(__file__).parents[1] / "screenshots"
KEY = "a key that is long enough for HS256"
LONG = 60_000  # ms; for machines that are busy


STATES = """return [...steps.tree.steps.values()].map(({ id, state, progress }) =>
    [id.at(-1), state, progress])"""


def test_a_workflow_is_watched_by_the_id_that_its_caller_holds(client_page, canvas):
    page = client_page()
    page.run(
        """window.watch = connect(url).watch(id, { workflow: true,
            onProgress: ({ data }) => said.push(data.details.completed) });
        await watch.ready""",
        id=canvas.c,
    )
    assert page.run("return watch.operation") is None
    canvas.plan()
    eventually(lambda: page.run("return watch.operation?.state") == "queued")
    for one in canvas.ids:
        canvas.start(one)
        canvas.end(one, {"from": one})
    assert page.run("return watch.done") == {"from": canvas.c}
    assert page.run("return watch.operation.operation_id") == f"workflow:{canvas.c}"
    assert page.run("return said") == sorted(page.run("return said"))
    kinds = page.run(
        """const kinds = [];
        for await (const { event_type } of connect(url).watch(id, { workflow: true }))
            kinds.push(event_type);
        return kinds""",
        id=canvas.c,
    )
    assert kinds[0] == "status"
    assert kinds[-2:] == ["result", "completed"]


def test_a_single_task_is_a_workflow_of_one_step(client_page, canvas):
    canvas.start(canvas.c)
    page = client_page()
    page.run(
        """window.watch = connect(url).watch(id, { workflow: true });
        await watch.ready""",
        id=canvas.c,
    )
    assert page.run("return watch.operation.state") == "running"
    canvas.end(canvas.c, 7)
    assert page.run("return watch.done") == 7
    tree = page.run("return connect(url).tree(id)", id=canvas.c)
    assert (tree["total"], [one["operation_id"] for one in tree["nodes"]]) == (1, [canvas.c])


def test_a_tree_is_fetched_in_all_its_pages(client_page, write):
    name = uuid.uuid4().hex
    nodes = [("group", -1, name), *[("task", 0, f"{name}-{at}") for at in range(2_500)]]
    for first in range(0, len(nodes), 500):
        write(plan(*nodes[first : first + 500], held=name, first=first, tasks=2_500))
    found = client_page().run("return connect(url).tree(id)", id=name)
    assert found["total"] == 2_500
    assert [one["index"] for one in found["nodes"]] == [*range(2_501)]
    assert client_page().run("return connect(url).tree('unheard of')") == {"total": 0, "nodes": []}


def test_the_steps_are_followed_live(client_page, canvas):
    page = client_page()
    page.run("window.steps = watchSteps(connect(url), id); await steps.ready", id=canvas.c)
    assert page.run(STATES) == []
    canvas.plan()
    waiting = [["a", "waiting", 0], ["b", "waiting", 0], ["c", "waiting", 0]]
    eventually(lambda: page.run(STATES) == waiting)
    canvas.start(canvas.a)
    canvas.move(canvas.a, 0.5, message="halfway")
    eventually(lambda: page.run(STATES)[0] == ["a", "running", 0.5])
    assert page.run("return [...steps.tree.steps.values()][0].message") == "halfway"
    canvas.end(canvas.a)
    # A task that a step has started is found as well.
    canvas.start(canvas.b)
    canvas.start(f"{canvas.b}-x", parent_id=canvas.b, kind="shop.extra")
    eventually(lambda: page.run(STATES)[-1] == ["x", "running", 0])
    canvas.end(f"{canvas.b}-x")
    eventually(lambda: page.run(STATES)[-1] == ["x", "completed", 1])
    canvas.fail(canvas.b)
    skipped = ["c", "skipped", 0]
    canvas.write(error("broke", operation_id=canvas.c, run="never", at=4.0))
    eventually(lambda: page.run(STATES)[2] == skipped)
    assert page.run("return steps.tree.root.state") == "error"
    page.run("steps.close()")


def test_steps_are_followed_over_a_lost_connection(client_page, sidecar, canvas):
    canvas.plan()
    with Proxy(sidecar.port) as network:
        page = client_page(network.url, sidecar.http)
        page.run("window.steps = watchSteps(connect(url), id); await steps.ready", id=canvas.c)
        network.cut()
        canvas.start(canvas.a)
        canvas.end(canvas.a)
        canvas.start(canvas.b)
        network.mend()
        eventually(
            lambda: [one[1] for one in page.run(STATES)] == ["completed", "running", "waiting"]
        )


def test_steps_and_a_monitor_of_everything_share_a_connection(client_page, canvas):
    """Of what the monitor has seen first, no snapshot tells the workflow."""
    page = client_page()
    page.run(
        """window.client = connect(url);
        await client.monitor({}).ready;
        window.steps = watchSteps(client, id); await steps.ready;
        window.some = client.monitor({ steps_of: id }); await some.ready""",
        id=canvas.c,
    )
    canvas.plan()
    eventually(lambda: len(page.run(STATES)) == 3)
    canvas.start(canvas.a)
    canvas.move(canvas.a, 0.25)
    eventually(lambda: page.run(STATES)[0] == ["a", "running", 0.25])
    eventually(lambda: page.run("return [...some.operations.keys()]") == [canvas.a])


def test_a_monitor_finds_steps_that_begin_later(client_page, canvas):
    page = client_page()
    page.run("window.some = connect(url).monitor({ steps_of: id }); await some.ready", id=canvas.c)
    canvas.plan()
    canvas.start(canvas.a)
    eventually(lambda: page.run("return [...some.operations.keys()]") == [canvas.a])


def test_a_token_of_the_bar_alone_shows_no_steps(client_page, write, redis_server, canvas):
    address = BrokerAddress(redis_server.url)
    with SidecarThread(address, key=KEY, **PATIENT) as closed:
        page = client_page(closed.url, closed.http)
        canvas.plan()
        bar = create_token(canvas.c, key=KEY)
        steps = create_token(ops=f"workflow:{canvas.c}", key=KEY)
        found = page.run(
            """const client = connect(url, { token: bar });
            const watch = client.watch(id, { workflow: true });
            await watch.ready;
            const refused = watchSteps(client, id);
            const code = await refused.ready.catch((error) => error.code);
            const other = watchSteps(connect(url, { token: steps }), id);
            await other.ready;
            return [code, refused.error.code, other.tree.steps.size];""",
            id=canvas.c,
            bar=bar,
            steps=steps,
        )
        assert found == ["forbidden", "forbidden", 3]


def row_of(page, name):
    return page.get_by_role("treeitem").filter(has_text=name)


def test_a_workflow_is_one_bar_that_unfolds_into_its_steps(page_of, canvas):
    canvas.plan()
    canvas.start(canvas.a)
    canvas.move(canvas.a, 0.5, message="halfway")
    page = page_of(f'<celery-progress workflow-id="{canvas.c}"></celery-progress>')
    element = page.locator("celery-progress")
    bar = page.get_by_role("progressbar", name="workflow")
    expect(bar).to_have_attribute("aria-valuenow", "16")
    expect(element.locator("[part=figures]")).to_have_text("16% · 0 of 3")
    expect(element.locator("[part=message]")).to_have_text("shop.a: halfway")
    expect(page.get_by_role("tree")).to_have_count(0)
    toggle = page.get_by_role("button", name="Steps", expanded=False)
    toggle.press("Enter")
    expect(page.get_by_role("button", name="Steps", expanded=True)).to_be_focused()
    tree = page.get_by_role("tree", name="Steps")
    expect(tree.get_by_role("treeitem")).to_have_count(4)
    group = row_of(page, "group")
    expect(group).to_have_attribute("aria-expanded", "true")
    expect(group).to_contain_text("0 of 2")
    for name, level, state in (("a", "2", "running"), ("b", "2", "waiting"), ("c", "1", "waiting")):
        row = row_of(page, f"shop.{name}")
        expect(row).to_have_attribute("aria-level", level)
        expect(row).to_have_attribute("data-state", state)
    small = page.get_by_role("progressbar", name="shop.a")
    expect(small).to_have_attribute("aria-valuenow", "50")
    canvas.end(canvas.a)
    expect(small).to_have_attribute("aria-valuetext", "done")
    expect(group).to_contain_text("1 of 2")
    canvas.start(canvas.b)
    canvas.fail(canvas.b)
    canvas.write(error("broke", operation_id=canvas.c, run="never", at=4.0))
    expect(row_of(page, "shop.b")).to_contain_text("failed")
    expect(row_of(page, "shop.c")).to_contain_text("skipped")
    expect(element).to_have_attribute("state", "error")
    toggle = page.get_by_role("button", name="Steps", expanded=True)
    toggle.click()
    expect(tree).to_be_hidden()


def test_steps_are_reached_and_folded_with_the_keyboard(page_of, canvas):
    canvas.plan()
    page = page_of(f'<celery-progress workflow-id="{canvas.c}" expanded></celery-progress>')
    rows = page.get_by_role("treeitem")
    expect(rows).to_have_count(4)
    page.get_by_role("button", name="Steps").focus()
    page.keyboard.press("Tab")
    group = row_of(page, "group")
    expect(group).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(row_of(page, "shop.a")).to_be_focused()
    page.keyboard.press("End")
    expect(row_of(page, "shop.c")).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    expect(group).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(group).to_have_attribute("aria-expanded", "false")
    expect(rows).to_have_count(2)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(row_of(page, "shop.a")).to_be_focused()
    assert page.evaluate("document.querySelectorAll('*').length") < 20


def test_a_single_task_shows_no_steps(page_of, canvas):
    canvas.start(canvas.c)
    canvas.move(canvas.c, 0.5)
    page = page_of(f'<celery-progress workflow-id="{canvas.c}" expanded></celery-progress>')
    bar = page.get_by_role("progressbar", name="shop.c")
    expect(bar).to_have_attribute("aria-valuenow", "50")
    expect(page.get_by_role("button")).to_have_count(0)


@pytest.fixture
def large(write):
    """The name of a group of 10,000 with a body behind it."""
    name = uuid.uuid4().hex[:8]
    members = [("task", 1, f"{name}-{at}", "shop.resize") for at in range(10_000)]
    nodes = [("chain", -1), ("group", 0, f"{name}-g"), *members, ("task", 0, name, "shop.join")]
    for first in range(0, len(nodes), 1_000):
        write(plan(*nodes[first : first + 1_000], held=name, first=first, tasks=10_001))
    return name


def test_ten_thousand_steps_are_a_few_rows(page_of, write, large):
    page = page_of(f'<celery-progress workflow-id="{large}" expanded></celery-progress>')
    group = row_of(page, "group")
    expect(group).to_contain_text("0 of 10,000", timeout=LONG)
    expect(group).to_have_attribute("aria-expanded", "false")
    expect(page.get_by_role("treeitem")).to_have_count(2)
    group.click()
    rows = page.get_by_role("treeitem")
    expect(rows.nth(1)).to_have_attribute("aria-setsize", "10000")
    assert rows.count() < 40
    expect(row_of(page, "shop.join")).to_have_count(0)
    for first in range(0, 2_000, 500):
        ids = [f"{large}-{at}" for at in range(first, first + 500)]
        write(*[one for task in ids for one in life_of_step(task)])
    expect(rows.nth(1)).to_have_attribute("data-state", "completed")
    expect(group).to_contain_text("2,000 of 10,000", timeout=LONG)
    page.keyboard.press("End")
    expect(row_of(page, "shop.join")).to_be_focused()
    assert rows.count() < 40


def life_of_step(task):
    run = {"operation_id": task, "run": f"run-{task}"}
    return [
        queued(at=1.0, operation_id=task, publication=f"p-{task}", operation_type="shop.resize"),
        status("started", at=2.0, publication=f"p-{task}", metadata={}, **run),
        completed(at=3.0, duration=1.0, **run),
    ]


def test_steps_that_the_token_does_not_grant_are_not_shown(page_of, redis_server, canvas):
    address = BrokerAddress(redis_server.url)
    canvas.plan()
    with SidecarThread(address, key=KEY, **PATIENT) as closed:
        token = create_token(canvas.c, key=KEY)
        page = page_of(
            f'<celery-progress workflow-id="{canvas.c}" url="{closed.url}" token="{token}"'
            " expanded></celery-progress>"
        )
        expect(page.get_by_text("The steps may not be shown here.")).to_be_visible()
        expect(page.get_by_role("progressbar", name="workflow")).to_be_visible()


@pytest.mark.parametrize(
    "how",
    [
        ("light", 480, 'lang="en"'),
        ("dark", 480, 'lang="en"'),
        ("phone", 320, 'lang="en"'),
        ("rtl", 480, 'lang="he" dir="rtl"'),
    ],
    ids=str,
)
def test_the_steps_look_as_they_should(page_of, busy, large, how):
    look, width, html = how
    require_packages()
    dark = look == "dark"
    style = f"<style>:root {{ color-scheme: {'dark' if dark else 'light'} }} body {{ margin: 1rem;"
    style += f" background: {'#111827' if dark else '#fff'} }}</style>"
    bars = [
        f'<celery-progress workflow-id="{one}" label="{label}" expanded></celery-progress><br>'
        for one, label in ((busy, "Import of a film"), (large, "All pictures"))
    ]
    page = page_of("".join(bars), head=style, html=html)
    page.set_viewport_size({"width": width, "height": 440})
    expect(page.get_by_role("tree").first.get_by_role("treeitem")).to_have_count(8)
    expect(page.get_by_text("0 of 10,000")).to_be_visible(timeout=LONG)
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"steps-{look}.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.add_script_tag(path=NODE_MODULES / "axe-core" / "axe.min.js")
    found = page.evaluate(
        "axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice'] })"
    )
    allowed = {"page-has-heading-one", "landmark-one-main", "region"}
    wrong = [one for one in found["violations"] if one["id"] not in allowed]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in wrong] == []
