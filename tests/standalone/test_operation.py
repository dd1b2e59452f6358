from __future__ import annotations

import asyncio
import contextvars
import os
import uuid
from concurrent import futures

import pytest
from support.asyncio_runner import run
from support.event_log import end_of, result_of, spoken

from celery_wsprogress import log as log_line
from celery_wsprogress import operation, steps, update_progress, update_status, ws_manager
from celery_wsprogress.protocol.events import Log, Progress, Status
from celery_wsprogress.protocol.jsonable import WITHHELD
from celery_wsprogress.worker import context


def test_an_operation_is_said_from_its_start_to_its_end(log):
    with operation("import", metadata={"file": "a.csv"}, tags=["nightly"]) as op:
        op.update_progress(0.5, "half", details={"n": 1})
        op.update_status("uploading", "to the mirror")
        op.log("warn", "slow", speed=3)
        op.set_metadata(rows=7)
        op.result({"rows": 7})
    events = log.wait_for_end(op.operation_id)
    assert spoken(events) == ["started", "uploading", "log", "uploading", "result", "completed"]
    started = events[0].data
    assert (started.operation_type, started.metadata) == ("import", {"file": "a.csv"})
    assert started.tags == ["nightly"]
    [progress] = [event.data for event in events if isinstance(event, Progress)]
    assert (progress.progress, progress.message, progress.details) == (0.5, "half", {"n": 1})
    assert events[-3].data.metadata == {"file": "a.csv", "rows": 7}
    assert result_of(events).result == {"rows": 7}
    assert end_of(events).duration >= 0
    assert len({event.run for event in events}) == 1
    assert log.watched(op.operation_id)[-1] == "completed"


def test_without_a_result_it_is_only_completed(log):
    with operation("import") as op:
        pass
    assert spoken(log.wait_for_end(op.operation_id)) == ["started", "completed"]


def test_none_is_a_result(log):
    with operation("import") as op:
        op.result(None)
    assert result_of(log.wait_for_end(op.operation_id)).result is None


def test_an_exception_is_an_error_and_goes_on(log):
    op = operation("import")
    with pytest.raises(ZeroDivisionError), op:
        op.result(1 / 0)
    events = log.wait_for_end(op.operation_id)
    assert spoken(events) == ["started", "error"]
    end = end_of(events)
    assert (end.error, end.error_type, end.status) == (
        "division by zero",
        "ZeroDivisionError",
        "error",
    )
    assert end.duration >= 0


@pytest.mark.parametrize("kind", [KeyboardInterrupt, asyncio.CancelledError])
def test_what_is_left_from_outside_is_cancelled(log, kind):
    with pytest.raises(kind), operation("import") as op:
        raise kind
    end = end_of(log.wait_for_end(op.operation_id))
    assert (end.status, end.error_type) == ("cancelled", kind.__name__)


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (ValueError("secret"), "ValueError", WITHHELD),
        (SystemExit("secret"), "SystemExit", WITHHELD),
        (SystemExit(1), "SystemExit", "its process was told to stop (exit code 1)"),
        (asyncio.CancelledError("secret"), "CancelledError", "it was cancelled"),
    ],
    ids=repr,
)
def test_errors_keep_their_texts_where_that_is_set(log, monkeypatch, error, kind, said):
    monkeypatch.setenv("WSPROGRESS_STREAM_ERRORS", "type")
    with pytest.raises(type(error)), operation("outer") as outer, operation("import") as op:
        raise error
    for one in (op, outer):
        end = end_of(log.wait_for_end(one.operation_id))
        assert (end.error, end.error_type) == (said, kind)


def test_an_error_that_is_a_text_is_kept_in_as_well(log, monkeypatch):
    monkeypatch.setenv("WSPROGRESS_STREAM_ERRORS", "type")
    operation_id = run(ws_manager.create_operation("import"))
    run(ws_manager.emit_error(operation_id, "secret", "BadRow"))
    end = end_of(log.wait_for_end(operation_id))
    assert (end.error, end.error_type) == (WITHHELD, "BadRow")
    assert ws_manager.get_operation(operation_id)["error"] == WITHHELD


class Killed(BaseException):
    """As gevent's ``GreenletExit`` and trio's ``Cancelled``."""


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (SystemExit(1), "cancelled", "its process was told to stop (exit code 1)"),
        (SystemExit(), "cancelled", "its process was told to stop (exit code 0)"),
        (SystemExit("no such file"), "error", "no such file"),
        (KeyboardInterrupt(), "cancelled", "it was interrupted at the keyboard"),
        (GeneratorExit(), "cancelled", "nobody asked for the rest of it"),
        (asyncio.CancelledError(), "cancelled", "it was cancelled"),
        (asyncio.CancelledError("too late"), "cancelled", "it was cancelled: too late"),
        (futures.CancelledError(), "cancelled", "it was cancelled"),
        (Killed("by its parent"), "cancelled", "by its parent"),
        (TimeoutError("after 5 s"), "error", "after 5 s"),
    ],
)
def test_people_can_read_why_it_was_left(log, error, status, said):
    with pytest.raises(type(error)), operation("import") as op:
        raise error
    end = end_of(log.wait_for_end(op.operation_id))
    assert (end.status, end.error, end.error_type) == (status, said, type(error).__name__)


def test_a_cancelled_asyncio_task_cancels_its_operation(log):
    async def work(entered):
        async with operation("import") as op:
            entered.set_result(op.operation_id)
            await asyncio.Event().wait()

    async def main():
        entered = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(work(entered))
        operation_id = await entered
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return operation_id

    assert end_of(log.wait_for_end(run(main()))).status == "cancelled"


def test_it_can_be_entered_once():
    op = operation("import")
    with op, pytest.raises(RuntimeError, match="runs once"), op:
        pass
    with pytest.raises(RuntimeError, match=op.operation_id), op:
        pass


def test_the_second_entry_ends_nothing(log):
    op = operation("import")
    with op:
        with pytest.raises(RuntimeError):
            op.__enter__()
        op.log("info", "still here")
    assert spoken(log.wait_for_end(op.operation_id)) == ["started", "log", "completed"]


def test_functions_inside_speak_for_it(log):
    with operation("import") as op:
        update_progress(0.25)
        update_status("counting")
        log_line("info", "a line")
        steps(4).step("one of four")
    assert context.current_tracker.get() is None
    events = log.wait_for_end(op.operation_id)
    assert spoken(events) == ["started", "counting", "log", "completed"]
    last = [event.data for event in events if isinstance(event, Progress)][-1]
    assert (last.current, last.total, last.message) == (1, 4, "one of four")


def test_operations_inside_each_other(log):
    with operation("outer") as outer:
        with operation("inner") as inner:
            log_line("info", "in")
        log_line("info", "out")
    for op, said in ((inner, "in"), (outer, "out")):
        events = log.wait_for_end(op.operation_id)
        assert [e.data.message for e in events if isinstance(e, Log)] == [said]


def test_steps_of_an_operation(log):
    with operation("import") as op:
        counting = op.steps(3)
        counting.step("first")
        counting.complete({"done": 3})
    events = log.wait_for_end(op.operation_id)
    assert result_of(events).result == {"done": 3}
    last = [event.data for event in events if isinstance(event, Progress)][-1]
    assert (last.current, last.total, last.progress) == (3, 3, 1.0)


def test_completing_steps_without_a_result_gives_none(log):
    with operation("import") as op:
        op.steps(3).complete()
    assert spoken(log.wait_for_end(op.operation_id)) == ["started", "completed"]


def test_it_may_have_an_id_of_ones_own(log):
    chosen = str(uuid.uuid4())
    with operation("import", operation_id=chosen) as op:
        assert op.operation_id == chosen
    assert end_of(log.wait_for_end(chosen)).status == "completed"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [("", "1 to 1000"), ("x" * 1001, "1 to 1000"), ("\ud800", "surrogates")],
    ids=repr,
)
def test_an_id_nobody_could_ask_for(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        operation("import", operation_id=wrong)


def test_nothing_is_said_before_and_after(log):
    op = operation("import")
    op.log("info", "early")
    op.update_progress(0.1)
    with op:
        pass
    op.log("info", "late")
    op.update_status("late")
    op.update_progress(1.0)
    with operation("the next") as after:
        pass
    log.wait_for_end(after.operation_id)
    assert len(log.events(op.operation_id)) == 2


def test_a_generator_that_is_closed_in_another_context(log):
    ids = []

    def rows():
        with operation("rows") as op:
            ids.append(op.operation_id)
            yield 1
            yield 2

    generator = rows()
    contextvars.copy_context().run(next, generator)
    contextvars.copy_context().run(generator.close)
    assert end_of(log.wait_for_end(ids[0])).status == "cancelled"


def test_a_forked_child_speaks_for_it_and_does_not_end_it(log):
    with operation("import") as op:
        pid = os.fork()
        if pid == 0:
            try:
                op.log("info", "from the child")
                op.__exit__(None, None, None)
                from celery_wsprogress.worker.publishing.publishers import drain_all

                drain_all(20)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        op.log("info", "from the parent")
    events = log.wait_for_end(op.operation_id)
    said = [event.data.message for event in events if isinstance(event, Log)]
    assert said == ["from the child", "from the parent"]
    assert len(log.ends(op.operation_id)) == 1
    assert len([e for e in events if isinstance(e, Status)]) == 1
