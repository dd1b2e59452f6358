"""A program whose tasks are run eagerly; it prints each case's name, task id and result's state."""

import sys

from celery import Celery, chain, group
from celery.exceptions import Ignore, Reject

from celery_wsprogress import StreamingTask

app = Celery("eagerly", broker=sys.argv[1], backend="cache+memory://")
app.conf.task_always_eager = True
app.conf.task_eager_propagates = "propagate" in sys.argv
app.conf.worker_hijack_root_logger = False


@app.task(base=StreamingTask)
def add(self, x, y=0):
    self.update_progress(0.5, "half")
    return x + y


@app.task
def plain():
    return add.delay(1).get(disable_sync_subtasks=False)


@app.task(base=StreamingTask)
def outer(self):
    self.log("info", "before")
    add.apply((1, 2), task_id="inner-1")
    self.log("info", "after")


@app.task(base=StreamingTask)
def fails(self, kind):
    raise {"error": ValueError, "exit": KeyboardInterrupt}[kind]("broken")


@app.task(base=StreamingTask)
def retries(self, times):
    if self.request.retries < times:
        raise self.retry(exc=OSError("again"), countdown=0, max_retries=1)
    return "at last"


@app.task(base=StreamingTask, stream_errors="type", max_retries=1)
def keeps_its_errors(self):
    raise self.retry(exc=OSError("kept"), countdown=0)


@app.task(base=StreamingTask)
def leaves(self, how):
    self.update_progress(0.3)
    raise {"ignore": Ignore, "reject": Reject}[how]("leaves")


def run(name, signature, **options):
    try:
        result = signature.apply_async(task_id=name, **options)
    except BaseException as exc:
        print(name, type(exc).__name__)
    else:
        print(name, result.state)


run("success", add.s(1, 2), headers={"wsprogress": {"tags": ["nightly"], "metadata": {"a": 1}}})
run("applied", add.s(1, 2))
add.s(1, 2).apply(task_id="by-apply")
run("failure", fails.s("error"))
run("retry", retries.s(1))
run("exhausted", retries.s(5))
run("kept", keeps_its_errors.s())
run("ignore", leaves.s("ignore"))
run("nested", outer.s())
run("map", add.map([1, 2, 3]))
if app.conf.task_eager_propagates:
    run("exit", fails.s("exit"))
else:
    held = chain(add.s(1), add.s(2)).apply()
    print("chained", held.id, held.parent.id)
    print("grouped", *[one.id for one in group(add.s(1), add.s(2)).apply().results])
    print("plain", plain.delay().state)
