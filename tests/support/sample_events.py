"""Events as tests need them, and hypothesis strategies for whole lives of an operation."""

from __future__ import annotations

from functools import partial

from hypothesis import strategies as st
from msgspec import structs

from celery_wsprogress.protocol.events import (
    Chunk,
    ChunkData,
    Completed,
    CompletedData,
    Error,
    ErrorData,
    Event,
    Log,
    LogData,
    Plan,
    Progress,
    ProgressData,
    Result,
    ResultData,
    Status,
    StatusData,
)
from celery_wsprogress.protocol.plans import PlanData, PlanNode
from celery_wsprogress.protocol.workflow_ids import workflow_operation_id

OPERATION = "op-1"


def status(word, *, run="r1", publication="p1", at=0.0, operation_id=OPERATION, **more):
    names = {"run": run, "publication": publication, "after": more.pop("after", "")}
    data = StatusData(status=word, **{"message": "", "details": {}} | more)
    return Status(operation_id=operation_id, timestamp=at, data=data, **names)


def queued(*, publication="p1", at=0.0, **more):
    return status("queued", run="", publication=publication, at=at, **more)


def scheduled(*, run="", publication="p1", at=0.0, starts_at=1e6, **more):
    """Of the caller, or of the worker that has it, where there is a run."""
    return status("scheduled", run=run, publication=publication, at=at, starts_at=starts_at, **more)


def stalled(*, run="r1", at=0.0, operation_id=OPERATION):
    """What a sidecar says of a run that is silent."""
    said = status("stalled", run=run, publication="", at=at, operation_id=operation_id)
    return structs.replace(said, inferred=True)


def lost(*, run="r1", at=0.0, operation_id=OPERATION, kind="WorkerLost"):
    """What a sidecar says of a run that was silent for too long."""
    data = ErrorData(error="no sign of its worker", error_type=kind)
    return Error(operation_id=operation_id, timestamp=at, run=run, data=data, inferred=True)


def given_back(*, run="r1", at=0.0):
    """What a sidecar says of a silent run whose message the broker delivers again."""
    return structs.replace(status("retrying", run=run, publication="", at=at), inferred=True)


def progress(fraction, *, run="r1", at=0.0, operation_id=OPERATION, **more):
    data = ProgressData(progress=fraction, **{"message": "", "details": {}} | more)
    return Progress(operation_id=operation_id, timestamp=at, run=run, data=data)


def log(message, *, run="r1", at=0.0, operation_id=OPERATION):
    data = LogData(level="info", message=message)
    return Log(operation_id=operation_id, timestamp=at, run=run, data=data)


def chunk(value, index=0, *, run="r1", at=0.0, operation_id=OPERATION, **more):
    data = ChunkData(**{"stream": "answer", "index": index, "chunk": value} | more)
    return Chunk(operation_id=operation_id, timestamp=at, run=run, data=data)


def result(value, *, run="r1", at=0.0, operation_id=OPERATION):
    return Result(operation_id=operation_id, timestamp=at, run=run, data=ResultData(result=value))


def completed(*, run="r1", at=0.0, operation_id=OPERATION, **more):
    data = CompletedData(status="completed", **more)
    return Completed(operation_id=operation_id, timestamp=at, run=run, data=data)


def error(text="broke", *, run="r1", at=0.0, operation_id=OPERATION, **more):
    data = ErrorData(error=text, error_type="ValueError", **more)
    return Error(operation_id=operation_id, timestamp=at, run=run, data=data)


def plan(*nodes, held="c", first=0, at=0.0, **more):
    """A part of a plan; by default of a chain of the tasks ``a``, ``b`` and ``c``."""
    nodes = nodes or (("chain", -1), *[("task", 0, one, f"tasks.{one}") for one in "abc"])
    if not first:
        tasks = sum(kind == "task" for kind, *_ in nodes)
        more = {"tasks": tasks, "operation_type": f"celery.{nodes[0][0]}"} | more
    data = PlanData(nodes=[PlanNode(*one) for one in nodes], first=first, **more)
    return Plan(operation_id=workflow_operation_id(held), timestamp=at, data=data)


def unstarted(*, run="r2", at=0.0):
    """What another task says that failed before this one, which was to follow it."""
    return structs.replace(error(run=run, at=at), after="r1")


@st.composite
def child_lives(draw, run, publication):
    """What the pool child of one run says, in its order."""
    work = draw(st.lists(st.sampled_from(["progress", "log", "chunk", "label"]), max_size=5))
    said: list[Event] = [
        status("started", run=run, publication=publication, at=10.0, metadata={}, attempt=1)
    ]
    for number, kind in enumerate(work):
        at = 11.0 + number
        if kind == "progress":
            said.append(progress(number / 10, run=run, at=at))
        elif kind == "log":
            said.append(log(f"{run}-{number}", run=run, at=at))
        elif kind == "chunk":
            said.append(chunk(f"{run}-{number}", number, run=run, at=at))
        else:
            said.append(status(f"step {number}", run=run, publication="", at=at))
    end = draw(
        st.sampled_from(["completed", "error", "cancelled", "retrying", "replaced", "killed"])
    )
    if end == "completed":
        said += [result(1, run=run, at=20.0), completed(run=run, at=20.0, duration=10.0)]
    elif end in {"retrying", "replaced"}:
        waits = {"starts_at": 50.0, "max_attempts": 4} if draw(st.booleans()) else {}
        said.append(status(end, run=run, publication="", at=20.0, **waits))
    elif end != "killed":
        said.append(error(run=run, at=20.0, status=end))
    return said


@st.composite
def logs(draw, *, max_runs=3):
    """A log of one operation: the events of its writers, each in its order, interleaved."""
    writers: list[list[Event]] = []
    for number in range(draw(st.integers(1, max_runs))):
        run, publication = f"r{number}", f"p{number}"
        waits = draw(st.sampled_from(["", "caller", "worker", "both"]))
        published = scheduled if waits in {"caller", "both"} else queued
        writers.append([published(publication=publication, at=1.0)])
        received = scheduled if waits in {"worker", "both"} else partial(status, "received")
        main = [received(run=run, publication=publication, at=2.0)]
        if draw(st.booleans()):
            main.append(error("lost", run=run, at=30.0))
        writers += [main, draw(child_lives(run, publication))]
    return draw(interleavings(writers))


@st.composite
def doubted_logs(draw):
    """As :func:`logs`, with what sidecars concluded of its runs, at any time after they began."""
    events = draw(logs())
    for _ in range(draw(st.integers(0, 4))):
        begun = [one for one in events if isinstance(one, Status) and one.data.status == "started"]
        first = draw(st.sampled_from(begun))
        place = draw(st.integers(events.index(first) + 1, len(events)))
        for said in draw(_conclusions(first.run)):
            events.insert(place, said)
            place = draw(st.integers(place + 1, len(events)))
    return events


def _conclusions(run):
    doubt, end, again = stalled(run=run), lost(run=run), given_back(run=run)
    return st.sampled_from([[doubt], [end], [again], [doubt, end], [doubt, again]])


@st.composite
def interleavings(draw, writers):
    """The events of several writers in one order that keeps each writer's own."""
    waiting = [list(one) for one in writers if one]
    mixed = []
    while waiting:
        chosen = draw(st.integers(0, len(waiting) - 1))
        mixed.append(waiting[chosen].pop(0))
        waiting = [one for one in waiting if one]
    return mixed


RECEIPTS = ("received", "scheduled")
"""What a worker says of a message that it has."""


def places_of(words, events):
    """Where each run says one of these for the first time."""
    said = enumerate(events)
    found = [(e.run, n) for n, e in said if isinstance(e, Status) and e.data.status in words]
    return dict(reversed(found))


def without_early_ends(events):
    """A worker's main process says the end of a run whose process is gone, so behind its start."""
    started = places_of(("started",), events)
    return [
        event
        for place, event in enumerate(events)
        if not isinstance(event, (Completed, Error))
        or event.inferred
        or place > started.get(event.run, -1)
    ]


def without_late_receipts(events):
    """Of a run that was read to be received, and not to start, nobody knows that it had started."""
    started = places_of(("started",), events)
    return [
        event
        for place, event in enumerate(events)
        if not isinstance(event, Status)
        or event.data.status not in RECEIPTS
        or not event.run
        or place < started.get(event.run, len(events))
    ]
