"""The messages on the socket: encode those to clients, decode their commands.

JSON is strict in both directions, as in the log (:mod:`.batches`). No message to a client is larger
than :data:`MAX_FRAME_BYTES`: values in it are cut, with a mark.

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
"""Maximum size of a message to a client: ``websockets`` closes above 1 MiB (``max_size``)."""

MAX_COMMAND_BYTES: Final = 262_144
"""Maximum size of a command: one with a token for some 4,900 task ids."""

MAX_MESSAGE_BYTES: Final = 1_048_576
"""Size above which a frame of a client ends its connection, without a reply."""

MAX_UNCUT_BYTES: Final = 6_000
"""Size up to which a value is kept in a message that is too large as a whole."""

_encode: Final = msgspec.json.Encoder().encode
_decode_any: Final = msgspec.json.Decoder().decode

_UNREADABLE: Final = (msgspec.DecodeError, UnicodeError, RecursionError)


def encode_frame(frame: dict[str, Any]) -> bytes:
    """Encode a message to a client that is no event."""
    return _encode(frame)


def encode_reply(reply: dict[str, Any]) -> bytes:
    """Encode the reply to a command, and cut a snapshot in it if it is too large."""
    frame = _encode(reply)
    if len(frame) <= MAX_FRAME_BYTES or not reply.get("operation"):
        return frame
    return _encode({**reply, "operation": cut(reply["operation"], len(frame))})


def encode_snapshot_frame(operation: dict[str, Any], missed: int | None, timestamp: float) -> bytes:
    """Encode the snapshot of an operation for a client that missed events.

    Args:
        operation: The snapshot.
        missed: Number of events that the client was not and will not be sent; None if unknown.
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
    """Encode an event to the clients, and cut it if a foreign writer made it too large."""
    event = structs.replace(
        event, event_id=event_id, after="", publication="", sub="", workflow="", inferred=False
    )
    frame = _encode(event)
    if len(frame) <= MAX_FRAME_BYTES:
        return frame
    return _encode(structs.replace(event, data=_cut(event, len(frame))))


def _cut(event: Event, size: int) -> Any:
    """Return the data of an event, with large values cut."""
    data = event.data
    kept = {name: getattr(data, name) for name in data.__struct_fields__}
    data = structs.replace(data, **cut(kept, size))
    return structs.replace(data, truncated=True) if isinstance(data, ResultData) else data


def cut(fields: dict[str, Any], size: int) -> dict[str, Any]:
    """Return the fields of an object of ``size`` bytes, with large values replaced by a mark."""
    mark = f"… [cut: it had {size:,} bytes]"
    return {name: _cut_value(value, mark) for name, value in fields.items()}


def _cut_value(value: Any, mark: str) -> Any:
    if not isinstance(value, (str, dict, list)) or len(_encode(value)) <= MAX_UNCUT_BYTES:
        return value
    if isinstance(value, str):
        return value[: MAX_UNCUT_BYTES // 6] + mark
    return {"truncated": True} if isinstance(value, dict) else [mark]


class _Head(Struct, gc=False):
    """The fields of a too large command that its reply needs. Others are not decoded to objects."""

    command: Any = None
    request_id: Any = None


_decode_head: Final = msgspec.json.Decoder(_Head).decode


def _read_head(text: str | bytes) -> dict[str, Any] | None:
    try:
        return structs.asdict(_decode_head(text))
    except msgspec.ValidationError:
        # The JSON is not an object.
        return None


def command_size(text: str | bytes) -> int:
    """Return the size of a command in bytes."""
    return len(text.encode(errors="surrogatepass") if isinstance(text, str) else text)


def decode_command(text: str | bytes, *, too_large: bool = False) -> dict[str, Any]:
    """Decode a client's command.

    Args:
        text: The command.
        too_large: Whether to decode only ``command`` and ``request_id``.

    Raises:
        CommandError: it is not a JSON object. The protocol fixes the text ``Invalid JSON``.
    """
    try:
        value = _read_head(text) if too_large else _decode_any(text)
    except _UNREADABLE:
        raise CommandError("invalid_json", "Invalid JSON") from None
    if not isinstance(value, dict):
        raise CommandError("invalid_command", "A command is a JSON object with a `command`")
    return value
