"""A sidecar under a path, behind a proxy that leaves it in place."""

from __future__ import annotations

import http.client
import json
import urllib.request

import pytest
from support.nginx import nginx
from support.sidecars import SidecarThread
from websockets.sync.client import connect

from celery_wsprogress.brokers import BrokerAddress
from celery_wsprogress.sidecar.http.root_path import is_root_without_slash, without_root

TIMEOUT = 60


@pytest.mark.parametrize(
    ("target", "left"),
    [
        ("/progress/", "/"),
        ("/progress/ws/a?b=/progress/", "/ws/a?b=/progress/"),
        ("/progress", "/"),
        ("/progress?a=1", "/?a=1"),
        ("/progressive", "/progressive"),
        ("/healthz", "/healthz"),
        ("/other/progress/", "/other/progress/"),
    ],
)
def test_a_target_without_the_root(target, left):
    assert without_root(target, "/progress") == left
    assert without_root(target, None) == target
    assert not is_root_without_slash(target, None)


@pytest.fixture(scope="module")
def sidecar():
    with SidecarThread(BrokerAddress("memory://"), root_path="/a/progress/") as one:
        yield one


@pytest.fixture(scope="module")
def site(sidecar, tmp_path_factory):
    """What a browser sees: everything under the path."""
    folder = tmp_path_factory.mktemp("site")
    with nginx(folder, sidecar.port, "/a/progress", removes_prefix=False) as root:
        yield f"{root}/a/progress"


def get(url):
    with urllib.request.urlopen(url, timeout=TIMEOUT) as reply:
        return reply.read().decode()


def test_pages_modules_and_routes_are_under_the_path(site):
    assert "celery" in get(f"{site}/").lower()
    assert "export" in get(f"{site}/client.js")
    assert get(f"{site}/healthz") == "ok\n"


def test_a_websocket_is_too(site):
    url = site.replace("http", "ws", 1)
    for path in ("", "/", "/ws"):
        with connect(f"{url}{path}", open_timeout=TIMEOUT) as websocket:
            assert json.loads(websocket.recv(TIMEOUT))["event_type"] == "connected"
    with connect(f"{url}/ws/some-id", open_timeout=TIMEOUT) as websocket:
        websocket.recv(TIMEOUT)
        assert json.loads(websocket.recv(TIMEOUT))["operation_id"] == "some-id"


def test_what_does_not_pass_the_proxy_is_served_without_it(sidecar):
    assert get(f"{sidecar.http}/healthz") == "ok\n"


def test_the_page_without_its_slash_leads_to_the_one_with_it(sidecar):
    connection = http.client.HTTPConnection("127.0.0.1", sidecar.port, timeout=TIMEOUT)
    connection.request("GET", "/a/progress?type=import")
    reply = connection.getresponse()
    assert (reply.status, reply.getheader("Location")) == (308, "/a/progress/?type=import")
    connection.close()


def test_a_foreign_page_is_not_led_there(sidecar):
    connection = http.client.HTTPConnection("127.0.0.1", sidecar.port, timeout=TIMEOUT)
    connection.request("GET", "/a/progress", headers={"Origin": "https://example.com"})
    assert connection.getresponse().status == 403
    connection.close()
