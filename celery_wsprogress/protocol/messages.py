"""Messages: the texts on the socket, from the sidecar and from its clients.

JSON is strict in both directions, as on the log (:mod:`.batches`). No message to a client is larger
than :data:`MAX_FRAME_BYTES`: what would be is cut, with a mark.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct, structs

from celery_wsprogress.errors import CommandError
from celery_wsprogress.protocol.events import ResultData

if TYPE_CHECKING:
    from celery_wsprogress.protocol.events import Event

MAX_FRAME_BYTES: Final = 1_000_000
"""No frame to a client is larger: a stock Python client closes at 1 MiB."""

MAX_COMMAND_BYTES: Final = 262_144
"""No larger command of a client is accepted: a token for some 4,900 task ids is one."""

MAX_MESSAGE_BYTES: Final = 1_048_576
"""A larger frame of a client ends its connection; up to this it is told that it is too large."""

MAX_UNCUT_BYTES: Final = 6_000
"""Bytes of JSON that a value may keep in a message that is too large as a whole."""

_encode: Final = msgspec.json.Encoder().encode
_decode_any: Final = msgspec.json.Decoder().decode

_UNREADABLE: Final = (msgspec.DecodeError, UnicodeError, RecursionError)


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


def encode_snapshot_frame(operation: dict[str, Any], missed: int | None, timestamp: float) -> bytes:
    """How an operation stands, for a client that missed something, as one WebSocket message.

    Args:
        operation: Its snapshot, cut as in a reply.
        missed: How many events the client was not sent and will not be; None: nobody knows.
        timestamp: Epoch seconds now.
    """
    frame = {
        "event_type": "snapshot",
        "operation_id": operation["operation_id"],
        "timestamp": timestamp,
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
    if not isinstance(value, (str, dict, list)) or len(_encode(value)) <= MAX_UNCUT_BYTES:
        return value
    if isinstance(value, str):
        return value[: MAX_UNCUT_BYTES // 6] + mark
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
