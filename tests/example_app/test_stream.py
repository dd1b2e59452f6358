"""The example's answer, word by word, on its page through a kill of the sidecar."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.conditions import eventually
from support.ports import free_port
from support.sidecars import SidecarProcess
from support.workers import Worker

from example_app import tasks
from example_app.work import library
from example_app.work.talk import Model

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.browser, pytest.mark.redis, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
LONG = 240_000  # ms; for machines that are busy
WORD = "coroutine"


@pytest.fixture
def sidecar(redis_url) -> Iterator[SidecarProcess]:
    with SidecarProcess(redis_url) as sidecar:
        yield sidecar


@pytest.fixture
def address(redis_url, sidecar) -> Iterator[str]:
    """The address of the example's page, whose tasks a worker runs."""
    told = {"CELERY_BROKER_URL": redis_url, "CELERY_RESULT_BACKEND": redis_url}
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "example_app.web:app", f"--port={port}"]
    environment = {**os.environ, **told, "EXAMPLE_SIDECAR_URL": sidecar.url}
    address = f"http://localhost:{port}"
    with (
        Worker("example_app.tasks", broker=redis_url, concurrency=1, environment=told),
        subprocess.Popen(command, cwd=ROOT, env=environment) as web,
    ):
        eventually(lambda: answers(address))
        yield address
        web.terminate()


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=30):
            return True
    except urllib.error.URLError:
        return False


def whole_answer() -> list[str]:
    model = Model()
    for path in library.source_files()[: tasks.DOCSTRING_FILES]:
        model.read(path)
    return list(model.talk(WORD, tasks.WORDS_OF_ANSWER))


def test_no_word_is_missing_or_comes_twice_where_the_sidecar_is_killed(browser, address, sidecar):
    context = browser.new_context()
    page = context.new_page()
    page.goto(address)
    page.evaluate(
        "window.indices = [];"
        "addEventListener('celery-chunk', ({ detail }) => indices.push(detail.event.data.index))"
    )
    form = page.locator("form[data-task=talk_on]")
    form.locator("input").fill(WORD)
    form.locator("button").click()
    bar = page.locator("celery-progress").first
    shown = bar.locator("[part=stream]")
    expect(shown).to_contain_text(WORD, timeout=LONG)
    sidecar.kill()
    expect(bar).to_have_attribute("connection", "reconnecting", timeout=LONG)
    before = shown.text_content().split()
    sidecar.start()
    expect(bar).to_have_attribute("state", "completed", timeout=LONG)
    whole = whole_answer()
    assert len(before) < len(whole), "it was killed in the middle"
    assert shown.text_content() == "".join(f"{word} " for word in whole)
    indices = page.evaluate("indices")
    assert indices == list(range(len(indices)))
    context.close()
