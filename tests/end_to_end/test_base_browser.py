"""A page that knows the base rows only, from disk, another server, and an origin that is listed."""

from __future__ import annotations

import uuid
from pathlib import Path
from urllib.parse import urlencode

import pytest
import scenario
from support.pages import web_server
from support.sidecars import SidecarProcess
from support.workers import Worker

HERE = Path(__file__).parent
PAGE = "base_client.html"
LISTED = "https://app.example"


@pytest.fixture(scope="module")
def stack(redis_server):
    url = redis_server.url
    sidecar = SidecarProcess(url, "--origin", LISTED)
    with Worker("scenario", broker=url, backend=url), sidecar:
        yield scenario.make_app(url, url), sidecar


@pytest.fixture(params=["file", "loopback", "listed"])
def page_url(request):
    if request.param == "file":
        yield (HERE / PAGE).as_uri()
    elif request.param == "listed":
        yield f"{LISTED}/{PAGE}"
    else:
        with web_server(HERE) as root:
            yield f"{root}/{PAGE}"


@pytest.fixture
def open_page(browser, stack, page_url):
    complaints = []
    context = browser.new_context()
    # A site elsewhere; whoever looks at it has allowed it to reach this machine.
    context.route(f"{LISTED}/**", lambda route: route.fulfill(path=HERE / PAGE))
    context.grant_permissions(["local-network-access"], origin=LISTED)

    def open_page(task_id):
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{page_url}?{urlencode({'url': stack[1].url, 'id': task_id})}")
        page.wait_for_selector("li")
        return page

    yield open_page
    context.close()
    assert complaints == []


def end_of(page):
    page.wait_for_function("document.getElementById('end').textContent", timeout=60_000)
    return page.locator("#end").text_content(), page.locator("li").all_text_contents()


@pytest.mark.parametrize("when", ["before", "during", "after"])
def test_a_page_shows_a_task_to_its_end(stack, open_page, tmp_path, when):
    task, gate, task_id = stack[0].tasks["scenario.steps"], tmp_path / "gate", str(uuid.uuid4())
    if when == "before":
        page = open_page(task_id)
        gate.touch()
        task.apply_async([str(gate)], task_id=task_id)
    elif when == "during":
        task.apply_async([str(gate)], task_id=task_id)
        page = open_page(task_id)
        page.wait_for_selector("text=25% quarter")
        gate.touch()
    else:
        gate.touch()
        task.apply_async([str(gate)], task_id=task_id).get(timeout=60)
        page = open_page(task_id)
    end, lines = end_of(page)
    assert end.startswith("completed in ")
    assert "WARNING careful" in lines
    assert 'result {"parts":4}' in lines
    assert [line for line in lines if line.startswith("75%")]


def test_a_large_result_and_a_second_run(stack, open_page, tmp_path):
    app, _ = stack
    big = app.tasks["scenario.big"].delay()
    assert end_of(open_page(big.id))[0].startswith("completed in ")
    lucky, tried = app.tasks["scenario.second_time_lucky"], str(tmp_path / "tried")
    task_id = lucky.delay(tried).id
    assert end_of(open_page(task_id))[0] == "ValueError: not the first time"
    lucky.apply_async([tried], task_id=task_id).get(timeout=60, propagate=False)
    page = open_page(task_id)
    page.wait_for_function("document.getElementById('end').textContent.startsWith('completed')")
