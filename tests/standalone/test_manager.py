from __future__ import annotations

import asyncio
import os
import uuid

import pytest
from support.asyncio_runner import run
from support.conditions import eventually
from support.event_log import end_of, result_of, spoken

from celery_wsprogress import (
    operation,
    start_websocket_background,
    stop_websocket_background,
    ws_manager,
)
from celery_wsprogress.protocol.events import Log, Progress, Status


def ignored():
    return ws_manager.get_stats()["ignored_emits"]


async def whole():
    name = await ws_manager.create_operation("generate", {"model": "m"})
    await ws_manager.emit_progress(name, 0.5, "Half", {"step": 1})
    await ws_manager.emit_status(name, "thinking", "hard", {"about": "it"})
    await ws_manager.emit_log(name, "warning", "careful")
    await ws_manager.emit_result(name, {"text": "x"})
    return name


def test_an_operation_by_its_id(log):
    name = run(whole())
    assert uuid.UUID(name).version == 4
    events = log.wait_for_end(name)
    assert spoken(events) == ["started", "thinking", "log", "result", "completed"]
    assert events[0].data.operation_type == "generate"
    assert events[0].data.metadata == {"model": "m"}
    [progress] = [event.data for event in events if isinstance(event, Progress)]
    assert (progress.progress, progress.message, progress.details) == (0.5, "Half", {"step": 1})
    [thinking] = [e.data for e in events if isinstance(e, Status) and e.data.status == "thinking"]
    assert (thinking.message, thinking.details) == ("hard", {"about": "it"})
    [line] = [event.data for event in events if isinstance(event, Log)]
    assert (line.level, line.message) == ("warning", "careful")
    assert result_of(events).result == {"text": "x"}
    assert end_of(events).duration >= 0


@pytest.mark.parametrize(
    ("error", "error_type", "said"),
    [
        ("no more disk", None, ("no more disk", "UnknownError", "error")),
        ("no more disk", "DiskFull", ("no more disk", "DiskFull", "error")),
        (ValueError("odd"), None, ("odd", "ValueError", "error")),
        (ValueError("odd"), "Odd", ("odd", "Odd", "error")),
        (ValueError(), None, ("ValueError", "ValueError", "error")),
        ("", None, ("UnknownError", "UnknownError", "error")),
        (asyncio.CancelledError(), None, ("it was cancelled", "CancelledError", "cancelled")),
    ],
)
def test_an_error_is_a_text_or_an_exception(log, error, error_type, said):
    async def work():
        name = await ws_manager.create_operation("generate")
        await ws_manager.emit_error(name, error, error_type)
        return name

    name = run(work())
    end = end_of(log.wait_for_end(name))
    assert (end.error, end.error_type, end.status) == said


async def say_everything(name):
    await ws_manager.emit_progress(name, 0.5, "x")
    await ws_manager.emit_status(name, "x", "x")
    await ws_manager.emit_log(name, "info", "x")
    await ws_manager.emit_result(name, 1)
    await ws_manager.emit_error(name, "x")


@pytest.mark.parametrize("name", ["nobody", "", None, 7, "x" * 5000])
def test_what_is_said_for_an_id_nobody_knows_is_counted(log, name):
    before = ignored()
    run(say_everything(name))
    assert ignored() == before + 5


def test_what_is_said_after_the_end_is_counted(log):
    name = run(whole())
    before = ignored()
    run(say_everything(name))
    assert ignored() == before + 5
    # Behind everything that might have been said for the first one.
    log.wait_for_end(run(whole()))
    assert len(log.ends(name)) == 1
    assert spoken(log.events(name))[-1] == "completed"


def test_an_operation_that_is_over_is_not_held(log):
    before = ws_manager.get_stats()["own_operations"]
    name = run(ws_manager.create_operation("x"))
    assert ws_manager.get_stats()["own_operations"] == before + 1
    run(ws_manager.emit_result(name, 1))
    assert ws_manager.get_stats()["own_operations"] == before


def test_a_child_knows_none_of_its_parents_ids(log):
    name = run(ws_manager.create_operation("x"))
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            run(ws_manager.emit_result(name, 1))
            os.write(write, repr(ws_manager.get_stats()["ignored_emits"]).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        assert pipe.read() == b"1"
    os.waitpid(pid, 0)
    run(ws_manager.emit_result(name, "the parent's"))
    assert result_of(log.wait_for_end(name)).result == "the parent's"


def test_without_a_server_there_are_answers_about_the_process_only(log):
    name = run(ws_manager.create_operation("x"))
    assert ws_manager.get_operation(name)["state"] == "running"
    assert ws_manager.get_operation("nobody") is None
    assert name in [one["operation_id"] for one in ws_manager.get_active_operations()]
    stats = ws_manager.get_stats()
    assert stats["active_operations"] == stats["connected_clients"] == 0
    assert stats["own_operations"] >= 1
    run(ws_manager.emit_result(name, 1))


def test_with_a_server_it_answers(log):
    assert start_websocket_background(port=0) is not None
    name = run(ws_manager.create_operation("generate", {"model": "m"}))
    found = eventually(lambda: ws_manager.get_operation(name))
    assert (found["operation_type"], found["status"]) == ("generate", "running")
    assert found["metadata"] == {"model": "m"}
    assert [one["operation_id"] for one in ws_manager.get_active_operations()] == [name]
    eventually(lambda: ws_manager.get_stats()["active_operations"] == 1)
    run(ws_manager.emit_result(name, 1))
    eventually(lambda: ws_manager.get_operation(name)["state"] == "completed")
    assert ws_manager.get_active_operations() == []
    assert ws_manager.get_operation("nobody") is None


def test_answers_also_where_a_loop_runs(log):
    start_websocket_background(port=0)

    async def ask():
        name = await ws_manager.create_operation("x")
        while not ws_manager.get_operation(name):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await ws_manager.emit_result(name, 1)

    run(asyncio.wait_for(ask(), 30))


def shape(snapshot):
    return {name: type(value) for name, value in snapshot.items()}


def test_what_is_said_here_is_read_here_at_once():
    async def work():
        name = await ws_manager.create_operation("generate", {"model": "m"})
        seen = [ws_manager.get_operation(name)]
        await ws_manager.emit_progress(name, 0.5, "Half", {"step": 1})
        seen.append(ws_manager.get_operation(name))
        await ws_manager.emit_status(name, "thinking", "hard", {"about": "it"})
        seen.append(ws_manager.get_operation(name))
        await ws_manager.emit_log(name, "info", "a line")
        assert name in [one["operation_id"] for one in ws_manager.get_active_operations()]
        await ws_manager.emit_result(name, {"large": "x" * 1000})
        return [*seen, ws_manager.get_operation(name)]

    begun, half, thinking, over = run(work())
    assert (begun["state"], begun["status"], begun["progress"]) == ("running", "running", 0.0)
    assert (begun["operation_type"], begun["metadata"]) == ("generate", {"model": "m"})
    assert begun["started_at"] > 0
    assert (half["progress"], half["message"], half["details"]) == (0.5, "Half", {"step": 1})
    assert (thinking["status"], thinking["message"]) == ("thinking", "hard")
    assert thinking["progress"] == 0.5
    assert (over["state"], over["status"], over["progress"]) == ("completed", "completed", 1.0)
    assert over["duration"] >= 0
    assert [one["event_count"] for one in (begun, half, thinking, over)] == [1, 2, 3, 6]
    active = [one["operation_id"] for one in ws_manager.get_active_operations()]
    assert over["operation_id"] not in active


@pytest.mark.parametrize("end", ["error", "cancelled"])
def test_how_one_failed_is_read_here_at_once(end):
    error = ValueError("odd") if end == "error" else asyncio.CancelledError()
    op = operation("scoped", metadata={"a": 1}, tags=["t"])
    op.__enter__()
    op.update_progress(current=3, total=10, unit="rows")
    op.set_metadata(b=2)
    seen = ws_manager.get_operation(op.operation_id)
    op.__exit__(type(error), error, None)
    assert (seen["current"], seen["total"], seen["unit"], seen["tags"]) == (3, 10, "rows", ["t"])
    assert seen["metadata"] == {"a": 1, "b": 2}
    over = ws_manager.get_operation(op.operation_id)
    assert (over["state"], over["error_type"]) == (end, type(error).__name__)
    assert over["progress"] == 0.3


def test_one_that_runs_again_under_its_id_is_read_as_it_is_now():
    for number in range(2):
        with operation("nightly", operation_id="nightly-read") as op:
            op.update_progress(0.1 * (number + 1))
            seen = ws_manager.get_operation("nightly-read")
            assert (seen["state"], seen["progress"]) == ("running", 0.1 * (number + 1))
        assert ws_manager.get_operation("nightly-read")["state"] == "completed"


def test_a_snapshot_of_the_process_has_the_shape_of_a_servers(log):
    server = start_websocket_background(host="localhost", port=0)
    try:
        name = run(whole())
        own = ws_manager.get_operation(name)
        heard = eventually(
            lambda: (seen := ws_manager.get_operation(name)) and seen["last_event_id"] and seen
        )
        assert shape(heard) == shape(own)
        assert heard["state"] == own["state"] == "completed"
        assert heard["event_count"] >= own["event_count"]
    finally:
        stop_websocket_background()
    assert server is not None
