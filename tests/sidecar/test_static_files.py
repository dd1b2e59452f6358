"""The browser modules over HTTP, from a sidecar as it serves them."""

from __future__ import annotations

import http.client
from pathlib import Path

import pytest
from sidecars import SidecarThread

from celery_wsprogress.brokers import BrokerAddress

FOLDER = Path(__file__).parents[2] / "celery_wsprogress" / "static" / "celery_wsprogress"
MODULES = sorted(FOLDER.glob("*.js"))
KEY = "a key that is long enough for HS256"


@pytest.fixture(scope="module")
def get():
    """Ask a sidecar that has a key; gives the answer with its body as ``text``."""
    address = BrokerAddress("memory://")
    origins = ("https://shop.example",)
    with SidecarThread(address, key=KEY, origins=origins) as sidecar:

        def get(path, **headers):
            connection = http.client.HTTPConnection("localhost", sidecar.port, timeout=30)
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request("GET", path, headers=named)
            answer = connection.getresponse()
            answer.text = answer.read().decode()
            connection.close()
            return answer

        yield get


def test_each_module_is_served_as_it_is_to_everybody(get):
    assert {"client.js", "element.js", "react.js"} <= {one.name for one in MODULES}
    for one in MODULES:
        answer = get(f"/{one.name}")
        assert answer.status == 200
        assert answer.text == one.read_text()
        assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_query_changes_nothing(get):
    assert get("/client.js?v=1").text == (FOLDER / "client.js").read_text()


def test_what_a_browser_has_is_not_sent_again_while_it_is_the_same(get):
    first = get("/client.js")
    assert first.headers["Cache-Control"] == "no-cache"
    again = get("/client.js", If_None_Match=first.headers["ETag"])
    assert (again.status, again.text) == (304, "")
    assert again.headers["ETag"] == first.headers["ETag"]
    for other in ('"other"', get("/element.js").headers["ETag"]):
        assert get("/client.js", If_None_Match=other).status == 200


@pytest.mark.parametrize("origin", ["https://shop.example", "http://localhost:8000", "null"])
def test_a_page_that_may_connect_may_import(get, origin):
    answer = get("/client.js", Origin=origin)
    assert answer.status == 200
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert answer.headers["Vary"] == "Origin"


def test_another_page_may_not(get):
    answer = get("/client.js", Origin="https://evil.example")
    assert answer.status == 403
    assert answer.headers["Access-Control-Allow-Origin"] is None
    assert get("/client.js").headers["Access-Control-Allow-Origin"] is None


@pytest.mark.parametrize(
    "path",
    [
        "/package.json",
        "/client.d.ts",
        "/missing.js",
        "/Client.js",
        "/client.js/",
        "//client.js",
        "/./client.js",
        "/x/../client.js",
        "/../../__init__.py",
        "/..%2f..%2f__init__.py",
        "/%2e%2e/%2e%2e/__init__.py",
        "/static/celery_wsprogress/client.js",
        "/client.js%00",
        "/client%2ejs",
        "/etc/passwd",
    ],
)
def test_nothing_else_is_served(get, path):
    answer = get(path)
    assert answer.status == 404
    assert "import" not in answer.text
