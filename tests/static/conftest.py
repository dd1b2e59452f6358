"""Pages for the browser modules."""

from __future__ import annotations

import json
import uuid
from itertools import count
from typing import TYPE_CHECKING

import pytest
import scenario
from canvas import Canvas
from msgspec import structs
from support.conditions import eventually
from support.event_log import log_writer
from support.pages import web_server
from support.sidecars import PATIENT, SidecarProcess, SidecarThread
from support.workers import Worker

from celery_wsprogress.brokers import BrokerAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

    from celery_wsprogress.protocol.events import Event


class Log:
    """Writes events to the log, and waits until the sidecar of the module has read them.

    So that what a page asks for after a test has written it is known, however busy the machine is.
    """

    def __init__(self, write: Callable[..., None]) -> None:
        self._write = write
        self._written = 0
        self.sidecar: SidecarThread | None = None

    def __call__(self, *events: Event) -> None:
        self._write(*events)
        self._written += len(events)
        if self.sidecar is not None:
            read = self.sidecar.sidecar.hub.counts
            eventually(lambda: read["events"] >= self._written, interval=0.002)


@pytest.fixture(scope="module")
def write(redis_server):
    """Write events to the log of the sidecar."""
    redis_server.clear()
    with log_writer(redis_server.url) as write:
        yield Log(write)


@pytest.fixture
def life(write):
    """Write events of an operation of its own."""
    one = str(uuid.uuid4())

    def life(*events):
        write(*[structs.replace(event, operation_id=one) for event in events])

    life.id = one
    return life


@pytest.fixture(scope="module")
def sidecar(write, redis_server):
    """Where most pages have nothing but what a test writes; it takes no silence for a loss."""
    with SidecarThread(BrokerAddress(redis_server.url), **PATIENT) as write.sidecar:
        yield write.sidecar
    write.sidecar = None


@pytest.fixture
def page_of(open_page, sidecar):
    """Open a page with this body, that has the element from the sidecar."""

    def page_of(body, **how):
        module = f'<script type="module" src="{sidecar.http}/element.js"></script>'
        return open_page(body, head=module + how.pop("head", ""), **how)

    return page_of


@pytest.fixture
def logged_page_of(page_of):
    """The same; ``lines`` of the page are those of its console from the beginning.

    ``tokens`` answers requests for tokens.
    """

    def logged_page_of(body, tokens=None, **how):
        page = page_of("", **how)
        page.lines = []
        page.on("console", lambda line: page.lines.append(line.text))
        if tokens is not None:
            page.route("**/token?*", tokens)
        page.evaluate("(html) => document.body.innerHTML = html", body)
        return page

    return logged_page_of


@pytest.fixture(scope="module")
def stack(write, redis_server):
    """An application, a worker that runs its tasks, and a sidecar in a process of its own."""
    url = redis_server.url
    flower = ("--flower-url", "http://flower.example/")
    with Worker("scenario", broker=url, backend=url), SidecarProcess(url, *flower) as sidecar:
        yield scenario.make_app(url, url), sidecar


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site of its own: a folder, and the address at which a web server serves it."""
    folder = tmp_path_factory.mktemp("site")
    with web_server(folder) as root:
        yield folder, root


@pytest.fixture
def open_page(browser, site) -> Iterator[Callable[..., Page]]:
    """Open pages of the site; none of their scripts may have failed in the end."""
    folder, root = site
    numbers, complaints = count(1), []
    context = browser.new_context(viewport={"width": 480, "height": 800})

    def open_page(body: str, *, head: str = "", html: str = 'lang="en"') -> Page:
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        name = f"page-{next(numbers)}.html"
        start = f"<!doctype html><html {html}><meta charset=utf-8><title>A page</title>"
        (folder / name).write_text(f"{start}{head}<body>{body}")
        page.goto(f"{root}/{name}")
        return page

    yield open_page
    context.close()
    assert complaints == []


class Page:
    """A page that has the client's functions, and some places to write to."""

    def __init__(self, page, url):
        self.page = page
        self.url = url

    def run(self, script, **values):
        """Run a script in the page; what it returns is waited for."""
        values = {"url": self.url, **values}
        named = "".join(f"const {one} = {json.dumps(value)};" for one, value in values.items())
        return self.page.evaluate(f"async () => {{ {named} {script} }}")


@pytest.fixture
def client_page(open_page, sidecar):
    """A page that has the client, and the sidecar's address as ``url``."""

    def client_page(url=None, module=None):
        head = f"""<script type=module>
            import * as all from "{module or sidecar.http}/client.js";
            import * as steps from "{module or sidecar.http}/steps.js";
            Object.assign(window, all, steps, {{ said: [] }});
        </script>"""
        page = open_page("", head=head)
        page.wait_for_function("window.connect")
        return Page(page, url or sidecar.url)

    return client_page


@pytest.fixture
def canvas(write):
    return Canvas(write)


@pytest.fixture
def busy(canvas):
    """The id of a workflow in which every state is seen."""
    return canvas.show_every_state()
