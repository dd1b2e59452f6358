"""A Celery project whose tasks send canvases, and replace themselves with some."""

import os
import signal
import time

from celery import Celery, chain, chord, group, signature
from celery.exceptions import Ignore

from celery_wsprogress import StreamingTask

app = Celery("canvases", broker=os.environ["BROKER_URL"], backend=os.environ.get("RESULT_BACKEND"))
app.conf.update(
    broker_connection_retry_on_startup=True,
    accept_content=os.environ.get("ACCEPTS", "json").split(),
    worker_prefetch_multiplier=1,
    task_default_queue=os.environ.get("DEFAULT_QUEUE", "celery"),
    # Where the result backend does not count the header of a chord.
    result_chord_retry_interval=0.1,
)


@app.task(shared=False)
def plain(*values):
    """A task of Celery's own class."""
    return len(values)


@app.task(shared=False, base=StreamingTask)
def followed(*values):
    """A task that reports."""
    return len(values)


@app.task(shared=False, base=StreamingTask, default_retry_delay=0.1)
def retried(self, *_values):
    """Fails the first time."""
    if not self.request.retries:
        raise self.retry(countdown=0.1)
    return "at last"


@app.task(shared=False)
def plainly_retried(*_values):
    """The same, of Celery's own class."""
    if not plainly_retried.request.retries:
        raise plainly_retried.retry(countdown=0.1)
    return "at last"


@app.task(shared=False)
def breaks(*_values):
    """A plain task that fails."""
    raise ValueError("a step broke")


@app.task(shared=False)
def is_killed(*_values):
    """Kills its process. What its process has said before is written by then."""
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(shared=False, base=StreamingTask, acks_late=True, reject_on_worker_lost=True)
def is_killed_once(self, *_values):
    """Kills its process when it runs first, and is delivered again."""
    self.update_progress(0.5)
    if app.backend.client.set(f"killed-{self.request.id}", 1, nx=True, ex=600):
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)
    return "at last"


@app.task(shared=False)
def ignored(*_values):
    """Raises Ignore."""
    raise Ignore


@app.task(shared=False)
def is_late(*_values):
    """Runs longer than its time limit."""
    time.sleep(120)


@app.task(shared=False, bind=True)
def adds_one_that_breaks(self):
    """Adds a task that fails to the header in which it stands."""
    self.add_to_chord(breaks.si())


@app.task(shared=False, base=StreamingTask)
def replaced_again(self, left):
    """Replaces itself with a canvas that ends with itself, and that one again."""
    if left:
        raise self.replace(chain(group([plain.si()] * left), replaced_again.si(left - 1)))


@app.task(shared=False, base=StreamingTask, time_limit=120)
def waits(self):
    """Waits until :func:`go_on` is called with the id of the workflow."""
    held = self.request.chain[0]["options"]["task_id"]
    while not app.backend.client.get(f"go-on-{held}"):
        time.sleep(0.05)


def go_on(workflow_id):
    """Have the task that waits in a workflow go on."""
    app.backend.client.set(f"go-on-{workflow_id}", 1, ex=600)


@app.task(shared=False, bind=True)
def heard(self, *_values):
    """Returns our header of its message."""
    header = vars(self.request).get("wsprogress") or {}
    return {name: header[name] for name in ("follow", "workflow") if name in header}


@app.task(shared=False, bind=True)
def unheard(self, *_values):
    """The same, in canvases of which nothing is followed."""
    return heard.run.__func__(self)


CANVASES = {
    "task": plain.si,
    "chain": lambda: chain(plain.si(), followed.si(), plain.si()),
    "plain chain": lambda: chain(plain.si(), plain.si()),
    "group": lambda: group(plain.si(), followed.si()),
    "chord": lambda: chord([plain.si(), followed.si()], plain.si()),
    "group of one": lambda: group([followed.si()]),
    "task, group": lambda: chain(followed.si(), group(plain.si(), plain.si())),
    "task, group, task": lambda: chain(plain.si(), group(followed.si(), plain.si()), plain.s()),
    "group of chains": lambda: group(
        chain(plain.si(), followed.si()), chain(plain.si(), plain.si(), plain.si()), plain.si()
    ),
    "group of groups": lambda: group(group(plain.si(), followed.si()), plain.si()),
    "group of a chain that ends in a group": lambda: group(
        [chain(plain.si(), group(followed.si(), plain.si()))]
    ),
    "chord of chains": lambda: chord(
        [chain(plain.si(), plain.si()), plain.si()], chain(plain.s(), followed.si())
    ),
    "chord, chord": lambda: chain(
        group(plain.si(), plain.si()), plain.s(), group(followed.si(), plain.si()), plain.s(),
        plain.s(),
    ),
    "chord in a chord": lambda: chord(
        [chord([plain.si(), plain.si()], plain.s()), plain.si()], followed.s()
    ),
    "chord in a chain in a chord": lambda: chord(
        [chain(plain.si(), group(plain.si(), plain.si()), plain.s()), plain.si()], followed.s()
    ),
    "chord with a group as its body": lambda: chord(
        [plain.si(), plain.si()], group(followed.si(), plain.si())
    ),
    "heard ones": lambda: chain(heard.si(), heard.si()),
    "group, group": lambda: chain(
        plain.si(), group([plain.si(), plain.si()]), group(followed.si(), plain.si())
    ),
    "group, group in a group": lambda: group(
        chain(plain.si(), group(plain.si(), plain.si()), group(followed.si(), plain.si())),
        chain(group([plain.si(), plain.si()]), group([plain.si()] * 2), group([plain.si()] * 2)),
    ),
    "group, group in a body": lambda: chord(
        [plain.si(), plain.si()],
        chain(plain.si(), group(plain.si(), plain.si()), group(followed.si(), plain.si())),
    ),
    "empty chord": lambda: chord([], chain(plain.s(), followed.si())),
    "map": lambda: chain(followed.si(), plain.map([1, 2])),
    "map of a followed task": lambda: chain(plain.si(), followed.map([1, 2])),
    "chunks": lambda: followed.chunks([(n,) for n in range(5)], 2),
    "retry": lambda: chain(followed.si(), plainly_retried.si(), retried.si(), plain.si()),
    "retry in a chord": lambda: chord([plainly_retried.si(), retried.si()], plain.s()),
    "replacement in a chain": lambda: chain(plain.si(), replaced.si("chain"), plain.si()),
    "replacement in a chord": lambda: chord([replaced.si("chord"), plain.si()], plain.si()),
    "plain replacement in a chain": lambda: chain(
        followed.si(), plainly_replaced.si("task"), plain.si()
    ),
    "failure in a chain": lambda: chain(followed.si(), breaks.si(), plain.si()),
    "failure in a group": lambda: group(followed.si(), breaks.si(), plain.si()),
    "failure in a header": lambda: chord([followed.si(), breaks.si()], plain.si()),
    "failure in a body": lambda: chord([followed.si(), plain.si()], breaks.si()),
    "failure in a chain of a group": lambda: group(chain(breaks.si(), plain.si()), followed.si()),
    "failure in a chord in a chain": lambda: chain(
        followed.si(), group(breaks.si(), plain.si()), plain.si(), plain.si()
    ),
    "killed in a chain": lambda: chain(followed.si(), is_killed.si(), plain.si()),
    "killed in a header": lambda: chord([followed.si(), is_killed.si()], plain.si()),
    "killed in a chain of a header": lambda: chord(
        [followed.si(), chain(is_killed.si(), plain.si())], plain.si()
    ),
    "time limit in a header": lambda: chord(
        [followed.si(), is_late.si().set(time_limit=1)], plain.si()
    ),
    "expired in a chain": lambda: chain(followed.si(), plain.si().set(expires=-5), plain.si()),
    "Ignore in a chain": lambda: chain(followed.si(), ignored.si(), plain.si()),
    "unknown in a chain": lambda: chain(
        followed.si(), signature("canvases.unheard_of", app=app), plain.si()
    ),
    "failure of what is added to a header": lambda: chord(
        [adds_one_that_breaks.si(), followed.si()], plain.si()
    ),
    "replaced again and again": lambda: chain(followed.si(), replaced_again.si(3), plain.si()),
    "redelivered in a chain": lambda: chain(followed.si(), is_killed_once.si(), plain.si()),
    "redelivered in a header": lambda: chord([followed.si(), is_killed_once.si()], plain.si()),
    "lost in a chain": lambda: chain(followed.si(), is_late.si(), plain.si()),
    "lost in a header": lambda: chord([followed.si(), is_late.si()], plain.si()),
    "waiting": lambda: chain(followed.si(), waits.si(), plain.si()),
    "canvas of a task": lambda: chain(plain.si(), sends.si("chain"), plain.si()),
}  # fmt: skip


@app.task(shared=False, base=StreamingTask)
def replaced(self, by):
    """Replaces itself with a canvas."""
    raise self.replace(CANVASES[by]())


@app.task(shared=False, bind=True)
def plainly_replaced(self, by):
    """The same, of Celery's own class."""
    raise self.replace(CANVASES[by]())


@app.task(shared=False, base=StreamingTask)
def sends(self, what):
    """Sends a canvas, and returns the id of its result."""
    return CANVASES[what]().delay().id


@app.task(shared=False, bind=True)
def adds_to_chord(self):
    """Adds a task to the header in which it stands."""
    added = heard.si()
    self.add_to_chord(added)
    return added.id
