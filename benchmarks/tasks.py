"""The tasks that are measured: a Celery project of one module.

``BENCH_URL`` in the environment says where the broker and the results are.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from celery import Celery
from tqdm import tqdm

from celery_wsprogress import StreamingTask

if TYPE_CHECKING:
    from collections.abc import Callable

app = Celery("tasks", broker=os.environ.get("BENCH_URL"), backend=os.environ.get("BENCH_URL"))
app.conf.update(
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=1,
)

WAIT: Final = 0.01
"""Seconds that a task waits which does something, as for a reply of a database."""


# Whole tasks.


@app.task
def plain() -> None:
    """Do nothing."""


@app.task(base=StreamingTask)
def streaming() -> None:
    """Do nothing, as a StreamingTask."""


@app.task
def plain_wait() -> None:
    """Wait a little."""
    time.sleep(WAIT)


@app.task(base=StreamingTask)
def streaming_wait() -> None:
    """Wait a little, as a StreamingTask."""
    time.sleep(WAIT)


@app.task(ignore_result=False)
def last() -> bool:
    """Return when everything before it has run."""
    return True


# Calls.


class _Empty:
    def update(self, n: int = 1) -> None:
        """Do nothing."""


def _update_progress(task: Any, number: int) -> None:
    for current in range(1, number + 1):
        task.update_progress(current=current, total=number, message="Reading rows")


def _tqdm(_task: Any, number: int) -> None:
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        tqdm(total=number, file=nowhere) as bar,
    ):
        for _ in range(number):
            bar.update(1)


def _empty(_task: Any, number: int) -> None:
    nothing = _Empty()
    for _ in range(number):
        nothing.update(1)


def _update_state(task: Any, number: int) -> None:
    for current in range(1, number + 1):
        meta = {"current": current, "total": number, "message": "Reading rows"}
        task.update_state(state="PROGRESS", meta=meta)


def _send(task: Any, number: int) -> None:
    with task.app.events.default_dispatcher() as dispatcher:
        for current in range(1, number + 1):
            fields = {"current": current, "total": number, "message": "Reading rows"}
            dispatcher.send("task-progress", uuid=task.request.id, **fields)


def _track(task: Any, number: int) -> None:
    for _ in task.track(range(number), "Reading rows"):
        pass


def _stream(task: Any, number: int) -> None:
    with task.stream("answer") as out:
        for _ in range(number):
            out.write("word ")


def _tqdm_loop(_task: Any, number: int) -> None:
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        for _ in tqdm(range(number), "Reading rows", file=nowhere):
            pass


CALLS: Final[dict[str, tuple[Callable[[Any, int], None], int]]] = {
    "update_progress": (_update_progress, 200_000),
    "tqdm.update": (_tqdm, 200_000),
    "an empty method": (_empty, 200_000),
    "Task.update_state": (_update_state, 100),
    "EventDispatcher.send": (_send, 100),
    "a loop in tqdm": (_tqdm_loop, 1_000_000),
    "a loop in track": (_track, 1_000_000),
    "a word of a stream": (_stream, 1_000_000),
}
"""Ways to say how far a task is, and how often each is called at a time."""


@app.task(base=StreamingTask, ignore_result=False)
def calls(self: Any) -> dict[str, float]:
    """Say it in every way; how many seconds one call takes, loop included."""
    taken = {}
    for name, (call, number) in CALLS.items():
        began = time.perf_counter()
        call(self, number)
        taken[name] = (time.perf_counter() - began) / number
    return taken


# Delays.


@app.task(base=StreamingTask)
def speak(self: Any, updates: int, pause: float, lines: int) -> None:
    """Say something every so many seconds: a line each so many times, else how far it is."""
    # Many of them do not speak all at once.
    began = time.monotonic() + random.uniform(0, pause * lines)
    for number in range(1, updates + 1):
        time.sleep(max(0.0, began + pause * number - time.monotonic()))
        if number % lines:
            self.update_progress(current=number, total=updates)
        else:
            self.log("info", f"at {time.time():.6f}")


@app.task(base=StreamingTask)
def talk(self: Any, words: int, pause: float) -> None:
    """Write the time into a stream, again and again."""
    with self.stream("answer") as out:
        for _ in range(words):
            time.sleep(pause)
            out.write(f"{time.time():.6f} ")


@app.task(bind=True, ignore_result=False)
def store(self: Any, updates: int, pause: float) -> None:
    """Put the time into the result backend, every so many seconds."""
    for _ in range(updates):
        self.update_state(state="PROGRESS", meta={"at": time.time()})
        time.sleep(pause)
