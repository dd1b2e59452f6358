"""Sample events of a task from its start to its end, encoded as workers encode them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.protocol.batches import encode_event
from celery_wsprogress.protocol.events import (
    Completed,
    CompletedData,
    Log,
    LogData,
    Progress,
    ProgressData,
    Result,
    ResultData,
    Status,
    StatusData,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

AT: Final = 1_735_734_005.456
RUN: Final = "b41c90de"
TOTAL: Final = 1_000


def operation_id(number: int | str) -> str:
    """An id as Celery makes them. ``%d`` makes the pattern of the ids, for ``load.c``."""
    return f"550e8400-e29b-41d4-a716-{number}"


WATCH_EVERYTHING: Final = {"command": "subscribe", "operation_id": "*", "replay": "none"}


def watch(number: int | str) -> dict[str, str]:
    """The command that subscribes to an operation: only what comes from then on."""
    return {"command": "subscribe", "operation_id": operation_id(number), "replay": "none"}


def started(number: int, *, at: float = AT) -> bytes:
    """The beginning of an operation."""
    data = StatusData(
        status="started",
        message="",
        details={},
        operation_type="shop.tasks.rebuild_index",
        metadata={},
        attempt=1,
        worker="celery@host",
    )
    return encode_event(Status(operation_id=operation_id(number), timestamp=at, run=RUN, data=data))


def completed(number: int, *, at: float = AT) -> bytes:
    """The end of an operation."""
    data = CompletedData(status="completed", duration=1.5)
    return encode_event(
        Completed(operation_id=operation_id(number), timestamp=at, run=RUN, data=data)
    )


def progress(number: int, step: int) -> bytes:
    """Return a progress event: 230 bytes, besides the event id that clients get."""
    current = step % TOTAL
    data = ProgressData(
        progress=current / TOTAL,
        message=f"Row {current} of {TOTAL}",
        details={},
        current=current,
        total=TOTAL,
        rate=98.7,
        eta=(TOTAL - current) / 98.7,
    )
    return encode_event(
        Progress(operation_id=operation_id(number), timestamp=AT + step, run=RUN, data=data)
    )


def log(number: int | str, text: str, *, at: float = AT) -> bytes:
    """A line it writes. Lines are lossless: each reaches each watcher."""
    data = LogData(level="info", message=text)
    return encode_event(Log(operation_id=operation_id(number), timestamp=at, run=RUN, data=data))


def short_life(number: int) -> Iterator[bytes]:
    """All that a small operation says: four events of little more than 150 bytes."""
    named: dict[str, Any] = {"operation_id": operation_id(number), "timestamp": AT, "run": RUN}
    begun = StatusData(status="started", message="", details={}, operation_type="t", metadata={})
    yield encode_event(Status(data=begun, **named))
    yield log(number, "line")
    yield encode_event(Result(data=ResultData(result=number), **named))
    yield encode_event(Completed(data=CompletedData(status="completed", duration=1.5), **named))


END: Final = log("end", "That was all")
"""Whoever gets it has everything that was written before."""

WATCH_END: Final = watch("end")
