"""What pages do with the client that must be no trouble to it, to them, or to each other."""

from __future__ import annotations

import json
import time
import uuid

import pytest
from msgspec import structs
from support.conditions import eventually
from support.node import MODULES, bundle, require_packages, run_node
from support.sample_events import completed, log, progress, result, status
from support.sidecars import SidecarThread

from celery_wsprogress import create_token
from celery_wsprogress.brokers import BrokerAddress

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

pytestmark = [pytest.mark.browser, pytest.mark.redis]

KEY = "a key that is long enough for HS256"


@pytest.fixture
def closed_sidecar(write, redis_server):
    """One with a key, of the same log."""
    with SidecarThread(BrokerAddress(redis_server.url), key=KEY) as sidecar:
        yield sidecar


@pytest.fixture
def client_page(browser, site, sidecar):
    """A page that has the client's functions; what fails in its scripts is no failure here."""
    pages = []

    def client_page(served=sidecar):
        page = browser.new_page()
        pages.append(page)
        page.goto(site[1])
        page.evaluate(
            "async (http) => Object.assign(window, await import(`${http}/client.js`), "
            "{ said: [] })",
            served.http,
        )

        def run(script, **values):
            values = {"url": served.url, **values}
            named = "".join(f"const {one} = {json.dumps(it)};" for one, it in values.items())
            return page.evaluate(f"async () => {{ {named} {script} }}")

        page.run = run
        return page

    yield client_page
    for page in pages:
        page.close()


def started(**more):
    return status("started", at=1.0, metadata={}, operation_type="t", **more)


def test_a_function_of_the_page_that_fails_stops_nothing(client_page, life):
    page = client_page()
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.run(
        """const client = connect(url), other = connect(url);
        const fail = () => { throw new Error("of the page") };
        client.observe(fail);
        client.watch(id, { onLog: fail, onChange: fail, onRefused: fail }).observe(fail);
        other.watch(id, { onLog: ({ data }) => said.push(data.message) })""",
        id=life.id,
    )
    life(started(), log("a", at=2.0), log("b", at=2.0))
    eventually(lambda: page.run("return said") == ["a", "b"])
    assert complaints, "it is told where a page's own errors are"


@pytest.mark.parametrize(
    "bad",
    [
        "() => new Promise(() => {})",
        "() => Promise.reject(new Error('away'))",
        "() => { throw new Error('away') }",
        "() => 'nonsense'",
    ],
    ids=["never", "rejects", "throws", "nonsense"],
)
def test_one_clients_trouble_with_its_token_is_no_others(client_page, closed_sidecar, life, bad):
    life(started(), log("a", at=2.0))
    page = client_page(closed_sidecar)
    page.run(
        f"""window.bad = connect(url, {{ getToken: {bad} }});
        bad.watch(id);
        window.good = connect(url, {{ getToken: () => token }});
        good.watch(id, {{ onLog: ({{ data }}) => said.push(data.message) }});
        const other = connect(url, {{ token }});
        other.watch(id, {{ onLog: ({{ data }}) => said.push(data.message) }});""",
        id=life.id,
        token=create_token(life.id, key=KEY),
    )
    eventually(lambda: page.run("return said") == ["a", "a"])
    assert page.run("return good.state") == "open"
    assert page.run("return bad.state") in ("connecting", "closed")


def test_a_token_that_comes_late_is_taken_then(client_page, closed_sidecar, life):
    life(started(), result(7, at=2.0), completed(at=3.0, duration=2.0))
    page = client_page(closed_sidecar)
    found = page.run(
        """let calls = 0;
        const getToken = async () => { if (++calls < 2) throw new Error("away"); return token };
        const client = connect(url, { getToken });
        client.observe(() => client.lost && said.push(client.lost.reason));
        const given = await client.watch(id).done;
        return [given, (await client.get(id)).state, client.lost, said[0]];""",
        id=life.id,
        token=create_token(life.id, key=KEY),
    )
    assert found == [7, "completed", None, "no token: Error: away"]


def test_a_clock_that_is_wrong_or_jumps_asks_for_no_more_tokens(client_page, closed_sidecar, life):
    page = client_page(closed_sidecar)
    given = []

    def give_token():
        given.append(time.monotonic())
        return create_token(life.id, 10.0, key=KEY)

    page.expose_function("giveToken", give_token)
    page.run(
        """const now = Date.now;
        const getToken = () => {
            Date.now = () => now() + 3_600_000;
            return giveToken();
        };
        window.client = connect(url, { getToken });
        await client.watch(id).ready""",
        id=life.id,
    )
    page.evaluate("new Promise((resolve) => setTimeout(resolve, 2000))")
    assert len(given) == 1


def test_a_clock_that_is_set_back_hides_no_dead_link(client_page, sidecar):
    page = client_page()
    found = page.run(
        """const { Socket } = await import(new URL("client/socket.js", import_from));
        const real = Date.now;
        const sent = [];
        const socket = { send: (text) => sent.push(JSON.parse(text).command), close() {} };
        new Socket(socket, { onWelcome() {}, onEvent() {}, onClose() {} });
        socket.onmessage({ data: JSON.stringify(
            { event_type: "connected", timestamp: 1, data: { heartbeat: 0.2 } }) });
        Date.now = () => real() - 3_600_000;
        await new Promise((resolve) => setTimeout(resolve, 1000));
        Date.now = real;
        return sent;""",
        import_from=f"{sidecar.http}/",
    )
    assert found == ["ping"]


def test_what_has_ended_is_let_go(client_page, sidecar, write):
    ids = [str(uuid.uuid4()) for _ in range(30)]
    for one in ids:
        events = (started(), result(1, at=2.0), completed(at=3.0, duration=1.0))
        write(*[structs.replace(event, operation_id=one) for event in events])
    page = client_page()
    page.run(
        """window.client = connect(url);
        for (const id of ids.slice(0, 10)) await client.watch(id).done;
        for (const id of ids.slice(10, 20)) {
            for await (const event of client.watch(id)) said.push(event);
        }
        await client.watchMany(ids.slice(20)).done;
        window.many = client.watchMany([...ids.slice(20), "another"])""",
        ids=ids,
    )
    eventually(lambda: sidecar.sidecar.stats()["subscriptions"] == 1)
    assert page.run("return [many.results.size, many.closed]") == [10, False]
    assert page.run("return said.length") == 30


def test_one_that_is_to_stay_is_watched_on(client_page, life):
    life(started(), completed(at=2.0, duration=1.0))
    page = client_page()
    page.run(
        """window.watch = connect(url).watch(id, { stay: true,
            onStatus: (event, operation, replayed) => said.push(replayed) });
        await watch.done""",
        id=life.id,
    )
    life(status("started", at=5.0, metadata={}, operation_type="t", run="r2", publication="p2"))
    eventually(lambda: page.run("return said") == [True, False])
    assert page.run("return [watch.over, watch.closed]") == [False, False]


def test_events_can_be_iterated_at_any_time_from_the_start_of_the_run(client_page, life):
    life(started(), log("a", at=2.0), result(1, at=2.5), completed(at=3.0, duration=2.0))
    page = client_page()
    found = page.run(
        """const client = connect(url);
        const kinds = async (watch) => {
            const all = [];
            for await (const { event_type } of watch) all.push(event_type);
            return all.join(" ");
        };
        const one = client.watch(id), many = client.watchMany([id]);
        await one.ready;
        await many.ready;
        const first = [await kinds(one), await kinds(many)];
        await one.done;
        const closed = client.watch(id);
        closed.close();
        return [...first, await kinds(one), await kinds(closed)];""",
        id=life.id,
    )
    assert found == [*["status log result completed"] * 3, ""]


def test_who_does_not_take_events_holds_no_more_than_some(client_page, life):
    page = client_page()
    page.run(
        """window.watch = connect(url).watch(id, { onLog: () => said.push(1) });
        window.iterator = watch[Symbol.asyncIterator]();
        window.first = iterator.next();
        await watch.ready""",
        id=life.id,
    )
    life(started())
    page.run("await first")
    for _ in range(6):
        life(*[log("x", at=2.0) for _ in range(500)])
    life(completed(at=3.0, duration=2.0))
    eventually(lambda: page.run("return watch.over"))
    kinds = page.run(
        "const all = []; for await (const { event_type } of iterator) all.push(event_type);"
        "return [all.length, all.at(-1), watch.missed, said.length]"
    )
    assert kinds[:2] == [1000, "completed"]
    assert kinds[2] == kinds[3] + 1 - 1000


def test_a_signal_may_be_of_many(sidecar, life):
    require_packages()
    life(started())
    script = """
        const [module, url, id] = process.argv.slice(1);
        const { connect } = await import(module);
        process.on("warning", ({ name }) => console.log(name));
        const client = connect(url, { WebSocket: (await import("ws")).default });
        const stop = new AbortController();
        const all = Array.from({ length: 20 }, () => client.watch(id, { signal: stop.signal }));
        await Promise.all(all.map((one) => one.ready));
        stop.abort();
        await new Promise((resolve) => setTimeout(resolve, 10));
        console.log(all.filter((one) => one.closed).length);
        client.close();
    """
    module = str(MODULES / "client.js")
    said = run_node("--input-type=module", "-e", script, module, sidecar.url, life.id)
    assert said.split() == ["20"]


# React.


def test_a_page_without_frames_is_ready_all_the_same(open_page, site, sidecar, write, life):
    require_packages()
    folder, root = site
    source = """import React from "react"; import * as client from "react-dom/client";
        export const { createElement, useState, useEffect, useMemo, useRef,
            useSyncExternalStore } = React; export const { createRoot } = client;"""
    define = {"process.env.NODE_ENV": '"development"'}
    (folder / "react-without-frames.js").write_text(bundle(source, define=define))
    imports = json.dumps({"imports": {"react": f"{root}/react-without-frames.js"}})
    life(started(tags=[life.id]), progress(0.5, at=2.0))
    page = open_page(
        "<main></main>",
        head=f"""<script type=importmap>{imports}</script>
        <script>globalThis.requestAnimationFrame = () => 0</script><script type=module>
            import {{ createElement as h, createRoot }} from "react";
            import {{ useOperations }} from "{sidecar.http}/react.js";
            function App() {{
                const {{ operations, ready }} = useOperations({{ tag: "{life.id}" }});
                return h("p", null, `${{ready}} ${{operations.length}}`);
            }}
            createRoot(document.querySelector("main")).render(h(App));
        </script>
        <script type=module src="{sidecar.http}/element.js"></script>""",
    )
    expect(page.locator("p")).to_have_text("true 1")
