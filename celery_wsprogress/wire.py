"""Bytes and values: batches on the broker, commands and frames on the socket.

The batch, one JSON object::

    {"v": 1, "writer": "9f3c2a1b", "n": 17, "events": [...]}

``writer`` names the process that wrote it and ``n`` counts its batches from 1, so a reader can
tell a repeat (the writer sent it again after a lost reply) from a gap. Fields it does not know
are ignored; a version it does not know is refused as a whole.

JSON is strict in both directions: there is no NaN, and no field holds another type than the
protocol says. One bad event does not cost its neighbours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from msgspec import Raw, Struct, structs

from celery_wsprogress.errors import BatchVersionUnknown, CommandError, MalformedBatch
from celery_wsprogress.events import Event

if TYPE_CHECKING:
    from collections.abc import Sequence

VERSION: Final = 1
"""Of the batch format and of the protocol."""

MAX_FRAME_BYTES: Final = 1_000_000
"""No frame to a client is larger: a stock Python client closes at 1 MiB."""

MAX_COMMAND_BYTES: Final = 65_536
"""No frame from a client may be larger."""


class Batch(NamedTuple):
    """What one flush of one writer carries."""

    writer: str
    counter: int
    events: Sequence[Event]
    malformed: int = 0
    """Events in it that were no events of the protocol; they are left out of ``events``."""


class _Batch(Struct):
    v: int
    writer: str
    n: int
    events: list[Event]


class _LooseBatch(Struct):
    v: int
    writer: str
    n: int
    events: list[Raw]


_encode = msgspec.json.Encoder().encode
_decode_batch = msgspec.json.Decoder(_Batch).decode
_decode_loose = msgspec.json.Decoder(_LooseBatch).decode
_decode_event = msgspec.json.Decoder(Event).decode


def encode_event(event: Event) -> bytes:
    """The event as JSON, as it stands in a batch."""
    return _encode(event)


def join_batch(writer: str, counter: int, events: Sequence[bytes]) -> bytes:
    """Make a batch of events that are already encoded."""
    head = b'{"v":%d,"writer":"%s","n":%d,"events":[' % (VERSION, writer.encode(), counter)
    return b"".join((head, b",".join(events), b"]}"))


def decode_batch(body: bytes) -> Batch:
    """Read a batch.

    Raises:
        MalformedBatch: the bytes are no batch.
        BatchVersionUnknown: they are one of another version.
    """
    try:
        batch = _decode_batch(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _decode_bit_by_bit(body)
    if batch.v != VERSION:
        raise BatchVersionUnknown(batch.v)
    return Batch(batch.writer, batch.n, batch.events)


def _decode_bit_by_bit(body: bytes) -> Batch:
    """The slow way, which keeps the good events of a batch that holds a bad one."""
    try:
        batch = _decode_loose(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise MalformedBatch(str(exc)) from None
    if batch.v != VERSION:
        raise BatchVersionUnknown(batch.v)
    events: list[Event] = []
    for raw in batch.events:
        try:
            events.append(_decode_event(raw))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return Batch(batch.writer, batch.n, events, len(batch.events) - len(events))


def encode_frame(frame: dict[str, Any]) -> bytes:
    """A reply to a client, as the text of one WebSocket message."""
    return _encode(frame)


def encode_event_frame(event: Event, event_id: str) -> bytes:
    """An event to the clients, as the text of one WebSocket message.

    It is never above :data:`MAX_FRAME_BYTES`: what a foreign writer made larger than that is
    cut, with a mark.
    """
    event = structs.replace(event, event_id=event_id, publication="")
    frame = _encode(event)
    if len(frame) <= MAX_FRAME_BYTES:
        return frame
    return _encode(structs.replace(event, data=_cut(event, len(frame))))


def _cut(event: Event, size: int) -> Any:
    """The event's data with everything that may be large replaced by a mark."""
    mark = f"… [cut: the event had {size:,} bytes]"
    data = event.data
    for name in data.__struct_fields__:
        value = getattr(data, name)
        if isinstance(value, str) and len(value) > 1_000:
            data = structs.replace(data, **{name: value[:1_000] + mark})
        elif isinstance(value, dict) and value:
            data = structs.replace(data, **{name: {"truncated": True}})
        elif isinstance(value, list):
            data = structs.replace(data, **{name: [mark]})
    return data


def decode_command(text: str | bytes) -> dict[str, Any]:
    """Read a client's command.

    Raises:
        CommandError: with the protocol's words; ``Invalid JSON`` is fixed by it.
    """
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, UnicodeEncodeError, RecursionError):
        raise CommandError("invalid_json", "Invalid JSON") from None
    if not isinstance(value, dict):
        raise CommandError("invalid_command", "A command is a JSON object with a `command`")
    return value
