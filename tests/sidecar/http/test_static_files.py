"""The browser modules over HTTP, from a sidecar as it serves them."""

from __future__ import annotations

import http.client
import re
from pathlib import Path

import pytest
from support.sidecars import SidecarThread

from celery_wsprogress.brokers import BrokerAddress

FOLDER = Path(__file__).parents[3] / "celery_wsprogress" / "static" / "celery_wsprogress"
MODULES = sorted(FOLDER.rglob("*.js"))
FLOWER = "https://flower.example/a&b"
KEY = "a key that is long enough for HS256"


@pytest.fixture(scope="module")
def get():
    """Ask a sidecar that has a key; gives the answer with its body as ``text``."""
    address = BrokerAddress("memory://")
    origins = ("https://shop.example",)
    with SidecarThread(address, key=KEY, origins=origins, flower_url=FLOWER) as sidecar:

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
        answer = get(f"/{one.relative_to(FOLDER)}")
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
        "/index.html",
        "/dashboard",
        "/dashboard/",
        "/dashboard/index.html",
        "/dashboard/client.js",
        "/main.js",
        "/dashboard/../client.js",
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


# The dashboard.


def test_the_page_is_open_to_everybody_and_says_what_listens_here(get):
    answer = get("/")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<title>Celery progress</title>" in answer.text
    assert "/healthz" in answer.text
    assert get("/?x#y").text == answer.text


def test_the_page_may_do_little(get):
    headers = get("/").headers
    policy = dict(one.split(" ", 1) for one in headers["Content-Security-Policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        **dict.fromkeys(["script-src", "style-src", "img-src", "connect-src"], "'self'"),
        **dict.fromkeys(["base-uri", "form-action", "frame-ancestors"], "'none'"),
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_the_page_has_no_script_and_no_style_of_its_own(get):
    text = get("/").text
    assert re.findall(r"<script\b[^>]*>(.*?)</script>", text) == [""]
    assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:", text) == []


def test_what_the_page_needs_stands_below_it_wherever_that_is(get):
    found = re.findall(r'(?:href|src)="([^"]+)"', get("/").text)
    assert len(found) > 2
    for one in found:
        assert not re.match(r"/|\w+:", one), "it would not be found behind a prefix"
        assert get(f"/{one}").status == 200


def test_the_page_is_not_sent_again_while_it_is_the_same(get):
    assert get("/", If_None_Match=get("/").headers["ETag"]).status == 304


def test_the_page_is_told_where_flower_is_as_text(get):
    assert '<meta name="flower-url" content="https://flower.example/a&amp;b">' in get("/").text
