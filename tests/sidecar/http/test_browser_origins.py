"""What a page from disk and a sandboxed frame of a website get in Chromium: the same."""

from __future__ import annotations

import html
import json

import pytest
from support.conditions import eventually
from support.pages import web_server
from support.sidecars import SidecarThread

from celery_wsprogress.brokers import BrokerAddress

SCRIPT = """
<script>
const socket = new WebSocket("ws://localhost:PORT");
const replies = [];
socket.onopen = () => ["get_stats", "list_operations", "get_operation"].forEach(
  (command) => socket.send(JSON.stringify({ command, operation_id: "a" })),
);
socket.onmessage = ({ data }) => {
  replies.push(JSON.parse(data));
  if (replies.length === 4) top.postMessage(replies.slice(1), "*");
};
socket.onerror = () => top.postMessage("refused", "*");
fetch("http://localhost:PORT/status").then(
  () => top.postMessage("read", "*"), () => top.postMessage("unread", "*"),
);
</script>
"""
COLLECT = "<script>window.got = []; onmessage = ({ data }) => got.push(data);</script>"


@pytest.fixture(scope="module")
def sidecar():
    with SidecarThread(BrokerAddress("memory://")) as one:
        yield one


def answers_for(browser, sidecar, tmp_path, *, sandboxed):
    """What a page gets: of its WebSocket and of ``fetch``."""
    script = SCRIPT.replace("PORT", str(sidecar.port))
    frame = f'<iframe sandbox="allow-scripts" srcdoc="{html.escape(script)}"></iframe>'
    (tmp_path / "page.html").write_text(COLLECT + (frame if sandboxed else script))
    page = browser.new_page()
    with web_server(tmp_path) as root:
        page.goto(f"{root}/page.html" if sandboxed else (tmp_path / "page.html").as_uri())
        eventually(lambda: page.evaluate("got.length") == 2)
        got = json.loads(page.evaluate("JSON.stringify(got)"))
    page.close()
    return {type(one): one for one in got}


@pytest.mark.browser
@pytest.mark.parametrize("sandboxed", [True, False], ids=["sandboxed", "disk"])
def test_a_page_without_an_origin_gets_exact_ids_only(browser, sidecar, tmp_path, sandboxed):
    got = answers_for(browser, sidecar, tmp_path, sandboxed=sandboxed)
    stats, listed, operation = got[list]
    assert stats["stats"]["connected_clients"] == 1
    assert "events_total" not in stats["stats"]
    assert listed["code"] == "forbidden"
    assert operation["operation"] is None
    assert got[str] == "unread"
