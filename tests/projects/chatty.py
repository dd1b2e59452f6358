"""A Celery project whose tasks log and print, from everywhere that a task can."""

import asyncio
import contextvars
import logging
import os
import sys
import threading
import time

from celery import Celery
from celery.utils.log import get_task_logger

from celery_wsprogress import StreamingTask, log_handler, operation

app = Celery("chatty", broker=os.environ["BROKER_URL"], backend=os.environ["RESULT_BACKEND"])
app.conf.update(broker_connection_retry_on_startup=True, worker_prefetch_multiplier=1)

logger = logging.getLogger("shop")
task_logger = get_task_logger(__name__)
aloof = logging.getLogger("aloof")
aloof.propagate = False
aloof.addHandler(log_handler())

TOKEN = "tweet-tweet"


def hide_tokens(record):
    """What a project may do about its secrets."""
    record.msg, record.args = record.getMessage().replace(TOKEN, "[hidden]"), ()
    return "not for watchers" not in record.msg


log_handler().addFilter(hide_tokens)


class Unprintable:
    def __str__(self):
        raise RuntimeError("cannot be printed")


def in_thread(target, *arguments):
    thread = threading.Thread(target=target, args=arguments)
    thread.start()
    thread.join()


@app.task(base=StreamingTask, stream_logs="INFO")
def everywhere(self, inner_id):
    """Logs from all sides of itself."""
    logger.info("the root's", extra={"order": 7, "level": "a name of ours", "message_id": 1})
    logger.debug("below the level")
    task_logger.warning("celery's %s", "own")
    aloof.error("no parent's")
    in_thread(contextvars.copy_context().run, logger.info, "with the context")
    in_thread(logger.info, "without the context")
    asyncio.run(in_loop())
    with operation("inner"):
        logger.info("in an operation")
    inner.apply(task_id=inner_id)
    silent.apply()
    logger.info("told %s", TOKEN)
    logger.info("not for watchers")
    print("printed, and not asked for")


async def in_loop():
    logger.info("a coroutine's")
    await asyncio.gather(asyncio.to_thread(logger.info, "to_thread"), asyncio.sleep(0))


@app.task(base=StreamingTask, stream_logs="WARNING")
def inner(self):
    """Runs inside, and has lines of its own."""
    logger.info("the inner one whispers")
    logger.warning("the inner one")


@app.task(base=StreamingTask)
def silent(self):
    """Runs inside, and has no lines."""
    logger.error("nobody hears it")


@app.task(base=StreamingTask, stream_logs="INFO", capture_stdout=True)
def one_of_many(self, name, lines):
    """Logs and prints its name while others do."""
    for number in range(lines):
        logger.info("%s logs %d", name, number)
        sys.stdout.write(f"{name} pri")
        time.sleep(0.001)
        sys.stdout.write(f"nts {number}\n")


@app.task(base=StreamingTask, capture_stdout=True)
def prints(self):
    """Prints whole lines, bars, blank ones and the beginning of one."""
    print("one", "two")
    print("50 %\r100 %")
    print()
    print(f"token {TOKEN}")
    logger.info("logs are not asked for")
    in_thread(contextvars.copy_context().run, print, "from a thread")
    print("unended", end="")


@app.task(base=StreamingTask, stream_logs="INFO", capture_stdout=True)
def tries_again(self):
    """Is in the middle of a line when it is retried, and when it fails."""
    logger.info("attempt %d", self.request.retries)
    print("unended", end="")
    if self.request.retries:
        raise ValueError("enough")
    raise self.retry(countdown=0)


@app.task(base=StreamingTask, stream_logs="INFO")
def floods(self, lines):
    """Logs more than anybody reads."""
    for number in range(lines):
        logger.info("line %d", number)


@app.task(base=StreamingTask, stream_logs="INFO")
def stumbles(self):
    """Logs what cannot be formatted."""
    logger.info("no %d", "number")
    logger.info("%s", Unprintable())
    logger.info("still here")


@app.task(base=StreamingTask, stream_logs="INFO")
def explains(self):
    """Logs an exception, and fails."""
    log_failure()
    logger.info("about to fail")
    raise ValueError("the end")


@app.task(base=StreamingTask, stream_logs="INFO", stream_errors="type")
def explains_nothing(self):
    """The same, with secrets in its errors."""
    log_failure()


@app.task(base=StreamingTask, stream_logs="INFO", stream_errors="traceback")
def explains_all(self):
    """The same, with nothing to hide."""
    log_failure()


def log_failure():
    try:
        raise KeyError(TOKEN)
    except KeyError:
        logger.exception("it broke")


@app.task(base=StreamingTask, stream_logs="INFO", redact=["pass*"])
def redacts(self):
    """Has an ``extra`` that is hidden, and one that is too large."""
    logger.info("logged in", extra={"password": TOKEN, "user": "me"})
    logger.info("read", extra={"rows": ["row"] * 10_000})


@app.task(base=StreamingTask, stream_logs="INFO")
def spawns(self):
    """Logs from greenlets."""
    import gevent

    greenlets = [gevent.spawn(logger.info, "greenlet %d", number) for number in range(3)]
    gevent.joinall(greenlets)
