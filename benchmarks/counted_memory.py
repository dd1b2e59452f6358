"""How near the figure `history_bytes` is to the memory that operations really take.

Operations of several kinds are put into the hub of a sidecar as they are read from the log, until
a limit is reached. Counted is `history_bytes`. Taken is what Python has allocated
for them (`tracemalloc`) and, in a second process without that, by how much the process has grown
(RSS). Run it with

    python -m benchmarks.counted_memory
"""

from __future__ import annotations

import gc
import multiprocessing
import tracemalloc
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import psutil

from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.hub.store import Limits, OperationStore
from celery_wsprogress.protocol.batches import decode_batch, encode_event, join_batch
from celery_wsprogress.protocol.events import (
    Completed,
    CompletedData,
    Error,
    ErrorData,
    Event,
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
    from collections.abc import Callable, Iterable

LIMIT: Final = 64_000_000
"""Bytes that are counted when it is measured."""

BATCH_EVENTS: Final = 100


def _event(kind: Any, number: int, data: Any, run: str = "b41c90de") -> Event:
    event: Event = kind(
        operation_id=f"550e8400-e29b-41d4-a716-{number:012}",
        timestamp=1_735_734_005.456,
        run=run,
        data=data,
    )
    return event


def _status(number: int, word: str = "started", run: str = "b41c90de", **more: Any) -> Event:
    fields = {"operation_type": "shop.tasks.rebuild_index", "worker": "celery@host", **more}
    data = StatusData(status=word, message="", details={}, **fields)
    return _event(Status, number, data, run)


def _progress(number: int, **more: Any) -> Event:
    fields = {"details": {}, "message": "Row 7 of 1000", "current": 7, "total": 1_000, **more}
    return _event(Progress, number, ProgressData(progress=0.007, rate=98.7, eta=10.1, **fields))


def _log(number: int, text: str) -> Event:
    return _event(Log, number, LogData(level="info", message=text))


def _completed(number: int) -> Event:
    return _event(Completed, number, CompletedData(status="completed", duration=1.5))


def queued(number: int) -> Iterable[Event]:
    """A task that waits in its queue."""
    yield _status(number, "queued", run="", queue="celery")


def running(number: int) -> Iterable[Event]:
    """A start and a progress."""
    yield _status(number)
    yield _progress(number)


def finished(number: int) -> Iterable[Event]:
    """A start, a line, a result and an end."""
    yield _status(number)
    yield _log(number, "a line")
    yield _event(Result, number, ResultData(result={"rows": number}))
    yield _completed(number)


def many_lines(number: int) -> Iterable[Event]:
    """500 short lines."""
    yield _status(number)
    for line in range(500):
        yield _log(number, f"line {line}")


def long_lines(number: int) -> Iterable[Event]:
    """100 lines of 2,000 bytes."""
    yield _status(number)
    for line in range(100):
        yield _log(number, f"{line} " + 1_990 * "x")


def large_result(number: int) -> Iterable[Event]:
    """A result of 20,000 bytes."""
    yield _status(number)
    yield _event(Result, number, ResultData(result=20_000 * "x"))
    yield _completed(number)


def metadata(number: int) -> Iterable[Event]:
    """Metadata of 40 values."""
    found = {f"name {one}": f"value {one} of {number}" for one in range(40)}
    yield _status(number, metadata=found, tags=["nightly", f"customer {number}"])


def nested_details(number: int) -> Iterable[Event]:
    """Details of 400 small objects."""
    yield _status(number)
    yield _progress(number, details={"parts": [{"at": 0.1 * one} for one in range(400)]})


def new_names(number: int) -> Iterable[Event]:
    """Metadata under 100 ever new names."""
    for one in range(100):
        yield _status(number, metadata={f"name {one}": 500 * "x"})


def errors(number: int) -> Iterable[Event]:
    """An error of 2,000 bytes."""
    yield _status(number)
    yield _event(Error, number, ErrorData(error=2_000 * "x", error_type="ValueError"))


def retried(number: int) -> Iterable[Event]:
    """30 runs."""
    for one in range(30):
        yield _status(number, run=f"{one:08x}")
        yield _status(number, "retrying", run=f"{one:08x}")


KINDS: Final[tuple[Callable[[int], Iterable[Event]], ...]] = (
    queued, running, finished, many_lines, long_lines, large_result, metadata, nested_details,
    new_names, errors, retried,
)  # fmt: skip


def fill(hub: Hub, life: Callable[[int], Iterable[Event]], limit: int, most: int = 100_000) -> None:
    """Have a hub read operations, until their memory counts for ``limit`` bytes.

    Where that is also the limit of the hub it may evict operations and never count as many: name
    the ``most`` that it is to read.
    """
    numbers = count(1)
    for number in range(most):
        events = [encode_event(event) for event in life(number)]
        for first in range(0, len(events), BATCH_EVENTS):
            n = next(numbers)
            batch = join_batch("w", n, events[first : first + BATCH_EVENTS])
            hub.process_batch(decode_batch(batch), epoch="e", position=f"{n}-0", now=float(n))
        hub.take_deliveries()
        if hub.store.history_bytes >= limit:
            return


def _roomy_hub(limit: int) -> Hub:
    """Return a hub that evicts nothing before ``limit`` bytes are counted."""
    return Hub(OperationStore(Limits(max_finished=1_000_000, max_history_bytes=2 * limit)))


def traced(life: Callable[[int], Iterable[Event]], limit: int = LIMIT) -> tuple[int, int, int]:
    """Return the number of operations, the bytes that are counted, and those that Python has."""
    fill(Hub(), life, limit // 10)  # What is made once in a process is there afterwards.
    hub = _roomy_hub(limit)
    # Only what is made from here on is looked at by the collector, whatever else there is.
    gc.freeze()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    fill(hub, life, limit)
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    gc.unfreeze()
    return len(hub.store), hub.store.history_bytes, taken


def _grown(name: str) -> int:
    """Return the bytes by which this process grows."""
    life = globals()[name]
    fill(Hub(), life, 1_000_000)
    gc.collect()
    before = _rss()
    hub = _roomy_hub(LIMIT)
    fill(hub, life, LIMIT)
    gc.collect()
    return _rss() - before


def _rss() -> int:
    return int(psutil.Process().memory_info().rss)


def main() -> None:
    """Print a table: MB, and the ratios to what is counted."""
    print("| operations | number | counted, MB | allocated | RSS |\n|---|---:|---:|---:|---:|")
    context = multiprocessing.get_context("spawn")
    for life in KINDS:
        number, counted, taken = traced(life)
        with context.Pool(1) as pool:
            grown = pool.apply(_grown, (life.__name__,))
        told = (life.__doc__ or "").strip().rstrip(".").lower()
        ratios = f"{taken / counted:.2f} x | {grown / counted:.2f} x"
        print(f"| {told} | {number:,} | {counted / 1e6:.1f} | {ratios} |")


if __name__ == "__main__":
    main()
