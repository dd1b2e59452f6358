"""The dashboard in Chromium: 5,000 operations and 500 updates a second.

The page shows everything it can at once: the table, one operation beside it with its log, and the
list of events. Half of the updates are of the 50 newest operations, which are in sight, and half of
all the others; ten operations a second end and as many begin, so that the order changes. For 30
seconds, after as many to settle, the page notes when each frame begins, and which tasks of its main
thread take longer than 50 ms. The heap of its JavaScript is measured before and after, each time
when everything that can go has gone. The browser, which draws without a graphics processor, has one
processor for itself. In the end the page must have shown the last event that was written.
"""

from __future__ import annotations

import os
import statistics
import time
from collections import deque
from contextlib import ExitStack, contextmanager
from itertools import count, cycle, islice
from typing import TYPE_CHECKING, Final

from benchmarks import machine, sample_events
from benchmarks.figures import Figure, Table, Target, figure, ratio
from benchmarks.log_writer import EVENTS_A_BATCH, log
from benchmarks.sidecar import sidecar
from tests.support.browsers import chromium
from tests.support.servers import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from benchmarks.log_writer import Log

TITLE: Final = "The dashboard"

OPERATIONS: Final = 5_000
UPDATES: Final = 500
"""A second."""
IN_SIGHT: Final = 50
"""The newest operations, of which more is said."""
TURNOVER: Final = 10
"""Operations that begin in a second; as many end."""

# Each frame's time since the one before, and what kept the main thread for long, in milliseconds.
RECORD: Final = """() => {
  window.recorded = { frames: [], tasks: [] };
  let last = performance.now();
  const frame = (now) => {
    recorded.frames.push(now - last);
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame((now) => { last = now; requestAnimationFrame(frame); });
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) recorded.tasks.push(duration);
  }).observe({ type: "longtask" });
}"""


def measure(*, quick: bool) -> Table:
    """Measure, once: what is measured is one page that goes on."""
    seconds = 3 if quick else 30
    with ExitStack() as stack:
        url = stack.enter_context(RedisServer()).url
        writer = stack.enter_context(log(url))
        writer.fill(
            sample_events.started(number, at=sample_events.AT + number)
            for number in range(OPERATIONS)
        )
        server = stack.enter_context(sidecar(url))
        machine.pin(server.pid, machine.LOAD)
        server.become_ready()
        page = _open(stack.enter_context(_browser()), server.port)
        happening = _happening()
        _write(writer, happening, seconds)
        before = _heap(page)
        page.evaluate(RECORD)
        _write(writer, happening, seconds)
        recorded = page.evaluate("recorded")
        writer.write(sample_events.END)
        page.get_by_text("That was all").first.wait_for()
        found = list(_figures(recorded, before, _heap(page)))
    return Table(TITLE, f"one trace of {seconds} s", found)


@contextmanager
def _browser() -> Iterator[Browser]:
    """A browser on a processor of its own: what it starts stays where it was started."""
    machine.pin(os.getpid(), machine.MEASURED)
    with chromium() as browser:
        machine.pin(os.getpid(), machine.LOAD)
        yield browser


def _open(browser: Browser, port: int) -> Page:
    """Open the dashboard, with everything that it can show at once."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    newest = sample_events.operation_id(OPERATIONS - 1)
    page.goto(f"http://localhost:{port}/#/operation/{newest}")
    page.get_by_role("button", name="Events as they come").click()
    page.locator(f"[aria-rowcount='{OPERATIONS + 1}']").wait_for()
    return page


def _happening() -> Iterator[bytes]:
    """Yield events without an end."""
    born = count(OPERATIONS)
    everybody = cycle(range(OPERATIONS - IN_SIGHT))
    newest = deque(range(OPERATIONS - IN_SIGHT, OPERATIONS), maxlen=IN_SIGHT)
    for step in count(1):
        if step % (UPDATES // TURNOVER) == 0:
            number = next(born)
            yield sample_events.completed(newest[0], at=sample_events.AT + number)
            yield sample_events.started(number, at=sample_events.AT + number)
            # The one that has ended is not one of the newest any more.
            newest.append(number)
        elif step % 20 == 1:
            yield sample_events.log(newest[0], f"Line {step}", at=sample_events.AT + step)
        else:
            number = next(everybody) if step % 2 else newest[step // 2 % IN_SIGHT]
            yield sample_events.progress(number, step)


def _write(writer: Log, happening: Iterator[bytes], seconds: int) -> None:
    """Write at an even pace."""
    began = time.monotonic()
    for index in range(seconds * UPDATES // EVENTS_A_BATCH):
        time.sleep(max(0.0, began + index * EVENTS_A_BATCH / UPDATES - time.monotonic()))
        writer.publish(writer.batch(list(islice(happening, EVENTS_A_BATCH))))


def _heap(page: Page) -> float:
    """Megabytes of the page's JavaScript that are in use."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("HeapProfiler.collectGarbage")
    used: float = devtools.send("Runtime.getHeapUsage")["usedSize"]
    devtools.detach()
    return used / 1e6


def _figures(recorded: dict[str, list[float]], before: float, after: float) -> Iterator[Figure]:
    frames, tasks = recorded["frames"], recorded["tasks"]
    *_, most = statistics.quantiles(frames, n=100)
    yield figure("longest frame", "ms", [max(frames)], Target(100))
    yield figure("99 of 100 frames within", "ms", [most])
    yield figure("median frame", "ms", [statistics.median(frames)])
    yield figure("tasks of more than 50 ms", "", [len(tasks)])
    yield figure("longest of them", "ms", [max(tasks, default=0)])
    yield figure("heap before", "MB", [before])
    yield figure("heap after", "MB", [after])
    yield ratio("· against before", [after], [before])
