"""Where the element and the client look for their sidecar: behind a prefix, a base, or TLS."""

from __future__ import annotations

import uuid
from urllib.parse import urlsplit

import pytest
from msgspec import structs
from support.nginx import nginx
from support.node import MODULES, require_node, run_node
from support.sample_events import completed, result, status

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

pytestmark = [pytest.mark.browser, pytest.mark.redis]


@pytest.fixture
def ended(write):
    """An operation that has ended."""
    one = str(uuid.uuid4())
    events = [
        status("started", at=1.0, operation_type="t", metadata={}),
        result("hers", at=2.0),
        completed(at=2.0, duration=1.0),
    ]
    write(*[structs.replace(event, operation_id=one) for event in events])
    return one


@pytest.fixture(scope="module")
def prefixed(sidecar, tmp_path_factory):
    """A site with a folder of its own, and the sidecar at /progress/ of it."""
    folder = tmp_path_factory.mktemp("prefixed")
    with nginx(folder, sidecar.port, "/progress/") as root:
        yield folder, root


def test_behind_a_prefix_everything_connects_to_where_it_came_from(browser, prefixed, ended):
    folder, root = prefixed
    (folder / "page.html").write_text(
        "<!doctype html><title>A page</title>"
        '<script type="module" src="/progress/element.js?v=3"></script>'
        f'<celery-progress task-id="{ended}"></celery-progress>'
    )
    page = browser.new_page()
    sockets = []
    page.on("websocket", lambda one: sockets.append(urlsplit(one.url).path))
    page.goto(f"{root}/page.html")
    expect(page.locator("celery-progress")).to_have_attribute("state", "completed")
    assert set(sockets) == {"/progress/"}
    # So does the dashboard, and one task in it.
    page.goto(f"{root}/progress/#/operation/{ended}")
    expect(page.locator("#detail celery-progress")).to_have_attribute("state", "completed")
    assert set(sockets) == {"/progress/"}
    page.close()


def test_a_relative_address_is_relative_to_the_base_of_the_page(browser, prefixed, ended):
    folder, root = prefixed
    (folder / "based.html").write_text(
        '<!doctype html><title>A page</title><base href="/progress/">'
        '<script type="module" src="element.js"></script>'
        f'<celery-progress task-id="{ended}" url="./"></celery-progress>'
    )
    page = browser.new_page()
    page.goto(f"{root}/based.html")
    expect(page.locator("celery-progress")).to_have_attribute("state", "completed")
    page.close()


CASES = [
    ("https://host/element.js", "https://host/"),
    ("https://host/progress/element.js", "https://host/progress/"),
    ("http://host:8765/a/b/react.js?v=1", "http://host:8765/a/b/"),
    # A part of a bundle, and what is no server's.
    ("https://host/assets/index-4f2a.js", "https://page/"),
    ("https://cdn/chunk.js?from=/element.js.map", "https://page/"),
    ("file:///srv/app/node_modules/celery-wsprogress/element.js", "https://page/"),
    ("webpack://app/element.js", "https://page/"),
    (None, "https://page/"),
]


def test_a_module_says_where_its_sidecar_is_unless_it_was_bundled():
    require_node()
    script = """
        globalThis.document = { baseURI: "https://page/some/where?x#y" };
        const { sidecarOf } = await import(process.argv[1]);
        for (const one of process.argv.slice(2)) console.log(sidecarOf(one || undefined).href);
    """
    modules = [module or "" for module, _ in CASES]
    said = run_node(
        "--input-type=module", "-e", script, str(MODULES / "client" / "address.js"), *modules
    )
    assert said.split() == [where for _, where in CASES]


def test_a_page_of_https_is_told_at_once_that_it_needs_wss():
    require_node()
    script = """
        globalThis.location = { href: "https://page/", protocol: "https:" };
        const { addressOf } = await import(process.argv[1]);
        for (const one of process.argv.slice(2)) {
            try { console.log(addressOf(one)) } catch ({ message }) { console.log(message) }
        }
    """
    urls = [
        "ws://host/",
        "http://host/",
        "wss://host/x",
        "/progress/",
        "//other",
        "ws://localhost:1/",
    ]
    urls += ["ws://127.0.0.1:1/", "ws://[::1]:1/", "ws://a.localhost/"]
    said = run_node(
        "--input-type=module", "-e", script, str(MODULES / "client" / "address.js"), *urls
    )
    assert said.splitlines() == [
        *["A page of https: needs wss:"] * 2,
        *("wss://host/x", "wss://page/progress/", "wss://other/"),
        *urls[5:],
    ]


def test_on_a_page_of_https_the_element_says_so_where_people_and_operators_look(browser, sidecar):
    site, lines = "https://app.example", []
    context = browser.new_context(bypass_csp=True)
    context.grant_permissions(["local-network-access"], origin=site)
    page = context.new_page()
    page.on("console", lambda line: lines.append(line.text))
    body = '<celery-progress task-id=x url="ws://elsewhere.example/"></celery-progress>'

    def fulfil(route):
        name = urlsplit(route.request.url).path.lstrip("/")
        file = MODULES / name
        if name and file.is_file():
            route.fulfill(path=file, content_type="text/javascript")
        else:
            page_text = f'<!doctype html><script type=module src="/element.js"></script>{body}'
            route.fulfill(body=page_text, content_type="text/html")

    page.route(f"{site}/**", fulfil)
    page.goto(site)
    expect(page.locator("celery-progress [part=error]")).to_have_text(
        "This progress cannot be shown here."
    )
    assert [line for line in lines if "A page of https: needs wss:" in line]
    context.close()
