"""What the client does when a page is put away, frozen, or on a machine that slept.

Chromium does it itself here, as it does to people's pages; scripts could only pretend.
"""

from __future__ import annotations

import uuid

import pytest
from msgspec import structs
from support.browsers import chromium_that_keeps_pages
from support.conditions import eventually
from support.pages import RawPage
from support.proxies import Proxy
from support.sample_events import log, status

playwright = pytest.importorskip("playwright.sync_api")

pytestmark = [pytest.mark.browser, pytest.mark.redis]


@pytest.fixture(scope="module")
def keeping_browser(browser):
    with chromium_that_keeps_pages(browser) as keeping:
        yield keeping


@pytest.fixture
def network(sidecar):
    with Proxy(sidecar.port) as network:
        yield network


class Reader:
    """A page that reads the lines of an operation, through a network of its own."""

    def __init__(self, page, site, sidecar, network, write):
        self.folder, self.root = site
        self.network = network
        self.id, self.lines, self._write = str(uuid.uuid4()), [], write
        self.page = page
        self._say(status("started", at=1.0, metadata={}, operation_type="t"))
        (self.folder / "reader.html").write_text(
            f"""<!doctype html><title>A reader</title><link rel=icon href="data:,">
            <script type=module>
                import {{ connect }} from "{sidecar.http}/client.js";
                window.said = [];
                window.shown = [];
                window.losses = [];
                addEventListener("pageshow", ({{ persisted }}) => shown.push(persisted));
                for (const one of ["freeze", "resume"]) {{
                    document.addEventListener(one, () => shown.push(one));
                }}
                window.client = connect("ws://127.0.0.1:{network.port}");
                client.observe(() => client.lost && losses.push(client.lost.reason));
                client.watch("{self.id}", {{ onLog: ({{ data }}) => said.push(data.message) }});
            </script>"""
        )
        (self.folder / "elsewhere.html").write_text(
            '<!doctype html><title>Elsewhere</title><link rel=icon href="data:,">'
        )

    def open(self):
        self.page.goto(f"{self.root}/reader.html")
        self.write("one")

    def _say(self, *events):
        self._write(*[structs.replace(one, operation_id=self.id) for one in events])

    def write(self, *lines, seen=True):
        self.lines += lines
        self._say(*[log(line, at=2.0) for line in lines])
        if seen:
            self.wait_for_all()

    def wait_for_all(self):
        eventually(lambda: self.page.evaluate("window.said") == self.lines)

    def shown(self):
        return self.page.evaluate("window.shown")


@pytest.fixture
def make_reader(site, sidecar, network, write):
    return lambda page: Reader(page, site, sidecar, network, write)


@pytest.fixture
def reader(browser, make_reader):
    with browser.new_page() as page:
        yield make_reader(page)


def test_a_page_is_kept_for_the_way_back_and_goes_on_with_what_it_missed(
    keeping_browser, make_reader, sidecar
):
    reader = make_reader(keeping_browser.new_page())
    refused = []

    def note(why):
        refused.append(why)

    devtools = reader.page.context.new_cdp_session(reader.page)
    devtools.send("Page.enable")
    devtools.on("Page.backForwardCacheNotUsed", note)
    reader.open()
    reader.page.goto(f"{reader.root}/elsewhere.html")
    # An open socket would be a reason to let go of the page sooner or later.
    eventually(lambda: sidecar.sidecar.stats()["connected_clients"] == 0)
    reader.write("two", "three", seen=False)
    reader.page.evaluate("history.back()")
    reader.page.wait_for_url("**/reader.html", wait_until="commit")
    reader.wait_for_all()
    assert refused == []
    assert reader.shown() == [False, "freeze", "resume", True], "the same page, shown again"
    assert reader.page.evaluate("client.state") == "open"
    reader.write("four")
    reader.page.close()


def test_a_frozen_page_goes_on_with_what_it_missed(browser, make_reader, network):
    page = RawPage(browser)
    reader = make_reader(page)
    reader.open()
    page.freeze()
    reader.write("two", seen=False)
    network.reset()
    reader.write("three", seen=False)
    assert page.evaluate("said") == ["one"]
    page.thaw()
    reader.wait_for_all()
    assert reader.shown() == [False, "freeze", "resume"]
    reader.write("four")
    page.close()


def test_a_machine_that_slept_finds_its_dead_link_and_goes_on(reader):
    reader.page.clock.install()
    reader.page.goto(f"{reader.root}/reader.html")
    state = "window.client?.state"
    eventually(lambda: reader.page.clock.run_for(10) or reader.page.evaluate(state) == "open")
    reader.write("one")
    reader.network.freeze()
    reader.write("two", seen=False)
    # The lid was closed for an hour: no timer ran, and now each that is due does, once.
    reader.page.clock.fast_forward(3_600_000)
    # It is asked whether it lives, and given up when it does not answer.
    reader.page.clock.run_for(11_000)
    assert reader.page.evaluate("losses") == ["no answer to a ping"]
    eventually(lambda: reader.page.clock.run_for(200) or reader.page.evaluate(state) == "open")
    reader.wait_for_all()
