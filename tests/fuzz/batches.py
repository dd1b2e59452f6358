"""Batches of the log, as a worker of another version, or a stranger with the broker's password,
may write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fuzz.values import CANARY, OPERATIONS, dump, mapping, number, some, text, value

if TYPE_CHECKING:
    from random import Random

WRITERS = ["w1", "w2", "w3", "", "w" * 300]
RUNS = ["r1", "r1", "r2", "r3", ""]
STATUSES = [
    "queued", "scheduled", "received", "started", "started", "retrying", "replaced", "stalled",
    "own word", "",
]  # fmt: skip


def identity(rng: Random) -> Any:
    """An operation's id."""
    kind = rng.random()
    if kind < 0.2:
        return f"job-{rng.randrange(1_000)}"
    return some(rng, OPERATIONS) if kind < 0.98 else text(rng)


def hidden_text(rng: Random) -> str:
    """A line of the log, or what an error says."""
    return f"{CANARY} {text(rng)}"


def details(rng: Random) -> Any:
    """An object that the task's author writes."""
    return {CANARY: value(rng, 1), "more": CANARY}


def time_of(rng: Random) -> Any:
    """Epoch seconds."""
    return rng.uniform(0, 2e9) if rng.random() < 0.9 else number(rng)


def fraction(rng: Random) -> Any:
    """A part of 1."""
    return rng.random() if rng.random() < 0.9 else number(rng)


STATUS = {
    "operation_type": lambda rng: some(rng, ["proj.add", "proj.index", "x" * 2_000]),
    "metadata": details,
    "tags": lambda rng: some(rng, [["red"], ["blue", "red"], ["blue"], []]),
    "attempt": lambda rng: some(rng, [1, 2, number(rng)]),
    "worker": lambda rng: "celery@host",
    "queue": lambda rng: "celery",
    "retry_in": number,
    "starts_at": time_of,
    "expires_at": time_of,
    "max_attempts": lambda rng: some(rng, [4, number(rng)]),
    "parent_id": identity,
    "root_id": identity,
    "group_id": lambda rng: some(rng, ["g1", "g1", "g2"]),
    "stream_result": lambda rng: False,
    "stream_errors": lambda rng: some(rng, ["type", "full"]),
    "acks_late": lambda rng: True,
}
PROGRESS = {
    "current": number,
    "total": number,
    "unit": lambda rng: "rows",
    "rate": number,
    "eta": number,
    "indeterminate": lambda rng: some(rng, [True, False]),
}
END = {
    "duration": number,
    "attempt": lambda rng: some(rng, [1, 2, number(rng)]),
}


def data_of(rng: Random, kind: str) -> dict[str, Any]:
    """The ``data`` of an event."""
    described = {"message": text(rng), "details": details(rng)}
    if kind == "status":
        found = {"status": some(rng, STATUSES)} | described | mapping(rng, STATUS, 0.4)
        # Why it is tried again.
        return found | ({"message": hidden_text(rng)} if found["status"] == "retrying" else {})
    if kind == "progress":
        return {"progress": fraction(rng)} | described | mapping(rng, PROGRESS, 0.3)
    if kind == "log":
        found = {"level": some(rng, ["info", "error"]), "message": hidden_text(rng)}
        return found | {"details": details(rng)} | mapping(rng, {"logger": hidden_text}, 0.3)
    if kind in {"chunk", "result"}:
        return said_data(rng, kind)
    if kind == "completed":
        ignored = {"ignored": lambda rng: True}
        return {"status": "completed"} | mapping(rng, {**END, **ignored}, 0.4)
    failure = {"error": hidden_text(rng), "error_type": "ValueError"}
    return failure | mapping(rng, {**END, "status": lambda rng: "cancelled"}, 0.4)


def said_data(rng: Random, kind: str) -> dict[str, Any]:
    """The ``data`` of a chunk or a result."""
    if kind == "result":
        return {"result": [CANARY, value(rng)]}
    found = {"stream": hidden_text(rng), "index": some(rng, [0, 1, number(rng)])}
    return found | {"chunk": [CANARY]} | mapping(rng, {"closed": lambda rng: True}, 0.3)


PLAN = {
    "first": lambda rng: some(rng, [0, 0, 1, 3, number(rng)]),
    "tasks": lambda rng: some(rng, [3, 5, 0, number(rng)]),
    "operation_type": lambda rng: some(rng, ["celery.chain", "celery.group"]),
    "parent_id": identity,
    "metadata": details,
    "tags": lambda rng: ["red"],
}


def node(rng: Random, index: int) -> Any:
    """A node of a plan."""
    kind = some(rng, ["task", "task", "chain", "group"]) if rng.random() < 0.99 else value(rng)
    parent = some(rng, [0, index - 1, -1]) if rng.random() < 0.95 else number(rng)
    name = some(rng, ["proj.add", "proj.index", "x" * 900])
    group_id = some(rng, ["g1", "g2"])
    weight = 1.0 if rng.random() < 0.95 else number(rng)
    return [kind, parent, group_id if kind == "group" else identity(rng), name, weight]


def plan_data(rng: Random) -> dict[str, Any]:
    """The ``data`` of a plan."""
    nodes = [node(rng, at) for at in range(some(rng, [1, 3, 6, 200]))]
    return {"nodes": nodes} | mapping(rng, PLAN, 0.5)


KINDS = [
    "status", "status", "progress", "progress", "log", "chunk", "result", "completed", "error",
    "plan",
]  # fmt: skip


def event(rng: Random) -> Any:
    """One event."""
    if rng.random() < 0.02:
        return value(rng)
    kind = some(rng, KINDS)
    found = {
        "event_type": kind,
        "operation_id": f"workflow:{identity(rng)}" if kind == "plan" else identity(rng),
        "timestamp": time_of(rng),
        "run": some(rng, RUNS),
        "data": plan_data(rng) if kind == "plan" else data_of(rng, kind),
    }
    more = {"after": lambda rng: some(rng, RUNS), "inferred": lambda rng: True, "event_id": text}
    found |= mapping(rng, {**more, "publication": lambda rng: "p1"}, 0.1)
    if rng.random() < 0.02:
        found["data"] = value(rng)
    if rng.random() < 0.03:
        del found[some(rng, [*found])]
    return found


def batch(rng: Random, counter: int) -> bytes:
    """One batch, of a writer that counts."""
    alive = [[identity(rng), some(rng, RUNS)] for _ in range(some(rng, [0, 0, 1, 3]))]
    found = {
        "v": 1 if rng.random() < 0.99 else number(rng),
        "writer": some(rng, WRITERS) if rng.random() < 0.2 else f"w{counter % 50}",
        "n": counter if rng.random() < 0.995 else number(rng),
        "events": [event(rng) for _ in range(some(rng, [0, 1, 1, 2, 5]))],
    }
    found |= {"alive": alive} | mapping(rng, {"at": time_of, "every": number, "sent": time_of}, 0.3)
    if rng.random() < 0.02:
        return b"[" * some(rng, [10, 1_000, 100_000])
    written = dump(rng, found).encode(errors="surrogatepass")
    return _flipped(rng, written) if rng.random() < 0.1 else written


def _flipped(rng: Random, written: bytes) -> bytes:
    found = bytearray(written)
    for _ in range(rng.randrange(1, 6)):
        found[rng.randrange(len(found))] = rng.randrange(256)
    return bytes(found)
