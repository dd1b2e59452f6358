"""The public API as a typed project uses it. Checked by mypy, and never run."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, assert_type

from celery import Celery

import celery_wsprogress
from celery_wsprogress import (
    WEBSOCKETS_AVAILABLE,
    ProgressTracker,
    StreamingMixin,
    StreamingTask,
    WebSocketEvent,
    capture_tqdm,
    copy_context,
    create_log_callback,
    create_progress_callback,
    create_token,
    get_websocket_status,
    install,
    is_websocket_running,
    log,
    log_handler,
    operation,
    start,
    start_websocket_background,
    steps,
    stop_websocket_background,
    stream,
    track,
    update_progress,
    update_status,
    ws_manager,
)
from celery_wsprogress.errors import ConfigurationError, WSProgressError

if TYPE_CHECKING:
    from collections.abc import Callable

app = Celery("typed")
install(app)

version: str = celery_wsprogress.__version__


def index(self: StreamingTask, folder: str) -> int:
    """A task's function, which is given its task."""
    assert_type(self.update_progress(0.5, "half"), None)
    self.update_progress(message="somewhere")
    self.update_progress(current=1, total=10, unit="files", details={"folder": folder})
    self.update_progress(Decimal("0.5"))
    assert_type(self.update_status("uploading", "to the mirror", {"mirror": 1}), None)
    assert_type(self.log("info", "a line", number=1), None)
    self.log(20, "a line")
    with self.capture_tqdm():
        self.update_state(state="PROGRESS", meta={"current": 1, "total": 10})
    with self.stream("answer") as out, stream("rows") as rows:
        assert_type(out.write("a piece"), None)
        rows.send({"n": 1})
    assert_type(self.set_metadata(owner="me", rooms=[1, 2]), None)
    return 1


def read(self: StreamingTask, rows: list[str]) -> None:
    """A task that tracks a loop, in a phase."""
    self.phases({"Read": 1, "Write": Decimal(3)})
    with self.phase("Read", weight=0.3):
        for row in self.track(rows, "Reading", unit="rows"):
            assert_type(row, str)
        for number in track(range(3), total=3):
            assert_type(number, int)


def count(self: StreamingTask, files: list[str]) -> None:
    """A task that counts its steps."""
    counting = self.steps(len(files))
    assert_type(counting.step("one", {"file": 1}), None)
    assert_type(counting.complete(), None)
    assert_type(counting.current_step, float | int)
    steps(3).step()


class Nightly(StreamingTask):
    """A task written as a class."""

    name = "typed.nightly"
    stream_result = False
    stream_errors = "type"
    stream_logs = "INFO"
    capture_stdout = True

    def run(self, *_: Any) -> None:
        """Do it."""
        self.update_progress(1.0)


def help_along() -> None:
    """Code that has no ``self``."""
    assert_type(update_progress(0.5, "half", details={"a": 1}), None)
    assert_type(update_status("uploading"), None)
    assert_type(log("warning", "slow", seconds=3), None)
    with capture_tqdm():
        assert_type(copy_context(load)(), str)
    log_handler().addFilter(lambda record: record.levelno > 10)


def load() -> str:
    """What is no task."""
    with operation("load", metadata={"a": 1}, tags=["t"]) as op:
        assert_type(op.operation_id, str)
        assert_type(op.update_progress(0.5, "half", details={"a": 1}), None)
        op.update_progress(current=1, total=2)
        op.update_status("busy", "very")
        op.log("info", "a line", n=1)
        op.set_metadata(rows=1)
        op.steps(3).complete({"n": 3})
        assert_type(op.result(7), None)
    return op.operation_id


class Generator(StreamingMixin):
    """An object with operations."""

    async def generate(self) -> str:
        """Do it."""
        async with self.stream_operation("generate", {"a": 1}) as operation_id:
            assert_type(operation_id, str)
            assert_type(await self.emit_progress(0.5, "half", {"a": 1}), None)
            await self.emit_status("busy", "very")
            await self.emit_log("info", "a line")
            await self.emit_result({"a": 1})
        async with operation("more"):
            pass
        return operation_id


async def work_with_ids() -> None:
    """What knows ids only."""
    name = await ws_manager.create_operation("import", {"a": 1})
    assert_type(name, str)
    await ws_manager.emit_progress(name, 0.5, "half", details={"a": 1})
    await ws_manager.emit_status(name, "busy", "very")
    await ws_manager.emit_log(name, "info", "a line")
    tracker = ProgressTracker(name, 3)
    await tracker.step("one", details={"a": 1})
    await create_progress_callback(name)(0.5, "half")
    await create_log_callback(name)("info", "a line")
    await tracker.complete({"a": 1})
    await ws_manager.emit_error(name, ValueError("no"))
    await ws_manager.emit_error(name, "no", "MyError")
    assert_type(ws_manager.get_operation(name), dict[str, Any] | None)
    assert_type(ws_manager.get_active_operations(), list[dict[str, Any]])
    assert_type(ws_manager.get_stats(), dict[str, int])


def serve() -> None:
    """The in-process server."""
    if assert_type(WEBSOCKETS_AVAILABLE, bool) and not is_websocket_running():
        server = start_websocket_background(host="127.0.0.1", port=0)
        if server is not None:
            assert_type(server.url, str)
    assert_type(get_websocket_status(), dict[str, Any])
    assert_type(stop_websocket_background(), None)


def grant(task_id: str) -> str:
    """The web application's side."""
    token = create_token([task_id], expires_in=60)
    assert_type(token, str)
    assert_type(create_token("*", 60, key="k" * 32), str)
    return token


async def begin() -> str | None:
    """A workflow that somebody watches."""
    started = start("typed.nightly", metadata={"a": 1}, tags=["b"], queue="slow")
    assert_type(started.id, str)
    assert_type(started.is_workflow, bool)
    async for event in started.watch():
        assert_type(event, WebSocketEvent)
    return started.token


make: Callable[..., str] = create_token

try:
    install(app)
except ConfigurationError as exc:
    assert_type(exc.setting, str)
    assert_type(exc.allowed, str)
except WSProgressError:
    pass

# What must not pass. An ignore that is not needed is an error, too.
create_token(7)  # type: ignore[arg-type]
create_token("op", "soon")  # type: ignore[arg-type]
celery_wsprogress.update_progres(0.5)  # type: ignore[attr-defined]
