"""Workflows in the browser's client, in pages before a real sidecar."""

from __future__ import annotations

import uuid

import pytest
from support.conditions import eventually
from support.proxies import Proxy
from support.sample_events import completed, error, plan, progress, queued, result, status
from support.sidecars import PATIENT, SidecarThread

from celery_wsprogress import create_token
from celery_wsprogress.brokers import BrokerAddress

playwright = pytest.importorskip("playwright.sync_api")

pytestmark = [pytest.mark.browser, pytest.mark.redis]

KEY = "a key that is long enough for HS256"


class Canvas:
    """A workflow of its own in the log: two tasks in a group, and one behind them."""

    def __init__(self, write):
        name = uuid.uuid4().hex[:8]
        self.write = write
        self.ids = [f"{name}-{one}" for one in "abc"]
        self.a, self.b, self.c = self.ids
        self.nodes = [
            ("chain", -1),
            ("group", 0, f"{name}-g"),
            *[("task", 1, one, f"shop.{one[-1]}") for one in self.ids[:2]],
            ("task", 0, self.c, "shop.c"),
        ]

    def plan(self):
        self.write(plan(*self.nodes, held=self.c))

    def start(self, task_id, **more):
        kind = more.pop("kind", f"shop.{task_id[-1]}")
        said = {"operation_id": task_id, "publication": f"p-{task_id}", "operation_type": kind}
        run = {"run": f"run-{task_id}", "at": 2.0, "metadata": {}, **said, **more}
        self.write(queued(at=1.0, **said, **more), status("started", **run))

    def move(self, task_id, fraction, **more):
        self.write(progress(fraction, operation_id=task_id, run=f"run-{task_id}", at=3.0, **more))

    def end(self, task_id, value=None):
        run = f"run-{task_id}"
        self.write(
            result(value, operation_id=task_id, run=run, at=4.0),
            completed(operation_id=task_id, run=run, at=4.0, duration=2.0),
        )

    def fail(self, task_id):
        self.write(error("broke", operation_id=task_id, run=f"run-{task_id}", at=4.0))


@pytest.fixture
def canvas(write):
    return Canvas(write)


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
