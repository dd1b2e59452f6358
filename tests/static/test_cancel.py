"""Cancel in pages: the client, the element, the hook and the dashboard, in Chromium."""

from __future__ import annotations

import json

import pytest
from celery import Celery
from support.conditions import eventually
from support.node import bundle, require_packages
from support.sample_events import completed, error, plan, progress, status
from support.sidecars import PATIENT, SidecarThread
from support.workers import Worker

from celery_wsprogress.brokers import BrokerAddress

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

pytestmark = [pytest.mark.browser, pytest.mark.redis]

LONG = 60_000  # ms; for machines that are busy


@pytest.fixture(scope="module")
def sidecar(write, redis_server):
    """One that lets pages cancel."""
    address = BrokerAddress(redis_server.url)
    with SidecarThread(address, allow_cancel=True, **PATIENT) as write.sidecar:
        yield write.sidecar
    write.sidecar = None


@pytest.fixture
def page_of(open_page, sidecar):
    def page_of(body, script="", served=sidecar):
        module = f'<script type="module" src="{served.http}/element.js"></script>'
        client = f"""<script type=module>
            import * as client from "{served.http}/client.js";
            Object.assign(window, client, {{ said: [] }});
            {script}
        </script>"""
        return open_page(body, head=module + client)

    return page_of


def running():
    return status("started", at=1.0, operation_type="t", metadata={}, run="r", worker="w@host")


def stopped():
    end = "the task was cancelled while it ran"
    return error(end, at=3.0, status="cancelled", run="r")


def element(life, more="cancellable"):
    return f'<celery-progress task-id="{life.id}" {more}></celery-progress>'


def test_a_button_cancels_a_real_task(page_of, redis_server):
    url = redis_server.url
    with Worker("ends", broker=url, backend=url):
        app = Celery("caller", broker=url, backend=url, set_as_current=False)
        task = app.send_task("ends.looks_whether_it_is_cancelled")
        page = page_of(f'<celery-progress task-id="{task.id}" cancellable></celery-progress>')
        shown = page.locator("celery-progress")
        expect(shown).to_have_attribute("state", "running", timeout=LONG)
        shown.get_by_role("button", name="Cancel").click(timeout=LONG)
        expect(shown).to_have_attribute("state", "cancelled", timeout=LONG)
        expect(shown.locator("[part=cancel]")).to_be_hidden()
        assert task.state == "REVOKED"


def test_the_button_is_there_while_there_is_something_to_cancel(page_of, life):
    page = page_of(element(life))
    button = page.locator("[part=cancel]")
    life(running())
    expect(button).to_be_visible()
    button.click()
    expect(button).to_be_disabled()
    expect(button).to_have_text("cancelling")
    life(progress(0.5, at=2.0, run="r"))
    expect(button).to_be_disabled()
    life(stopped())
    expect(button).to_be_hidden()


def test_the_button_of_a_workflow_cancels_what_is_left_of_it(page_of, redis_server, canvas):
    url = redis_server.url
    with Worker("ends", broker=url, backend=url):
        app = Celery("caller", broker=url, backend=url, set_as_current=False)
        nodes = [("chain", -1), *[("task", 0, one, "ends.x") for one in (canvas.a, canvas.c)]]
        canvas.write(plan(*nodes, held=canvas.c))
        app.send_task("ends.looks_whether_it_is_cancelled", task_id=canvas.a)
        page = page_of(
            f'<celery-progress workflow-id="{canvas.c}" cancellable expanded></celery-progress>'
        )
        shown = page.locator("celery-progress")
        expect(shown).to_have_attribute("state", "running", timeout=LONG)
        shown.get_by_role("button", name="Cancel").click(timeout=LONG)
        expect(shown).to_have_attribute("state", "cancelled", timeout=LONG)
        first = page.get_by_role("treeitem").first
        expect(first).to_have_attribute("data-state", "cancelled")
        expect(shown.locator("[part=cancel]")).to_be_hidden()


def test_a_page_without_the_attribute_has_no_button(page_of, life):
    page = page_of(element(life, more=""))
    life(running())
    shown = page.locator("celery-progress")
    expect(shown).to_have_attribute("state", "running")
    expect(shown.locator("[part=cancel]")).to_be_hidden()
    shown.evaluate("(one) => one.setAttribute('cancellable', '')")
    expect(shown.locator("[part=cancel]")).to_be_visible()


def test_a_sidecar_that_lets_nobody_has_no_button(page_of, redis_server, life):
    with SidecarThread(BrokerAddress(redis_server.url), **PATIENT) as served:
        page = page_of(element(life), served=served)
        life(running())
        shown = page.locator("celery-progress")
        expect(shown).to_have_attribute("state", "running")
        expect(shown.locator("[part=cancel]")).to_be_hidden()


def test_a_page_may_ask_first(page_of, life):
    page = page_of(
        element(life),
        """addEventListener("celery-cancel", (event) => {
            event.preventDefault();
            said.push(event.detail.operation.operation_id);
        });""",
    )
    life(running())
    button = page.locator("[part=cancel]")
    button.click()
    expect(button).to_be_enabled()
    assert page.evaluate("said") == [life.id]


def test_the_client_tells_what_was_answered(page_of, sidecar, life):
    page = page_of("")
    page.wait_for_function("window.said")
    life(running())
    cancel = f"""async (how) => {{
        const client = connect("{sidecar.url}");
        try {{
            return await client.cancel("{life.id}", how);
        }} catch (error) {{
            return error.code ?? String(error);
        }} finally {{
            client.close();
        }}
    }}"""
    assert page.evaluate(cancel, {"reason": "wrong file"})["status"] == "accepted"
    assert page.evaluate(cancel, {"reason": "x" * 201}) == "invalid_command"
    life(completed(at=2.0, duration=1.0, run="r"))
    # The events of a real worker count as well: what was written may not have been read yet.
    eventually(lambda: page.evaluate(cancel, {})["status"] == "ended")
    assert page.evaluate(cancel, {})["state"] == "completed"


def test_a_hook_cancels(open_page, site, sidecar, life):
    require_packages()
    folder, root = site
    source = """
        import React from "react";
        import { createRoot } from "react-dom/client";
        export default React;
        export const { createElement, useEffect, useMemo, useRef, useSyncExternalStore } = React;
        export { createRoot };
    """
    define = {"process.env.NODE_ENV": '"development"'}
    (folder / "react-cancel.js").write_text(bundle(source, define=define))
    imports = json.dumps({"imports": {"react": f"{root}/react-cancel.js"}})
    head = f"""<script type=importmap>{imports}</script><script type=module>
        import {{ createElement as h, createRoot }} from "react";
        import {{ CeleryProgress, useOperation }} from "{sidecar.http}/react.js";
        window.said = [];
        function App() {{
            const {{ operation, cancel }} = useOperation("{life.id}", {{ url: "{sidecar.url}" }});
            const keep = (reply) => said.push(reply);
            const press = () => cancel({{ reason: "wrong file" }}).then(keep);
            const bar = h(CeleryProgress, {{ taskId: "{life.id}", cancellable: true }});
            return h("main", null, h("p", {{ onClick: press }}, operation?.state), bar);
        }}
        createRoot(document.body).render(h(App));
    </script>"""
    page = open_page("", head=head)
    life(running())
    expect(page.locator("p")).to_have_text("running")
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    page.locator("p").click()
    page.wait_for_function("said.length")
    assert page.evaluate("said[0].status") == "accepted"


def test_the_dashboard_asks_twice(browser, sidecar, life):
    page = browser.new_page()
    life(running())
    page.goto(f"{sidecar.http}/#/operation/{life.id}")
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Really cancel?").click()
    expect(page.locator(".cancel-note")).to_have_text("The workers were told")
    life(stopped())
    expect(page.locator(".cancel-control")).to_be_hidden()
    page.close()
