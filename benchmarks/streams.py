"""Words of a stream in Chromium, from `write` in a task to the page.

A task in a prefork child writes a word every 100 ms, each of which is the time; the page watches it
with `<celery-progress stream="answer">`, and looks at the clock when a word has come into its
document. The first word of each task is counted by itself: before it nothing of the stream was
there. What is written within 20 ms is sent together, and a page shows what is new once a frame.
"""

from __future__ import annotations

import statistics
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from benchmarks import sample_events, tasks
from benchmarks.figures import Figure, Table, Target, figure
from benchmarks.machine import LOAD
from benchmarks.sidecar import sidecar
from benchmarks.worker import worker
from tests.support.browsers import chromium
from tests.support.servers import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

TITLE: Final = "Streams"

WORDS: Final = 10
"""Of each task."""

PAUSE: Final = 0.1
"""Seconds before each of them."""

# A bar, and when each word of its stream came, in milliseconds after it was written.
OPEN: Final = """async () => {
  await import("/element.js");
  window.bar = document.createElement("celery-progress");
  bar.setAttribute("stream", "answer");
  document.body.replaceChildren(bar);
  const shown = bar.shadowRoot.querySelector("[part=stream]");
  window.delays = [];
  new MutationObserver(() => {
    const now = Date.now();
    const words = shown.textContent.split(" ").slice(0, -1);
    for (const word of words.slice(delays.length)) delays.push(now - 1000 * Number(word));
  }).observe(shown, { subtree: true, childList: true, characterData: true });
}"""

WATCH: Final = """async (id) => {
  delays.length = 0;
  bar.setAttribute("task-id", id);
  await new Promise((resolve) => setTimeout(resolve));
  await bar.handle.ready;
}"""


def measure(*, quick: bool) -> Table:
    """Measure one task after the other."""
    rounds = 3 if quick else 30
    with ExitStack() as stack:
        url = stack.enter_context(RedisServer()).url
        stack.enter_context(worker(url, processes=1, processor=LOAD))
        server = stack.enter_context(sidecar(url))
        server.become_ready()
        page = stack.enter_context(chromium()).new_page()
        page.goto(f"http://localhost:{server.port}/element.js")
        page.evaluate(OPEN)
        # The first one opens connections, and is not counted.
        delays = [_delays(page, number) for number in range(rounds + 1)][1:]
    return Table(TITLE, f"{rounds} tasks of {WORDS} words", list(_figures(delays)))


def _delays(page: Page, number: int) -> list[float]:
    """Milliseconds until each word of a task is on the page."""
    task_id = sample_events.operation_id(number)
    page.evaluate(WATCH, task_id)
    tasks.talk.apply_async(kwargs={"words": WORDS, "pause": PAUSE}, task_id=task_id)
    page.wait_for_function(f"delays.length === {WORDS}")
    delays: list[float] = page.evaluate("delays")
    return delays


def _figures(delays: list[list[float]]) -> Iterator[Figure]:
    yield figure("first word", "ms", (first for first, *_ in delays), Target(50.0))
    yield figure("later words, p50", "ms", (statistics.median(later) for _, *later in delays))
    yield figure("· the slowest of each task", "ms", (max(later) for _, *later in delays))
