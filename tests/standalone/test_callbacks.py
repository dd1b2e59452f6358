from __future__ import annotations

import inspect

import pytest
from support.asyncio_runner import run
from support.event_log import end_of, result_of, spoken

from celery_wsprogress import (
    ProgressTracker,
    create_log_callback,
    create_progress_callback,
    ws_manager,
)
from celery_wsprogress.protocol.events import Log, Progress


def test_steps_are_counted_and_reported(log):
    async def work():
        name = await ws_manager.create_operation("import")
        tracker = ProgressTracker(name, 4)
        assert (tracker.current_step, tracker.total_steps) == (0, 4)
        await tracker.step("first", {"file": "a"})
        assert tracker.current_step == 1
        await tracker.complete({"files": 4})
        assert tracker.current_step == 4
        return name

    events = log.wait_for_end(run(work()))
    assert spoken(events) == ["started", "result", "completed"]
    assert result_of(events).result == {"files": 4}
    last = [event.data for event in events if isinstance(event, Progress)][-1]
    assert (last.progress, last.current, last.total, last.unit) == (1.0, 4, 4, "steps")


def test_a_step_is_what_is_seen_of_it(log):
    async def work():
        name = await ws_manager.create_operation("import")
        await ProgressTracker(name, 4).step("first", {"file": "a"})
        await ws_manager.emit_result(name, None)
        return name

    events = log.wait_for_end(run(work()))
    [step] = [event.data for event in events if isinstance(event, Progress)]
    assert (step.progress, step.message, step.details) == (0.25, "first", {"file": "a"})


def test_for_an_id_nobody_knows_it_only_counts(log):
    async def work():
        tracker = ProgressTracker("nobody", 2)
        await tracker.step("first")
        await tracker.step("second")
        assert tracker.current_step == 2
        await tracker.complete("done")

    before = ws_manager.get_stats()["ignored_emits"]
    run(work())
    assert ws_manager.get_stats()["ignored_emits"] == before + 3
    assert log.batches() == []


def test_what_is_no_number_is_an_error_of_the_program():
    with pytest.raises(TypeError, match="total must be a number"):
        ProgressTracker("nobody", "three")  # type: ignore[arg-type]


def test_callbacks(log):
    async def work():
        name = await ws_manager.create_operation("import")
        progress, line = create_progress_callback(name), create_log_callback(name)
        assert inspect.iscoroutinefunction(progress)
        assert inspect.iscoroutinefunction(line)
        await progress(0.5, "half", {"n": 1})
        await progress(0.75, "more", details={"n": 2})
        await line("warning", "careful")
        await ws_manager.emit_result(name, None)
        return name

    events = log.wait_for_end(run(work()))
    last = [event.data for event in events if isinstance(event, Progress)][-1]
    assert (last.progress, last.message, last.details) == (0.75, "more", {"n": 2})
    [said] = [event.data for event in events if isinstance(event, Log)]
    assert (said.level, said.message) == ("warning", "careful")
    assert end_of(events).status == "completed"


def test_callbacks_for_nobody(log):
    run(create_progress_callback("nobody")(0.5, "x"))
    run(create_log_callback("nobody")("info", "x"))
    assert log.batches() == []
