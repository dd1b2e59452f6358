"""Batches: the bytes on the log.

A batch is one JSON object::

    {"v": 1, "writer": "9f3c2a1b", "n": 17, "events": [...],
     "alive": [["<id>", "<run>"], ...], "at": 1735734005.456, "every": 30.0, "sent": 1735734005.460}

``writer`` names the process that wrote it, and ``n`` counts its batches from 1, so a reader can
tell a repeat (the writer sent it again after a lost reply) from a gap. ``alive`` is a heartbeat: it
names runs that were active at the time ``at``, whether or not they report anything. ``every`` is
the number of seconds between two heartbeats of this writer; it is left out where that is
:data:`DEFAULT_HEARTBEAT_INTERVAL`. ``sent`` is when the writer wrote the batch, by the same clock
as all times in it. A reader ignores fields that it does not know, and refuses a version that it
does not know as a whole.

JSON is strict in both directions: there is no NaN, and no field has another type than the protocol
says. One bad event does not cost its neighbours.

Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta, Raw, Struct

from celery_wsprogress.errors import BatchVersionUnknown, MalformedBatch
from celery_wsprogress.protocol.events import Event, OperationId, ShortText, Timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

VERSION: Final = 1
"""Of the batch format and of the protocol."""

MAX_DEPTH: Final = 400
"""Lists and objects within each other in one event. A deeper one could be read here and then,
a few calls deeper in the stack, not be written any more."""

DEFAULT_HEARTBEAT_INTERVAL: Final = 10.0
"""Seconds between two heartbeats of a writer that states nothing."""

RunKey: TypeAlias = tuple[OperationId, ShortText]
"""An operation's id, and which run of it."""


Interval: TypeAlias = Annotated[float, Meta(gt=0.0, le=3_600.0)]


class Batch(NamedTuple):
    """The events that one writer wrote at a time, and the runs that it knows to be alive."""

    writer: str
    counter: int
    events: Sequence[Event]
    malformed: int = 0
    """Events in it that were no events of the protocol; they are left out of ``events``."""
    alive: Sequence[RunKey] = ()
    """Runs whose process says that they go on."""
    at: float = 0.0
    """When it said so, epoch seconds."""
    every: float = DEFAULT_HEARTBEAT_INTERVAL
    """Seconds between two signs of these runs."""
    sent: float = 0.0
    """When it was written, by the writer's clock; 0 where that is not said."""


class _Batch(Struct):
    v: int
    writer: str
    n: int
    events: list[Event]
    alive: tuple[RunKey, ...] = ()
    at: Timestamp = 0.0
    every: Interval = DEFAULT_HEARTBEAT_INTERVAL
    sent: Timestamp = 0.0


class _Version(Struct):
    v: int


class _RawBatch(Struct):
    writer: str
    n: int
    events: list[Raw]
    alive: Raw = Raw(b"[]")
    at: Raw = Raw(b"0")
    every: Raw = Raw(b"10")
    sent: Raw = Raw(b"0")


_encode: Final = msgspec.json.Encoder().encode
_decode_batch: Final = msgspec.json.Decoder(_Batch).decode
_decode_version: Final = msgspec.json.Decoder(_Version).decode
_decode_loose: Final = msgspec.json.Decoder(_RawBatch).decode
_decode_event: Final = msgspec.json.Decoder(Event).decode
_decode_alive: Final = msgspec.json.Decoder(tuple[RunKey, ...]).decode
_decode_every: Final = msgspec.json.Decoder(Interval).decode
_decode_at: Final = msgspec.json.Decoder(Timestamp).decode
_decode_any: Final = msgspec.json.Decoder().decode

_HEAD: Final = re.compile(rb'\{"v":\d+,"writer":"([\w-]{1,64})","n":(\d{1,18}),', re.ASCII)

_UNREADABLE: Final = (msgspec.DecodeError, UnicodeError, RecursionError)


def encode_event(event: Event) -> bytes:
    """The event as JSON, as it stands in a batch."""
    return _encode(event)


def decode_event(text: bytes) -> Event | None:
    """Read an event as it stands in a batch; None where it is none."""
    return _read_event(Raw(text))


def join_batch(
    writer: str,
    counter: int,
    events: Sequence[bytes],
    alive: Sequence[RunKey] = (),
    at: float = 0.0,
    *,
    every: float = DEFAULT_HEARTBEAT_INTERVAL,
    sent: float = 0.0,
) -> bytes:
    """Make a batch of events that are already encoded, and of runs that go on at a time."""
    head = b'{"v":%d,"writer":"%s","n":%d,"events":[' % (VERSION, writer.encode(), counter)
    tail = b'],"alive":%b,"at":%b' % (_encode(alive), _encode(at)) if alive else b"]"
    stated = b"" if every == DEFAULT_HEARTBEAT_INTERVAL else b',"every":%b' % _encode(every)
    clock = b',"sent":%b' % _encode(round(sent, 3)) if sent else b""
    return b"".join((head, b",".join(events), tail, stated, clock, b"}"))


def head_of(body: bytes) -> tuple[str, int] | None:
    """Which writer's batch this is, and which of them, where :func:`join_batch` made it."""
    found = _HEAD.match(body)
    return None if found is None else (found[1].decode(), int(found[2]))


def decode_batch(body: bytes) -> Batch:
    """Read a batch.

    Raises:
        MalformedBatch: the bytes are no batch.
        BatchVersionUnknown: they are one of another version.
    """
    try:
        batch = _decode_batch(body)
    except _UNREADABLE:
        return _decode_leniently(body)
    if batch.v != VERSION:
        raise BatchVersionUnknown(batch.v)
    # Each event opens two objects at least. If one were too deep, it alone would open so many.
    if _count_openings(body) - 2 * len(batch.events) > MAX_DEPTH:
        return _decode_leniently(body)
    return Batch(
        batch.writer, batch.n, batch.events, 0, batch.alive, batch.at, batch.every, batch.sent
    )


def _decode_leniently(body: bytes) -> Batch:
    """The slow way, which keeps the good events of a batch that holds a bad one."""
    try:
        version = _decode_version(body).v
        if version != VERSION:
            raise BatchVersionUnknown(version)
        batch = _decode_loose(body)
    except _UNREADABLE as exc:
        raise MalformedBatch(str(exc)) from None
    read = map(_read_event, batch.events)
    events = [event for event in read if event is not None]
    try:
        alive, at = _decode_alive(batch.alive), _decode_at(batch.at)
    except _UNREADABLE:
        alive, at = (), 0.0
    return Batch(
        batch.writer,
        batch.n,
        events,
        len(batch.events) - len(events),
        alive,
        at,
        _read_or(DEFAULT_HEARTBEAT_INTERVAL, _decode_every, batch.every),
        _read_or(0.0, _decode_at, batch.sent),
    )


def _read_or(otherwise: float, decode: Callable[[Raw], float], raw: Raw) -> float:
    try:
        return decode(raw)
    except _UNREADABLE:
        return otherwise


def _read_event(raw: Raw) -> Event | None:
    try:
        event = _decode_event(raw)
        return None if _is_too_deep(bytes(raw)) else event
    except _UNREADABLE:
        return None


def _count_openings(text: bytes) -> int:
    """How many lists and objects begin in it, at the most: brackets in texts count, too."""
    return len(text) - len(text.translate(None, b"[{"))


def _is_too_deep(event: bytes) -> bool:
    if _count_openings(event) <= MAX_DEPTH:
        return False
    level = [_decode_any(event)]
    for _ in range(MAX_DEPTH):
        level = [part for one in level for part in _parts(one)]
    return any(isinstance(one, (dict, list)) for one in level)


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
