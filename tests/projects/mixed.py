"""A Celery project that reports from tasks in both ways: as tasks, and as operations in them."""

import asyncio
import os

from celery import Celery

from celery_wsprogress import StreamingTask, operation, ws_manager


def make_app(broker, backend):
    app = Celery("mixed", broker=broker, backend=backend, set_as_current=False)
    app.conf.broker_connection_retry_on_startup = True
    for function in (counts, leaves_open):
        app.task(base=StreamingTask, name=f"mixed.{function.__name__}")(function)
    app.task(name="mixed.plain")(plain)
    return app


def counts(self):
    steps = self.steps(3)
    for word in ("one", "two", "three"):
        steps.step(word)
    # Code that knows only the id of what it works for.
    asyncio.run(ws_manager.emit_log(self.request.id, "info", "by id"))
    asyncio.run(ws_manager.emit_result(self.request.id, "not a task's way to end"))
    steps.complete("neither is this")
    return steps.current_step


def plain(operation_id):
    """A task of Celery's own class, of which only a part is shown."""
    with operation("part of a task", operation_id=operation_id) as op:
        op.steps(2).step("half")
        op.log("info", "in a task")
        op.result("done")


def leaves_open(self, operation_id):
    """Begins an operation and forgets to leave it."""
    operation("forgotten", operation_id=operation_id).__enter__()
    return "ended"


if "BROKER_URL" in os.environ:
    app = make_app(os.environ["BROKER_URL"], os.environ["RESULT_BACKEND"])
    app.set_current()
