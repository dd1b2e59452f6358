"""A Celery project whose tasks live every life a task can live.

``BROKER_URL`` and ``RESULT_BACKEND`` in the environment say where; everything else that a test
wants otherwise comes as arguments of the tasks or as options of the worker.
"""

import asyncio
import ctypes
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

from celery import Celery, chord, group
from celery.exceptions import Ignore, Reject

from celery_wsprogress import (
    StreamingTask,
    copy_context,
    log,
    operation,
    phase,
    phases,
    track,
    update_progress,
)
from celery_wsprogress.worker import apps
from celery_wsprogress.worker.publishing import heartbeats

app = Celery("life", broker=os.environ["BROKER_URL"], backend=os.environ.get("RESULT_BACKEND"))
app.conf.update(
    broker_connection_retry_on_startup=True,
    # A worker that is killed gives its messages back soon.
    broker_transport_options={
        "visibility_timeout": int(os.environ.get("VISIBILITY_TIMEOUT", "3600")),
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
        # Also where the one that is killed was giving some back.
        "unacked_mutex_expire": 2,
    },
    worker_prefetch_multiplier=1,
    worker_soft_shutdown_timeout=float(os.environ.get("SOFT_SHUTDOWN", "0")),
    worker_deduplicate_successful_tasks="DEDUPLICATE" in os.environ,
    # A result that cannot be stored is given up soon.
    result_backend_transport_options={
        "retry_policy": {"max_retries": 1, "interval_start": 0, "interval_max": 0.1},
    },
)


# Nobody wants to wait for a minute.
heartbeats.REPEAT_STARTED_INTERVAL = float(
    os.environ.get("REPEAT_STARTED_INTERVAL", heartbeats.REPEAT_STARTED_INTERVAL)
)


@app.task(base=StreamingTask)
def steps(self, n=5, pause=0.0, message="step"):
    """Progress, n times."""
    for i in range(1, n + 1):
        self.update_progress(current=i, total=n, message=f"{message} {i}")
        time.sleep(pause)
    return n


@app.task(base=StreamingTask)
def works_in_phases(self, n):
    """Reads, then writes in two threads at once."""
    with self.phase("Read", weight=0.25):
        for _ in self.track(range(n), "Reading", unit="rows"):
            pass
    both_run = threading.Barrier(2)

    def write(_):
        for number in self.track(range(n), "Writing", unit="rows"):
            if number == 0:
                both_run.wait(60)

    with self.phase("Write", weight=0.75):
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(copy_context(write), range(2)))
        self.update_status("halfway")


@app.task(base=StreamingTask)
def fails_in_a_phase(self):
    """Fails at the third row of four."""
    phases({"Read": 1, "Write": 1})
    with phase("Read"):
        for number in track(range(4), unit="rows"):
            if number == 2:
                raise ValueError(number)


@app.task(base=StreamingTask)
def walks(self, n):
    """An asynchronous loop."""

    async def rows():
        for number in range(n):
            await asyncio.sleep(0)
            yield number

    async def walk():
        async for _ in self.track(rows(), total=n):
            pass

    asyncio.run(walk())


@app.task(base=StreamingTask)
def item_in_phases(self, item):
    """One item of a map, in two phases, the first of which is seen to be heard."""
    with self.phase("Read", weight=0.5):
        pass
    self.update_status("halfway")
    with self.phase("Write", weight=0.5):
        pass
    return item


@app.task(base=StreamingTask)
def logs(self, n=5):
    """Log lines, counted from 0."""
    for i in range(n):
        self.log("info", f"line {i}", number=i)


@app.task(base=StreamingTask)
def talk(self):
    """One of everything a task can say, through self and without."""
    self.set_metadata(owner="me")
    self.update_progress(0.25, "a quarter")
    self.update_status("uploading", "to the mirror", {"mirror": 1})
    self.log("warn", "slow mirror", speed=3)
    _help()
    return {"said": "everything"}


def _help():
    update_progress(0.5, "half")
    log(10, "a helper speaks")


@app.task(base=StreamingTask)
def add(x, y):
    """A task without self."""
    return x + y


@app.task
def plain(x=1):
    """A task of Celery's own class."""
    return x


@app.task(base=StreamingTask)
def fails(self, text="broken"):
    """Says something and fails."""
    self.log("info", "about to fail")
    raise ValueError(text)


@app.task(base=StreamingTask, default_retry_delay=0.1)
def retries_once(self):
    """Fails the first time, in its own words."""
    if self.request.retries == 0:
        raise self.retry(exc=ConnectionError("no route"), countdown=0.1)
    return "at last"


@app.task(base=StreamingTask, autoretry_for=(OSError,), retry_kwargs={"countdown": 0.1})
def autoretries_once(self):
    """Fails the first time, and Celery retries it."""
    if self.request.retries == 0:
        raise OSError("disk full")
    return "at last"


@app.task(base=StreamingTask)
def big_result(self, size=2_000_000):
    """A result far above every limit."""
    return "x" * size


@app.task(base=StreamingTask, stream_result=False)
def secret_result(self):
    """A result that must not leave."""
    return "secret"


@app.task(base=StreamingTask, soft_time_limit=1)
def soft_limited(self):
    """Runs into its soft time limit."""
    self.log("info", "waiting")
    time.sleep(60)


@app.task(base=StreamingTask, time_limit=1)
def hard_limited(self):
    """Runs into its hard time limit."""
    self.log("info", "waiting")
    time.sleep(60)


@app.task(base=StreamingTask)
def sleeps(self, seconds=60.0):
    """Waits to be revoked or killed."""
    self.log("info", "sleeping")
    self.update_progress(0.5, "asleep")
    time.sleep(seconds)
    return "awake"


@app.task(base=StreamingTask)
def kills_itself(self, gate=None):
    """Loses its process in the middle."""
    self.log("info", "good bye")
    time.sleep(0.5)
    _wait_for(gate)
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(base=StreamingTask, acks_late=True, reject_on_worker_lost=True)
def kills_itself_once(self, key, gate=None):
    """Loses its process the first time, and is delivered again."""
    if _first_time(key):
        _wait_for(gate)
        os.kill(os.getpid(), signal.SIGKILL)
    return "survived"


@app.task(base=StreamingTask)
def ignores(self):
    """Ends, and wants nobody to know how."""
    self.update_progress(0.3, "a part of it")
    self.log("info", "ignore me")
    raise Ignore


@app.task(base=StreamingTask)
def ignores_with_state(self, state="SUCCESS", result="stored"):
    """Stores its outcome by itself."""
    self.update_state(state=state, meta=result)
    raise Ignore


@app.task(base=StreamingTask)
def rejects(self):
    """Throws its message away."""
    self.log("info", "not for me")
    raise Reject("not for me", requeue=False)


@app.task(base=StreamingTask, acks_late=True)
def rejects_once(self, key):
    """Puts its message back the first time."""
    if _first_time(key):
        raise Reject("not now", requeue=True)
    return "taken"


@app.task(base=StreamingTask)
def replaced(self, by="add"):
    """Hands its id on to another task, or to a group or a chain."""
    self.update_progress(0.1, "looking for somebody else")
    signatures = {
        "add": lambda: add.s(1, 2),
        "plain": lambda: plain.s(7),
        "group": lambda: group(plain.s(1), plain.s(2)),
        "chain": lambda: plain.s(1) | add.s(2),
        "chain of many": lambda: plain.s(1) | add.s(2) | add.s(3),
        "itself again": lambda: replaced.si("add"),
        "itself, in a chain": lambda: replaced.si("chain") | add.s(5),
        "a retry": lambda: retries_once.si() | listed.s(),
        "nothing kept": lambda: plain.si(1).set(ignore_result=True) | add.si(1, 2),
        "slow": lambda: sleeps.si(4.0) | add.si(1, 2),
        "chord": lambda: chord([plain.si(1), plain.si(2)], listed.s()),
        "unpublishable": lambda: add.s(object(), 1),
        "first fails": lambda: breaks.si() | add.s(2),
        "second fails": lambda: plain.si(1) | breaks.si() | add.s(3),
        "last fails": lambda: plain.si(1) | breaks.si(),
        "a followed one fails": lambda: fails.si() | add.s(2),
        "out of time": lambda: breaks.si("time").set(time_limit=1) | add.s(2),
        "out of memory": lambda: breaks.si("process") | add.s(2),
        "rejected": lambda: rejects.si() | add.s(2),
        "failing group": lambda: group(plain.si(1), breaks.si()),
        "failing chord": lambda: chord([breaks.si(), plain.si(2)], listed.s()),
        "failing body": lambda: chord([plain.si(1), plain.si(2)], breaks.si()),
        "chain in a chord": lambda: chord([plain.si(1), breaks.si() | add.s(2)], listed.s()),
        "chord, then another": lambda: chord([breaks.si(), plain.si(2)], listed.s()) | listed.s(),
        "fails, then a chord": lambda: breaks.si() | chord([plain.si(1), plain.si(2)], listed.s()),
        "chain as a body": lambda: chord([breaks.si(), plain.si(2)], listed.s() | listed.s()),
        "itself, failing": lambda: replaced.si("first fails") | add.s(5),
        "last to be published": lambda: plain.si(1) | add.s(object()),
    }
    raise self.replace(signatures[by]())


@app.task
def breaks(what="task"):
    """A plain task that fails, or loses its time or its process."""
    if what == "time":
        time.sleep(60)
    if what == "process":
        os.kill(os.getpid(), signal.SIGKILL)
    raise ValueError("a step broke")


@app.task
def listed(values):
    """A plain task that takes what others returned."""
    return [values]


class HandsOnItself(StreamingTask):
    """A base class with a way of its own to replace a task."""

    def on_replace(self, sig):
        sig.delay()
        raise Ignore("elsewhere")


@app.task(base=HandsOnItself)
def replaced_otherwise(self, breaking=False):
    """Hands its id on, and nobody of ours is asked."""
    raise self.replace((breaks.si() if breaking else plain.si(1)) | listed.s())


@app.task(base=StreamingTask)
def nests(self):
    """Runs another task inside itself, eagerly."""
    self.update_progress(0.3, "before")
    inner = talk.apply().get(disable_sync_subtasks=False)
    update_progress(0.7, "after")
    return inner


@app.task(base=StreamingTask, acks_late=True)
def late(self, seconds=0.0):
    """Acknowledges late."""
    time.sleep(seconds)
    return "late"


@app.task(base=StreamingTask)
def odd(self):
    """Reports what JSON cannot hold."""
    self.update_progress(float("nan"), "nan")
    self.log(30, "odd", value=float("inf"), raw=b"\xff", what=object, error=ValueError("inner"))
    return {"nan": float("nan"), 1: [2, 3]}


@app.task(base=StreamingTask)
def halves(self, item):
    """One item of a map, in two halves."""
    self.update_progress(0.5, f"half of {item}")
    return item


@app.task(base=StreamingTask)
def speaks_of_items(self, item):
    """The same, and sees to it that it is heard."""
    self.update_progress(0.5, f"half of {item}")
    self.update_status("halfway")


@app.task(base=StreamingTask, stream_result=False)
def hides(self, item):
    """Its result must not leave, also as one of many."""
    if item == "fails":
        raise ValueError(item)
    return f"secret {item}"


class Hooked(StreamingTask):
    """Reports in each of Celery's hooks."""

    def before_start(self, *_args):
        self.log("info", "before_start")

    def on_success(self, *_args):
        self.log("info", "on_success")

    def on_failure(self, *_args):
        self.log("info", "on_failure")

    def on_retry(self, *_args):
        self.log("info", "on_retry")

    def after_return(self, *_args):
        self.log("info", "after_return")


@app.task(base=Hooked)
def hooked(self, how):
    """Ends one way or the other; a retry succeeds."""
    if how == "fails":
        raise ValueError(how)
    if how == "retries" and not self.request.retries:
        raise self.retry(countdown=0)


def _speak(number):
    log("info", f"child {number}")
    update_progress(1.0, f"the last word of {number}")
    log("info", f"goodbye of {number}")


@app.task(base=StreamingTask)
def forks_children(self, way):
    """Has children speak for it, whose last words are their last breath."""
    # Celery's own children may have none; this is how people go round that.
    multiprocessing.current_process()._config["daemon"] = False
    context = multiprocessing.get_context("fork")
    if way == "executor":
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            list(pool.map(_speak, range(3)))
        return
    if way == "pool":
        pool = context.Pool(2)
        pool.map(_speak, range(3), chunksize=1)
        pool.close()
        pool.join()
        return
    children = [context.Process(target=_speak, args=(number,)) for number in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()


class DiesAfterwards(StreamingTask):
    """Loses its process when its result is stored, before anybody is told."""

    def on_success(self, *args):
        os.kill(os.getpid(), signal.SIGKILL)


@app.task(base=DiesAfterwards)
def dies_afterwards(self, gate=None):
    """Its result is there, and it has no signal at all."""
    _wait_for(gate)
    return "stored"


@app.task(base=DiesAfterwards, stream_result=False)
def dies_with_a_secret(self):
    """The same, with a result that must not leave."""
    return "secret"


@app.task(base=DiesAfterwards, ignore_result=True)
def dies_unheard(self):
    """There is no result that could save it."""


class Outlasts(StreamingTask):
    """Goes on when its result is stored, before anybody is told."""

    def on_success(self, *args):
        time.sleep(60)


@app.task(base=Outlasts, time_limit=1)
def outlasts_its_limit(self):
    """Runs into its hard time limit, and its result is there."""
    return "stored"


@app.task(base=StreamingTask)
def waits(self, gate):
    """Lasts until somebody makes this file."""
    _wait_for(gate)
    return "through"


@app.task(base=StreamingTask)
def reports(self, gate):
    """Says how far it is, and lasts until somebody makes this file."""
    self.update_progress(current=3, total=10, unit="rows")
    _wait_for(gate)


@app.task(base=StreamingTask, stream_result=False, acks_late=True)
def waits_late(self, gate):
    """The same, acknowledged late, with a result that must not leave."""
    _wait_for(gate)
    return "secret"


@app.task(base=StreamingTask)
def talks(self, gate):
    """Goes on saying how far it is until somebody makes this file."""
    while not Path(gate).exists():
        self.update_progress(message="still here")
        time.sleep(0.01)
    self.log("info", "enough")


@app.task(base=StreamingTask)
def holds_the_lock(self, fifo):
    """Waits for a reader of this pipe, in C code that never lets go of Python's lock."""
    self.log("info", "here I go")
    ctypes.PyDLL(None).open(fifo.encode(), os.O_WRONLY)


@app.task(base=StreamingTask)
def reads(self, fifo):
    """Waits for a writer of this pipe, without a clock."""
    self.log("info", "reading")
    return Path(fifo).read_text()


@app.task(base=StreamingTask)
def owns(self, name, gate):
    """Begins an operation of its own inside itself."""
    with operation("inner", operation_id=name):
        _wait_for(gate)


@app.task(base=StreamingTask)
def says_a_million_things(self, gate):
    """Says more than any buffer holds, and looks how full it gets; begins at the gate."""
    _wait_for(gate)
    queue, fullest = apps.publishing_of(app).publisher._outbox.queue, 0
    for number in range(1, 1_000_001):
        self.update_progress(current=number, total=1_000_000)
        if number % 10 == 0:
            self.log("info", f"line {number}")
            fullest = max(fullest, queue.size)
    return {"fullest": fullest, "limit": apps.publishing_of(app).settings.buffer_bytes}


@app.task(base=StreamingTask)
def threads(self, n=3, gate=None):
    """Speaks from threads of several kinds, without a word about contexts."""

    def work(name):
        _wait_for(gate)
        self.log("info", name)
        log("info", "whose?")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, [f"pool {i}" for i in range(n)]))
    thread = threading.Thread(target=self.log, args=("info", "thread"))
    thread.start()
    thread.join()
    asyncio.run(_in_loops(work, self))
    return n


async def _in_loops(work, task):
    await asyncio.get_running_loop().run_in_executor(None, work, "executor")
    await asyncio.to_thread(task.log, "info", "to_thread")


_leftover = threading.Event()


@app.task(base=StreamingTask)
def leaves_a_thread(self):
    """Ends before its thread has said all."""

    def work():
        _leftover.wait(30)
        self.log("info", "too late")
        self.update_progress(0.9)

    thread = threading.Thread(target=work)
    thread.start()
    return thread.name


@app.task
def wakes():
    """Lets the thread that was left go on."""
    _leftover.set()
    time.sleep(0.2)


@app.task(base=StreamingTask)
def exits(self):
    """Leaves its process as a program would."""
    raise SystemExit(3)


def _wait_for(gate):
    while gate and not Path(gate).exists():
        time.sleep(0.01)


def _first_time(key):
    return app.backend.client.incr(f"first:{key}") == 1
