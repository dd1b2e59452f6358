"""The wire protocol as an AsyncAPI document: ``python docs/asyncapi_document.py`` prints it.

It is made from the classes that encode events, and from :mod:`wire_shapes`, which has the rest.
Standards: AsyncAPI 3.0.0, JSON Schema 2020-12.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from typing import TYPE_CHECKING, Any, Final, get_args

import msgspec
import wire_shapes
from generate import field_docs

from celery_wsprogress.protocol.batches import VERSION
from celery_wsprogress.protocol.events import Event
from celery_wsprogress.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

EVENTS: Final = (*get_args(Event), wire_shapes.Connected, wire_shapes.Snapshot)
_SCHEMAS: Final = "#/components/schemas/"
_FORMAT: Final = "application/schema+json;version=draft-2020-12"
_MODULES: Final = {wire_shapes.__name__, Event.__args__[0].__module__}
#: Fields of events that the sidecar reads and does not send.
_ON_THE_BROKER: Final = {"after", "publication", "sub", "workflow", "inferred"}
#: A field of events that the sidecar adds, and no writer sends.
_ALWAYS_SENT: Final = {"event_id"}
_WHOM: Final = ("operation_id", "operation_ids", "workflow_id", "operation_type", "tag")
_OF_WHICH: Final = (*_WHOM, "group_id", "root_id", "steps_of")


def document() -> dict[str, Any]:
    """Return the document."""
    commands, replies = [*wire_shapes.REPLIES], [*wire_shapes.REPLIES.values(), wire_shapes.Refused]
    shapes = [*EVENTS, *commands, *replies]
    names = {shape: _name(shape) for shape in shapes}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "celery-wsprogress",
            "version": __version__,
            "description": f"The wire protocol, version {VERSION}. Clients ignore fields that they "
            "do not know. What the fields mean is told in wire-protocol.md.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {"sidecar": {"host": "localhost:8765", "protocol": "ws"}},
        "channels": {
            "socket": {
                "address": "/",
                "description": "One WebSocket, text frames, one JSON object a frame.",
                "messages": {name: _ref(f"components/messages/{name}") for name in names.values()},
            }
        },
        "operations": dict(_operations(names)),
        "components": {
            "messages": {name: _message(name, shape) for shape, name in names.items()},
            "schemas": _schemas(shapes),
        },
    }


def _name(shape: type) -> str:
    """Return the name of a message: the words of a command or of an event."""
    if shape in wire_shapes.REPLIES or shape in EVENTS:
        return str(shape.__struct_config__.tag)
    return f"reply_{re.sub('(?<!^)(?=[A-Z])', '_', shape.__name__).lower()}"


def _ref(path: str) -> dict[str, str]:
    return {"$ref": f"#/{path}"}


def _in_channel(name: str) -> dict[str, str]:
    return _ref(f"channels/socket/messages/{name}")


def _message(name: str, shape: type) -> dict[str, Any]:
    schema = {"$ref": f"{_SCHEMAS}{shape.__name__}"}
    payload = {"schemaFormat": _FORMAT, "schema": schema}
    return {"name": name, "summary": _plain(inspect.getdoc(shape) or ""), "payload": payload}


def _operations(names: dict[type, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what a sidecar does: it sends events, and receives commands and replies to each."""
    channel = _ref("channels/socket")
    events = [_in_channel(names[one]) for one in EVENTS]
    yield "send_events", {"action": "send", "channel": channel, "messages": events}
    for command, reply in wire_shapes.REPLIES.items():
        messages = [_in_channel(names[one]) for one in (reply, wire_shapes.Refused)]
        yield (
            names[command],
            {
                "action": "receive",
                "channel": channel,
                "messages": [_in_channel(names[command])],
                "reply": {"channel": channel, "messages": messages},
            },
        )


def _schemas(shapes: list[type]) -> dict[str, Any]:
    """Return the JSON Schemas of all shapes, with what the docstrings say."""
    _, schemas = msgspec.json.schema_components(shapes, ref_template=_SCHEMAS + "{name}")
    found = {one.__name__: one for one in _structs(shapes)}
    for name, schema in schemas.items():
        _describe(schema, found[name])
    for command in (wire_shapes.Subscribe, wire_shapes.Unsubscribe):
        schemas[command.__name__]["anyOf"] = [{"required": [one]} for one in _OF_WHICH]
    for command in (wire_shapes.GetOperation, wire_shapes.GetHistory, wire_shapes.Cancel):
        either = ("operation_id", "workflow_id")
        schemas[command.__name__]["anyOf"] = [{"required": [one]} for one in either]
    return {name: schemas[name] for name in sorted(schemas)}


def _structs(shapes: list[type]) -> Iterator[type]:
    """Yield the classes, and those of their fields."""
    for shape in shapes:
        yield shape
        for field in msgspec.inspect.type_info(shape).fields:
            yield from _structs([*_classes(field.type)])


def _classes(info: msgspec.inspect.Type) -> Iterator[type]:
    if isinstance(info, msgspec.inspect.StructType):
        yield info.cls
    for one in getattr(info, "types", ()):
        yield from _classes(one)
    if isinstance(info, msgspec.inspect.ListType):
        yield from _classes(info.item_type)


def _describe(schema: dict[str, Any], shape: type) -> None:
    """Add descriptions; take away what is on the broker only."""
    schema["description"] = _plain(schema.get("description", ""))
    bases = [one for one in shape.__mro__ if one.__module__ in _MODULES]
    told = {name: _plain(text) for base in bases for name, text in field_docs(base)}
    properties = schema["properties"]
    for one in properties.values():
        # OpenAPI's form, with a table. AsyncAPI has another one, for schemas named like the values.
        one.get("items", {}).pop("discriminator", None)
    for name in [*properties]:
        properties[name].pop("default", None)
        if shape in EVENTS and name in _ON_THE_BROKER:
            del properties[name]
        elif name in told:
            properties[name] = {**properties[name], "description": told[name]}
    required = [*schema.get("required", []), *(_ALWAYS_SENT & {*properties})]
    if required:
        schema["required"] = required


def _plain(text: str) -> str:
    """Return the text of a docstring without roles of Sphinx."""
    text = " ".join(text.replace("``", "`").split())
    return re.sub(r":\w+:`[~.]*([^`]*)`", r"`\1`", text)


def text() -> str:
    """Return the text of the file."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
