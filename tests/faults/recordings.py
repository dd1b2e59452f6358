"""Three accounts of what happened, from three sources that know nothing of each other.

What the tasks wrote down before they said it (:class:`Told`), what the log accepted
(:class:`Log`), and what each client was shown (:class:`Transcript`). All of them are reduced to
:class:`Said`, one event as far as the laws speak of it. Nothing of the product is used here:
batches and frames are read as the JSON they are.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

ENDS: Final = frozenset({"completed", "error"})
ALIVE: Final = "alive"
"""Not an event: a sign of life of a run, which stands in the log as well."""
RESUMED: Final = "r"
"""Behind the id of an event, or of a sign: what was delivered for it, and stands before it."""


class Said(NamedTuple):
    """One event."""

    event_id: str
    operation_id: str
    run: str
    kind: str
    text: str = ""
    """What tells it from others of its kind: the status word, the line, the result, the error's
    type."""
    publication: str = ""
    inferred: bool = False
    after: str = ""
    """The run of which this is a retry."""
    at: float = 0.0
    """When it happened, by its writer's clock."""

    @property
    def is_end(self) -> bool:
        return self.kind in ENDS


class Told(NamedTuple):
    """What a task wrote down before it said it."""

    process: str
    """``<pid>.<a word of its own>``."""
    operation_id: str
    kind: str
    """``start``, ``log``, ``retrying``, ``error`` or ``result``."""
    text: str


class Subscribed(NamedTuple):
    """Stands in a transcript where the sidecar confirmed a subscription."""

    at: float
    """Seconds of the monotonic clock."""


class Resynced(NamedTuple):
    """Stands in a transcript where a snapshot told how the operation stands."""

    event_id: str
    """Of the newest event that is in it."""
    run: str
    ended: bool
    missed: int | None
    """How many events it says that the client was not shown and will not be; None: it does not
    know."""


Entry: TypeAlias = Said | Subscribed | Resynced


def resynced(frame: dict[str, Any]) -> Resynced:
    """Reduce a snapshot, as it stands in a frame."""
    operation = frame["operation"]
    ended = operation["state"] in {"completed", "error", "cancelled"}
    return Resynced(operation["last_event_id"], operation["run"], ended, frame["missed"])


def said(event: dict[str, Any], event_id: str) -> Said:
    """Reduce an event, as it stands in a batch or in a frame."""
    kind, data = event["event_type"], event["data"]
    names = {"status": "status", "log": "message", "progress": "message", "error": "error_type"}
    if kind == "result":
        text = json.dumps(data["result"])
    else:
        text = str(data[names[kind]]) if kind in names else ""
    return Said(
        event_id,
        event["operation_id"],
        event.get("run", ""),
        kind,
        text,
        event.get("publication", ""),
        bool(event.get("inferred", False)),
        event.get("after", ""),
        event["timestamp"],
    )


def place(event_id: str) -> tuple[str, tuple[float, ...]]:
    """The epoch, and numbers that compare within it."""
    epoch, _, rest = event_id.partition(".")
    position, _, index = rest.rpartition(".")
    number = float(index.removesuffix(RESUMED)) - 0.5 * index.endswith(RESUMED)
    return epoch, (*map(int, position.split("-")), number)


@dataclass
class Log:
    """What the log accepted, in its order, each batch once."""

    events: dict[str, list[Said]] = field(default_factory=lambda: defaultdict(list))
    """By operation; signs of life among them."""
    epochs: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """``batches``, ``events``, ``repeats`` (written twice) and ``gaps`` (never seen)."""
    last: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """By epoch: how far it was read."""
    lines: set[str] = field(default_factory=set)
    """Every log line and every result in it, whoever's it is."""
    _writers: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    def take(self, epoch: str, position: str, body: bytes) -> None:
        """Take the next batch."""
        batch = json.loads(body)
        if not self.epochs or self.epochs[-1] != epoch:
            self.epochs.append(epoch)
        self.last[epoch] = place(f"{epoch}.{position}.0")[1][:-1]
        before = self._writers[batch["writer"]]
        if batch["n"] in before:
            self.counts["repeats"] += 1
            return
        self.counts["gaps"] += bool(before) and batch["n"] > max(before) + 1
        before.add(batch["n"])
        self.counts["batches"] += 1
        for index, event in enumerate(batch["events"]):
            self._add(said(event, f"{epoch}.{position}.{index}"))
        signs = batch.get("alive", ())
        for index, (operation_id, run) in enumerate(signs, len(batch["events"])):
            event_id = f"{epoch}.{position}.{index}"
            self.events[operation_id].append(Said(event_id, operation_id, run, ALIVE))

    def order(self, event_id: str) -> tuple[int, tuple[float, ...]]:
        """What compares as the events do by their place in it; those of no log it read first."""
        epoch, numbers = place(event_id)
        return (self.epochs.index(epoch) if epoch in self.epochs else -1, numbers)

    def _add(self, event: Said) -> None:
        self.counts["events"] += 1
        self.events[event.operation_id].append(event)
        if event.kind in {"log", "result"}:
            self.lines.add(event.text.strip('"'))


@dataclass
class Transcript:
    """What one client was shown, by operation, with the places where it subscribed."""

    name: str
    entries: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    counts: Counter[str] = field(default_factory=Counter)
    """``connections``, ``frames``, ``snapshots``, ``unrecovered`` (replies that said ``recovered:
    false``) and ``code 1006`` and the like."""
    refused: list[str] = field(default_factory=list)
    """What the sidecar should not have said: errors, and codes that mean for ever."""

    def frames(self, operation_id: str) -> list[Said]:
        """What it was shown of an operation."""
        entries = self.entries.get(operation_id, ())
        return [entry for entry in list(entries) if isinstance(entry, Said)]


def read_records(folder: Path) -> list[Told]:
    """Everything that the tasks wrote down."""
    return [
        Told(file.name, *json.loads(line))
        for file in sorted(folder.iterdir())
        for line in file.read_text().splitlines()
    ]
