"""A Celery project whose tasks show bars of their own, or write their progress somewhere else.

The libraries are imported in the tasks, as heavy ones are.
"""

import asyncio
import io
import os
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from celery import Celery

from celery_wsprogress import (
    StreamingTask,
    capture_tqdm,
    copy_context,
    log,
    relay,
    update_progress,
)
from celery_wsprogress.contrib.celery_progress import ProgressRecorder

app = Celery("bars", broker=os.environ["BROKER_URL"], backend=os.environ["RESULT_BACKEND"])
app.conf.broker_connection_retry_on_startup = True


def loop(name, n):
    from tqdm import tqdm

    return tqdm(range(n), desc=name, unit="rows")


def disabled_loop(name, n):
    from tqdm.auto import tqdm

    return tqdm(range(n), desc=name, unit="rows", disable=True)


def nested_loop(name, n):
    from tqdm import trange

    for number in trange(n, desc=name, unit="rows"):
        for _ in trange(3, desc="inner", leave=False):
            pass
        yield number


def rich_track(name, n):
    from rich.console import Console
    from rich.progress import track

    # One may be live at a time on a console.
    return track(range(n), description=name, console=Console(file=io.StringIO()))


SHOWN = {one.__name__: one for one in (loop, disabled_loop, nested_loop, rich_track)}


@app.task(base=StreamingTask)
def shows(self, how, name, n=5):
    """Shows a bar that is captured, and one that is not."""
    with self.capture_tqdm():
        for _ in SHOWN[how](name, n):
            time.sleep(0.01)
    list(SHOWN[how]("outside", 2))


@app.task(base=StreamingTask)
def shows_only(self, name, n=5):
    """Shows a bar; whether it is captured is a setting."""
    for _ in loop(name, n):
        pass


@app.task(base=StreamingTask)
def shows_in_an_eager_one(self, name):
    """Shows a bar, and runs a task inside that shows another one."""
    with capture_tqdm():
        for _ in loop(name, 2):
            shows.apply(("loop", f"inside {name}"))


@app.task(base=StreamingTask)
def shows_in_phases(self):
    """Shows a bar in each of its phases."""
    with self.capture_tqdm():
        for name, weight in (("first", 0.25), ("second", 0.75)):
            with self.phase(name, weight=weight):
                list(loop(name, 4))
            # What was reported before is sent now.
            self.update_status(f"{name} is over")


@app.task(base=StreamingTask)
def writes_states(self):
    """What projects write for the result backend."""
    for number in range(1, 4):
        self.update_state(state="PROGRESS", meta={"current": number, "total": 3, "message": "rows"})
    self.update_state(state="UPLOADING", meta={"message": "to the mirror"})


@app.task(base=StreamingTask)
def records(self):
    """What projects with celery-progress write."""
    recorder = ProgressRecorder(self)
    for number in range(1, 4):
        recorder.set_progress(number, 3, description="rows")


# Asynchronous code.


def wait_for(gate):
    while not Path(gate).exists():
        time.sleep(0.01)


def says(name, number):
    log("info", f"{name} {number}")


async def coroutine(name, gate):
    """Reports from itself, from tasks of the loop, and from threads."""
    await asyncio.to_thread(wait_for, gate)
    says(name, "run")
    await asyncio.gather(*(asyncio.to_thread(says, name, number) for number in range(2)))
    await asyncio.create_task(talks(name))
    run_in_executor = asyncio.get_running_loop().run_in_executor
    await run_in_executor(None, copy_context(says), name, "executor")


async def talks(name):
    await asyncio.sleep(0)
    says(name, "task")
    update_progress(current=1, total=2, message=name)


@app.task(base=StreamingTask)
def runs_coroutines(self, name, gate):
    """Runs one with asyncio."""
    asyncio.run(coroutine(name, gate))


@app.task(base=StreamingTask)
def runs_coroutines_of_django(self, name, gate):
    """Runs one as Django does."""
    from asgiref.sync import async_to_sync

    async_to_sync(coroutine)(name, gate)


@app.task(base=StreamingTask)
def has_threads(self, name, gate):
    """Has a pool of threads that knows its task."""
    wait_for(gate)
    with ThreadPoolExecutor(2) as pool, self.capture_tqdm():
        list(pool.map(copy_context(says), [name] * 4, range(4)))
        list(pool.map(copy_context(lambda name: list(loop(name, 3))), [name]))


def works(handle, name, number):
    """Runs in a child that knows nothing but its arguments."""
    handle.log("info", f"{name} {number}")
    handle.update_status("in a child")
    handle.update_progress(current=number + 1, total=2, message=name)
    # Of a child there is no current task.
    log("info", "nobody's")


@app.task(base=StreamingTask)
def has_children(self, name, gate):
    """Has children that are spawned, until all that they have reported is seen."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        list(pool.map(partial(works, relay(), name), range(2)))
        wait_for(gate)
