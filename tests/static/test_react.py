"""``react.js`` with the current React: in Chromium, in StrictMode, and rendered on a server."""

from __future__ import annotations

import json
import time
import uuid

import pytest
from msgspec import structs
from support.conditions import eventually
from support.node import MODULES, bundle, require_packages, run_node
from support.sample_events import (
    chunk,
    completed,
    error,
    log,
    plan,
    progress,
    result,
    scheduled,
    status,
)

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

pytestmark = [pytest.mark.browser, pytest.mark.redis]


@pytest.fixture(scope="module")
def react(site):
    """React as modules, in one file, and where an import map finds it."""
    require_packages()
    folder, root = site
    # One bundle for both: two copies of React do not know each other.
    source = """
        import React from "react";
        import * as client from "react-dom/client";
        export const { createElement, useState, useEffect, useMemo, useRef, useSyncExternalStore,
            StrictMode, Fragment } = React;
        export const { createRoot, hydrateRoot } = client;
    """
    text = bundle(source, define={"process.env.NODE_ENV": '"development"'})
    (folder / "react.js").write_text(text)
    return f"{root}/react.js"


@pytest.fixture
def react_page(open_page, sidecar, react):
    """A page that renders what a script calls ``App``, strictly."""

    def react_page(script, **values):
        imports = json.dumps({"imports": {"react": react}})
        named = "".join(f"const {name} = {json.dumps(value)};" for name, value in values.items())
        head = f"""<script type=importmap>{imports}</script><script type=module>
            import {{ createElement as h, createRoot, StrictMode, useState }} from "react";
            import {{ CeleryProgress, useOperation, useOperations, useStream }}
                from "{sidecar.http}/react.js";
            {named}
            window.said = [];
            {script}
            window.root = createRoot(document.querySelector("main"));
            root.render(h(StrictMode, null, h(App)));
        </script>"""
        page = open_page("<main></main>", head=head)
        page.wait_for_function("window.root")
        return page

    return react_page


def life_of(operation_id, *events):
    return [structs.replace(one, operation_id=operation_id) for one in events]


def started(*, at=1.0, **more):
    return status("started", at=at, operation_type="t", metadata={}, **more)


def test_a_hook_follows_an_operation_to_its_result(react_page, write):
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    page = react_page(
        """function App() {
            const [id, setId] = useState(first);
            const { operation, result, connection } = useOperation(id, {
                onLog: ({ data }) => said.push(`${data.message} of ${id === first ? 1 : 2}`) });
            const shown = [connection, operation?.state, operation?.progress, result].join(" ");
            return h("p", { onClick: () => setId(second) }, shown);
        }""",
        first=first,
        second=second,
    )
    shown = page.locator("p")
    expect(shown).to_have_text("open   ")
    write(*life_of(first, started(), progress(0.5, at=2.0), log("line", at=2.0)))
    expect(shown).to_have_text("open running 0.5 ")
    write(*life_of(first, result("all", at=3.0), completed(at=3.0, duration=2.0)))
    expect(shown).to_have_text("open completed 1 all")
    write(*life_of(second, started(), log("line", at=2.0)))
    shown.click()
    expect(shown).to_have_text("open running 0 ")
    # StrictMode begins twice; nothing is heard twice for it.
    eventually(lambda: page.evaluate("said") == ["line of 1", "line of 2"])


def test_a_hook_counts_down_to_the_start(react_page, write):
    one = str(uuid.uuid4())
    page = react_page(
        """function App() {
            const { operation, startsIn } = useOperation(id);
            if (operation?.state === "scheduled") said.push(startsIn);
            return h("p", {}, `${operation?.state} ${startsIn}`);
        }""",
        id=one,
    )
    shown, now = page.locator("p"), time.time()
    expect(shown).to_have_text("undefined null")
    write(*life_of(one, scheduled(at=now, starts_at=now + 3.0)))
    expect(shown).to_have_text("scheduled null")
    said = page.evaluate("said")
    left = [one for one in said if one is not None]
    assert len(set(left)) > 1
    assert left == sorted(left, reverse=True)
    write(*life_of(one, started(at=now + 4)))
    expect(shown).to_have_text("running null")


def test_a_hook_follows_a_stream_to_its_end(react_page, write):
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    page = react_page(
        """function App() {
            const [id, setId] = useState(first);
            const onChunk = ({ data }) => said.push(data.chunk);
            const { text, chunks, closed, missing } = useStream(id, "answer", { onChunk });
            return h("p", { onClick: () => setId(second) },
                JSON.stringify([text, chunks, closed, missing]));
        }""",
        first=first,
        second=second,
    )
    shown = page.locator("p")

    def shows(*wanted):
        eventually(lambda: json.loads(shown.text_content()) == list(wanted))

    shows("", [], False, False)
    write(*life_of(first, started(), chunk("To be ", at=2.0), chunk("no", stream="notes", at=2.0)))
    shows("To be ", ["To be "], False, False)
    write(*life_of(first, chunk("or not", 1, at=2.0), chunk(None, 2, at=3.0, closed=True)))
    shows("To be or not", ["To be ", "or not"], True, False)
    # StrictMode begins twice; nothing is heard twice for it.
    assert page.evaluate("said") == ["To be ", "no", "or not", None]
    # Where the process was killed, nothing says that the stream is closed but the end.
    write(*life_of(second, started(), chunk("late", 7, at=2.0), error("lost", at=3.0)))
    shown.click()
    shows("…late", ["late"], True, True)


def test_what_is_not_shown_is_not_watched(react_page, sidecar, write):
    stats = sidecar.sidecar.stats
    one = str(uuid.uuid4())
    page = react_page(
        """const Shown = () => useOperation(id).operation?.state ?? "nothing";
        function App() {
            const [shown, setShown] = useState(true);
            const toggle = h("button", { onClick: () => setShown(!shown) }, "Toggle");
            return h("div", null, toggle, h("p", null, shown && h(Shown)));
        }""",
        id=one,
    )
    expect(page.locator("p")).to_have_text("nothing")
    eventually(lambda: (stats()["connected_clients"], stats()["subscriptions"]) == (1, 1))
    page.get_by_role("button").click()
    eventually(lambda: stats()["connected_clients"] == 0)
    write(*life_of(one, started()))
    page.get_by_role("button").click()
    expect(page.locator("p")).to_have_text("running")


def test_a_hook_follows_all_operations_of_a_kind(react_page, write):
    tag = str(uuid.uuid4())
    write(*life_of("first-of-kind", started(tags=[tag]), progress(0.25, at=2.0)))
    page = react_page(
        """function App() {
            const { operations, ready } = useOperations({ tag });
            const rows = operations.map((one) =>
                h("li", { key: one.operation_id }, `${one.operation_id} ${one.progress}`));
            return h("ul", { className: ready ? "ready" : "" }, rows);
        }""",
        tag=tag,
    )
    expect(page.locator("ul.ready li")).to_have_text(["first-of-kind 0.25"])
    write(*life_of("second-of-kind", started(at=2.0, tags=[tag])))
    write(*life_of("first-of-kind", completed(at=3.0, duration=2.0)))
    expect(page.locator("li")).to_have_text(["second-of-kind 0", "first-of-kind 1"])


def test_the_component_is_the_element(react_page, write):
    one = str(uuid.uuid4())
    page = react_page(
        """function App() {
            const [label, setLabel] = useState("One");
            return h(CeleryProgress, { taskId: id, label, className: "mine",
                onCompleted: ({ data }, { state }) => { said.push([label, state, data.duration]) },
                onProgress: () => setLabel("Two") },
                h("b", { slot: "result" }, "There it is"));
        }""",
        id=one,
    )
    write(*life_of(one, started(), progress(0.5, at=2.0)))
    bar = page.locator(".mine").get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", "50")
    expect(bar).to_have_accessible_name("Two")
    write(*life_of(one, completed(at=3.0, duration=2.0)))
    expect(page.get_by_text("There it is")).to_be_visible()
    assert page.evaluate("said") == [["Two", "completed", 2]]


def test_a_server_renders_what_is_known_there_and_opens_nothing():
    require_packages()
    said = run_node("--input-type=module", stdin=bundle_of_server())
    assert said.strip() == (
        "<p>connecting nothing 0 false false </p>"
        '<celery-progress task-id="x" class="mine"><b>inside</b></celery-progress>'
    )


def test_a_page_from_a_server_is_taken_over_also_where_its_bars_move_already(
    open_page, sidecar, react, write
):
    one = str(uuid.uuid4())
    write(*life_of(one, started(), progress(0.5, at=2.0)))
    imports = json.dumps({"imports": {"react": react}})
    bar = f'<celery-progress task-id="{one}" class="mine"></celery-progress>'
    page = open_page(
        f"<main><p>connecting nothing</p>{bar}</main>",
        head=f"""<script type=importmap>{imports}</script><script type=module>
            import {{ createElement as h, Fragment, hydrateRoot }} from "react";
            import {{ CeleryProgress, useOperation }} from "{sidecar.http}/react.js";
            function State() {{
                const {{ operation, connection }} = useOperation("{one}");
                return h("p", null, `${{connection}} ${{operation?.state ?? "nothing"}}`);
            }}
            window.takeOver = () => hydrateRoot(document.querySelector("main"), h(Fragment, null,
                h(State), h(CeleryProgress, {{ taskId: "{one}", className: "mine" }})));
        </script>""",
    )
    complaints = []
    page.on("console", lambda line: "hydrat" in line.text and complaints.append(line.text))
    element = page.locator("celery-progress")
    expect(element).to_have_attribute("state", "running")
    kept = element.element_handle()
    page.evaluate("void takeOver()")
    expect(page.locator("p")).to_have_text("open running")
    write(*life_of(one, completed(at=3.0, duration=2.0)))
    expect(element).to_have_attribute("state", "completed")
    assert kept.evaluate("(one) => one.isConnected"), "it was taken over, and not made anew"
    assert complaints == []


def bundle_of_server():
    source = f"""
        import {{ createElement as h }} from "react";
        import {{ renderToString }} from "react-dom/server.browser";
        import {{ CeleryProgress, useOperation, useOperations, useStream }}
            from "{MODULES}/react.js";
        globalThis.WebSocket = class {{ constructor() {{ throw new Error("opened") }} }};
        function App() {{
            const {{ operation, connection }} = useOperation("x");
            const {{ operations, ready }} = useOperations({{ tag: "t" }});
            const state = operation?.state ?? "nothing";
            const {{ text, closed }} = useStream("x", "answer");
            return [connection, state, operations.length, ready, closed, text].join(" ");
        }}
        console.log(renderToString(h("p", null, h(App)))
            + renderToString(h(CeleryProgress, {{ taskId: "x", className: "mine" }},
                h("b", null, "inside"))));
        // What was begun would be at work by then; React itself would keep Node going.
        setTimeout(() => process.exit(), 50);
    """
    return bundle(source, define={"process.env.NODE_ENV": '"production"'})


def test_a_workflow_is_followed_by_a_hook_and_shown_by_the_component(react_page, write):
    name = uuid.uuid4().hex
    first = f"{name}-first"
    nodes = [("chain", -1), ("task", 0, first, "shop.first"), ("task", 0, name, "shop.last")]
    write(plan(*nodes, held=name))
    page = react_page(
        """function App() {
            const { operation, result } = useOperation({ workflow: id });
            const { completed, total } = operation?.details ?? {};
            return h("div", null, h("p", null, `${completed} of ${total} ${result ?? ""}`),
                h(CeleryProgress, { workflowId: id, expanded: true,
                    onCompleted: (event) => said.push(event.operation_id) }));
        }""",
        id=name,
    )
    shown = page.locator("p")
    expect(shown).to_have_text("0 of 2 ")
    expect(page.get_by_role("treeitem")).to_have_count(2)
    for one in (first, name):
        write(*life_of(one, started(), result("all", at=3.0), completed(at=3.0, duration=2.0)))
    expect(shown).to_have_text("2 of 2 all")
    eventually(lambda: page.evaluate("said") == [f"workflow:{name}"])
