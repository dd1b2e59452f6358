"""The system's Chromium, driven by Playwright."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect, sync_playwright

from support.servers import find_program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserType

#: Without them Chromium looks for the outside world, and as root it does not start at all.
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium.

    Raises:
        ServerMissingError: there is none on this machine.
    """
    # Milliseconds; for machines that are busy.
    expect.set_options(timeout=60_000)
    with sync_playwright() as driver:
        browser = _launch(driver.chromium)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def chromium_that_keeps_pages(browser: Browser) -> Iterator[Browser]:
    """One beside another one that puts pages away whole, as people's do; Playwright's does not."""
    keeping = _launch(browser.browser_type, ignore_default_args=["--disable-back-forward-cache"])
    try:
        yield keeping
    finally:
        keeping.close()


def _launch(kind: BrowserType, **how: Any) -> Browser:
    program = find_program("chromium", "/usr/bin/chromium")
    return kind.launch(executable_path=program, args=FLAGS.split(), **how)
