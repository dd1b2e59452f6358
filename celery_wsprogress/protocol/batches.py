"""Batches: the bytes on the log.

A batch is one JSON object::

    {"v": 1, "writer": "9f3c2a1b", "n": 17, "events": [...],
     "alive": [["<id>", "<run>"], ...], "at": 1735734005.456, "every": 30.0, "sent": 1735734005.460}

``writer`` names the process that wrote it. ``n`` counts its batches from 1, so a reader can tell a
repeat (the writer sent it again after a lost reply) from a gap. ``alive`` is a heartbeat: it names
the runs that were active at the time ``at``. ``every`` is the number of seconds between two
heartbeats of this writer; it is left out if it is :data:`DEFAULT_HEARTBEAT_INTERVAL`. ``sent`` is
the time of writing. All times are epoch seconds by the writer's clock. A reader ignores unknown
fields, and refuses a batch of an unknown version.

JSON is strict in both directions: no NaN, and no type but that of the protocol. An event that is
malformed is dropped; the others of its batch are kept.

Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta, Raw, Struct

from celery_wsprogress.errors import BatchVersionUnknown, MalformedBatch
from celery_wsprogress.protocol.events import LogEvent, OperationId, ShortText, Timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

VERSION: Final = 1
"""The version of the batch format and of the protocol."""

MAX_DEPTH: Final = 400
"""Maximum nesting of lists and objects in an event. What can be decoded at a greater depth could
not be encoded a few calls deeper in the stack."""

MAX_WRITER_ID_LENGTH: Final = 255
"""Maximum number of characters of ``writer``: a sidecar remembers 10,000 of them."""

DEFAULT_HEARTBEAT_INTERVAL: Final = 10.0
"""Seconds between two heartbeats of a writer that sends no ``every``."""

RunKey: TypeAlias = tuple[OperationId, ShortText]
"""The ids of an operation and of one of its runs."""


WriterId: TypeAlias = Annotated[str, Meta(max_length=MAX_WRITER_ID_LENGTH)]
Interval: TypeAlias = Annotated[float, Meta(gt=0.0, le=3_600.0)]


class Batch(NamedTuple):
    """A decoded batch; see the module for its fields."""

    writer: str
    counter: int
    events: Sequence[LogEvent]
    malformed: int = 0
    """Number of malformed events, which are not in :attr:`events`."""
    alive: Sequence[RunKey] = ()
    at: float = 0.0
    every: float = DEFAULT_HEARTBEAT_INTERVAL
    sent: float = 0.0
    """0 if the batch does not state it."""


class _Batch(Struct):
    v: int
    writer: WriterId
    n: int
    events: list[LogEvent]
    alive: tuple[RunKey, ...] = ()
    at: Timestamp = 0.0
    every: Interval = DEFAULT_HEARTBEAT_INTERVAL
    sent: Timestamp = 0.0


class _Version(Struct):
    v: int


class _RawBatch(Struct):
    writer: WriterId
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
_decode_event: Final = msgspec.json.Decoder(LogEvent).decode
_decode_alive: Final = msgspec.json.Decoder(tuple[RunKey, ...]).decode
_decode_every: Final = msgspec.json.Decoder(Interval).decode
_decode_at: Final = msgspec.json.Decoder(Timestamp).decode
_decode_any: Final = msgspec.json.Decoder().decode

_HEAD: Final = re.compile(rb'\{"v":\d+,"writer":"([\w-]{1,64})","n":(\d{1,18}),', re.ASCII)

_UNREADABLE: Final = (msgspec.DecodeError, UnicodeError, RecursionError)


def encode_event(event: LogEvent) -> bytes:
    """Encode an event as JSON for a batch."""
    return _encode(event)


def decode_event(text: bytes) -> LogEvent | None:
    """Decode an event of a batch; None if it is malformed."""
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
    """Encode a batch of encoded events; see the module for the other fields."""
    head = b'{"v":%d,"writer":"%s","n":%d,"events":[' % (VERSION, writer.encode(), counter)
    tail = b'],"alive":%b,"at":%b' % (_encode(alive), _encode(at)) if alive else b"]"
    stated = b"" if every == DEFAULT_HEARTBEAT_INTERVAL else b',"every":%b' % _encode(every)
    clock = b',"sent":%b' % _encode(round(sent, 3)) if sent else b""
    return b"".join((head, b",".join(events), tail, stated, clock, b"}"))


def head_of(body: bytes) -> tuple[str, int] | None:
    """Return the writer and the number of a batch; None if :func:`join_batch` did not make it."""
    found = _HEAD.match(body)
    return None if found is None else (found[1].decode(), int(found[2]))


def decode_batch(body: bytes) -> Batch:
    """Decode a batch.

    Raises:
        MalformedBatch: the bytes are no batch.
        BatchVersionUnknown: the batch has another version.
    """
    try:
        batch = _decode_batch(body)
    except _UNREADABLE:
        return _decode_leniently(body)
    if batch.v != VERSION:
        raise BatchVersionUnknown(batch.v)
    # Each event opens at least two objects. One that is too deep opens more than MAX_DEPTH.
    if _count_openings(body) - 2 * len(batch.events) > MAX_DEPTH:
        return _decode_leniently(body)
    return Batch(
        batch.writer, batch.n, batch.events, 0, batch.alive, batch.at, batch.every, batch.sent
    )


def _decode_leniently(body: bytes) -> Batch:
    """Decode event by event, which is slower, and drop the malformed ones."""
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


def _read_event(raw: Raw) -> LogEvent | None:
    try:
        event = _decode_event(raw)
        return None if _is_too_deep(bytes(raw)) else event
    except _UNREADABLE:
        return None


def _count_openings(text: bytes) -> int:
    """Return an upper bound for the number of lists and objects: brackets in texts count, too."""
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
