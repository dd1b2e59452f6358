"""Bytes and values: batches on the broker, commands and frames on the socket.

The batch, one JSON object::

    {"v": 1, "writer": "9f3c2a1b", "n": 17, "events": [...],
     "alive": [["<id>", "<run>"], ...], "at": 1735734005.456, "every": 30.0, "sent": 1735734005.460}

``writer`` names the process that wrote it and ``n`` counts its batches from 1, so a reader can
tell a repeat (the writer sent it again after a lost reply) from a gap. ``alive`` is left out or
names runs that go on ``at`` this time, whether or not they say anything: a sign of life. ``every``
is how many seconds lie between two signs of this writer's runs; it is left out where that is
:data:`SIGN_INTERVAL`. ``sent`` is when the writer wrote it, by the clock of all times in it. Fields
a reader does not know are ignored; a version it does not know is refused as a whole.

JSON is strict in both directions: there is no NaN, and no field holds another type than the
protocol says. One bad event does not cost its neighbours.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta, Raw, Struct, structs

from celery_wsprogress.errors import BatchVersionUnknown, CommandError, MalformedBatch
from celery_wsprogress.protocol.events import Event, OperationId, ResultData, Timestamp, Word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

VERSION: Final = 1
"""Of the batch format and of the protocol."""

MAX_FRAME_BYTES: Final = 1_000_000
"""No frame to a client is larger: a stock Python client closes at 1 MiB."""

MAX_COMMAND_BYTES: Final = 262_144
"""No larger command of a client is taken: a token for some 4,900 task ids is one."""

MAX_MESSAGE_BYTES: Final = 1_048_576
"""A larger frame of a client ends its connection; up to this, it is told that it is too large."""

MAX_DEPTH: Final = 400
"""Lists and objects within each other in one event. A deeper one could be read here and then,
a few calls deeper in the stack, not be written any more."""

SIGN_INTERVAL: Final = 10.0
"""Seconds between two signs of a writer that states nothing."""

_CUT_ABOVE: Final = 6_000
"""Bytes of JSON that a value may keep in what is too large as a whole."""


RunName: TypeAlias = tuple[OperationId, Word]
"""An operation's id, and which run of it."""


Interval: TypeAlias = Annotated[float, Meta(gt=0.0, le=3_600.0)]


class Batch(NamedTuple):
    """What one flush of one writer carries."""

    writer: str
    counter: int
    events: Sequence[Event]
    malformed: int = 0
    """Events in it that were no events of the protocol; they are left out of ``events``."""
    alive: Sequence[RunName] = ()
    """Runs whose process says that they go on."""
    at: float = 0.0
    """When it said so, epoch seconds."""
    every: float = SIGN_INTERVAL
    """Seconds between two signs of these runs."""
    sent: float = 0.0
    """When it was written, by the writer's clock; 0 where that is not said."""


class _Batch(Struct):
    v: int
    writer: str
    n: int
    events: list[Event]
    alive: tuple[RunName, ...] = ()
    at: Timestamp = 0.0
    every: Interval = SIGN_INTERVAL
    sent: Timestamp = 0.0


class _Version(Struct):
    v: int


class _LooseBatch(Struct):
    writer: str
    n: int
    events: list[Raw]
    alive: Raw = Raw(b"[]")
    at: Raw = Raw(b"0")
    every: Raw = Raw(b"10")
    sent: Raw = Raw(b"0")


_encode = msgspec.json.Encoder().encode
_decode_batch = msgspec.json.Decoder(_Batch).decode
_decode_version = msgspec.json.Decoder(_Version).decode
_decode_loose = msgspec.json.Decoder(_LooseBatch).decode
_decode_event = msgspec.json.Decoder(Event).decode
_decode_alive = msgspec.json.Decoder(tuple[RunName, ...]).decode
_decode_every = msgspec.json.Decoder(Interval).decode
_decode_at = msgspec.json.Decoder(Timestamp).decode
_decode_any = msgspec.json.Decoder().decode

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
    alive: Sequence[RunName] = (),
    at: float = 0.0,
    *,
    every: float = SIGN_INTERVAL,
    sent: float = 0.0,
) -> bytes:
    """Make a batch of events that are already encoded, and of runs that go on at a time."""
    head = b'{"v":%d,"writer":"%s","n":%d,"events":[' % (VERSION, writer.encode(), counter)
    tail = b'],"alive":%b,"at":%b' % (_encode(alive), _encode(at)) if alive else b"]"
    stated = b"" if every == SIGN_INTERVAL else b',"every":%b' % _encode(every)
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
        return _decode_bit_by_bit(body)
    if batch.v != VERSION:
        raise BatchVersionUnknown(batch.v)
    # Each event opens two objects at least. If one were too deep, it alone would open so many.
    if _opened(body) - 2 * len(batch.events) > MAX_DEPTH:
        return _decode_bit_by_bit(body)
    return Batch(
        batch.writer, batch.n, batch.events, 0, batch.alive, batch.at, batch.every, batch.sent
    )


def _decode_bit_by_bit(body: bytes) -> Batch:
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
        _read_or(SIGN_INTERVAL, _decode_every, batch.every),
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


def _opened(text: bytes) -> int:
    """How many lists and objects begin in it, at the most: brackets in texts count, too."""
    return len(text) - len(text.translate(None, b"[{"))


def _is_too_deep(event: bytes) -> bool:
    if _opened(event) <= MAX_DEPTH:
        return False
    level = [_decode_any(event)]
    for _ in range(MAX_DEPTH):
        level = [part for one in level for part in _parts(one)]
    return any(isinstance(one, (dict, list)) for one in level)


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def encode_frame(frame: dict[str, Any]) -> bytes:
    """Anything but an event to a client, as the text of one WebSocket message."""
    return _encode(frame)


def encode_reply(reply: dict[str, Any]) -> bytes:
    """The reply to a command, as the text of one WebSocket message.

    What a snapshot in it has too much is cut, with a mark, so that it is never above
    :data:`MAX_FRAME_BYTES`.
    """
    frame = _encode(reply)
    if len(frame) <= MAX_FRAME_BYTES or not reply.get("operation"):
        return frame
    return _encode({**reply, "operation": cut(reply["operation"], len(frame))})


def encode_snapshot_frame(operation: dict[str, Any], missed: int | None, now: float) -> bytes:
    """How an operation stands, for a client that missed something, as one WebSocket message.

    Args:
        operation: Its snapshot, cut as in a reply.
        missed: How many events the client was not sent and will not be; None: nobody knows.
        now: The time, epoch seconds.
    """
    frame = {
        "event_type": "snapshot",
        "operation_id": operation["operation_id"],
        "timestamp": now,
        "data": {},
        "operation": operation,
        "missed": missed,
    }
    return encode_reply(frame)


def encode_event_frame(event: Event, event_id: str) -> bytes:
    """An event to the clients, as the text of one WebSocket message.

    It is never above :data:`MAX_FRAME_BYTES`: what a foreign writer made larger than that is
    cut, with a mark.
    """
    event = structs.replace(event, event_id=event_id, after="", publication="", inferred=False)
    frame = _encode(event)
    if len(frame) <= MAX_FRAME_BYTES:
        return frame
    return _encode(structs.replace(event, data=_cut(event, len(frame))))


def _cut(event: Event, size: int) -> Any:
    """The event's data with everything that is large replaced by a mark."""
    data = event.data
    kept = {name: getattr(data, name) for name in data.__struct_fields__}
    data = structs.replace(data, **cut(kept, size))
    return structs.replace(data, truncated=True) if isinstance(data, ResultData) else data


def cut(fields: dict[str, Any], size: int) -> dict[str, Any]:
    """The fields of something that has ``size`` bytes, what is large in them marked as cut."""
    mark = f"… [cut: it had {size:,} bytes]"
    return {name: _cut_value(value, mark) for name, value in fields.items()}


def _cut_value(value: Any, mark: str) -> Any:
    if not isinstance(value, (str, dict, list)) or len(_encode(value)) <= _CUT_ABOVE:
        return value
    if isinstance(value, str):
        return value[: _CUT_ABOVE // 6] + mark
    return {"truncated": True} if isinstance(value, dict) else [mark]


class _Head(Struct, gc=False):
    """Of a command that is too large: what its reply says. The rest is not made into objects."""

    command: Any = None
    request_id: Any = None


_decode_head: Final = msgspec.json.Decoder(_Head).decode


def _read_head(text: str | bytes) -> dict[str, Any] | None:
    try:
        return structs.asdict(_decode_head(text))
    except msgspec.ValidationError:
        # It is no object.
        return None


def command_size(text: str | bytes) -> int:
    """The bytes of a command as it came."""
    return len(text.encode(errors="surrogatepass") if isinstance(text, str) else text)


def decode_command(text: str | bytes, *, too_large: bool = False) -> dict[str, Any]:
    """Read a client's command.

    Args:
        text: The command.
        too_large: Only its name and its number are wanted, for the reply.

    Raises:
        CommandError: with the protocol's words; ``Invalid JSON`` is fixed by it.
    """
    try:
        value = _read_head(text) if too_large else _decode_any(text)
    except _UNREADABLE:
        raise CommandError("invalid_json", "Invalid JSON") from None
    if not isinstance(value, dict):
        raise CommandError("invalid_command", "A command is a JSON object with a `command`")
    return value
