"""Commands of clients: the text of one frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fuzz.values import (
    GLOBS,
    broken,
    dump,
    event_id,
    mapping,
    number,
    one_of,
    operation_id,
    sent,
    some,
    text,
    value,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

NAMES = [
    "subscribe", "subscribe", "subscribe", "unsubscribe", "get_operation", "get_history",
    "list_operations", "get_stats", "authenticate", "ping", "cancel",
]  # fmt: skip


def ids(rng: Random) -> Any:
    """A list of ids."""
    return [operation_id(rng) for _ in range(some(rng, [0, 1, 2, 3, 9, 200]))]


def since(rng: Random) -> Any:
    """What ``since`` may be: an event id, or a map of them."""
    if rng.random() < 0.7:
        return event_id(rng)
    return {str(operation_id(rng)): event_id(rng) for _ in range(rng.randrange(4))}


def glob(rng: Random) -> Any:
    """A pattern for names of tasks."""
    return some(rng, GLOBS) if rng.random() < 0.8 else text(rng)


FIELDS: dict[str, Callable[[Random], Any]] = {
    "since": since,
    "replay": lambda rng: some(rng, ["all", "last", "none"]),
    "resync": lambda rng: some(rng, [True, False, None]),
    "max_rate": lambda rng: some(rng, [1, 20.0, 0.01, number(rng)]),
    "state": lambda rng: some(rng, ["running", "completed", "queued", "lost"]),
    "operation_type": glob,
    "tag": lambda rng: some(rng, ["red", "blue", text(rng)]),
    "group_id": lambda rng: some(rng, ["g1", text(rng)]),
    "steps_of": operation_id,
    "root_id": operation_id,
    "limit": lambda rng: some(rng, [1, 2, 1000, 1001, number(rng)]),
    "cursor": lambda rng: some(rng, ["1", "5", "9" * 20, "9" * 21, "٣", text(rng)]),
    "token": text,
    "terminate": lambda rng: some(rng, [True, False, None, number(rng)]),
    "reason": lambda rng: text(rng) * some(rng, [1, 100]),
    "workflow_id": operation_id,
    "request_id": lambda rng: one_of(rng, text, number, value),
}


def command(rng: Random) -> str:
    """One command, as it comes out of its frame."""
    kind = rng.random()
    if kind < 0.03:
        return sent(text(rng) * some(rng, [1, 100]))
    if kind < 0.05:
        return some(rng, ["[", '{"a":', '{"command":[']) * some(rng, [10, 1_000, 30_000])
    if kind < 0.06:
        return sent(dump(rng, {"command": "ping", "padding": "x" * 300_000}))
    found: dict[str, Any] = {"command": some(rng, NAMES) if rng.random() < 0.95 else value(rng)}
    found |= mapping(rng, FIELDS, 0.1)
    found |= mapping(rng, {"operation_id": operation_id}, 0.9)
    found |= mapping(rng, {"operation_ids": ids}, 0.15)
    found |= mapping(rng, {"workflow_id": operation_id}, 0.1)
    written = dump(rng, found)
    return sent(broken(rng, written) if kind > 0.95 else written)
