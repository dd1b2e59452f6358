"""What goes over the socket in tests, held against the AsyncAPI document.

:func:`connect` and :func:`connect_async` are those of ``websockets``. A frame that the document
does not describe fails the test that receives it: one with a field too many as well, which clients
ignore.
"""

from __future__ import annotations

import functools
import importlib
import json
import re
import sys
from collections import deque
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from websockets.asyncio import client as async_client
from websockets.sync import client as sync_client

DOCS = Path(__file__).parents[2] / "docs"


def _document() -> Any:
    sys.path.insert(0, str(DOCS))
    try:
        return json.loads(importlib.import_module("asyncapi_document").text())
    finally:
        sys.path.remove(str(DOCS))


DOCUMENT = _document()
REFUSED = "reply_refused"


def closed(schema: Any) -> Any:
    """A schema whose objects have no other fields than those it names."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(one) for name, one in schema.items()}
    if "properties" in found and "command" not in found["properties"]:
        found.setdefault("additionalProperties", False)
    return found


SCHEMAS = closed(DOCUMENT["components"]["schemas"])


def _names(references: list[dict[str, str]]) -> set[str]:
    return {one["$ref"].rpartition("/")[2] for one in references}


EVENTS = _names(DOCUMENT["operations"]["send_events"]["messages"])
COMMANDS = DOCUMENT["operations"].keys() - {"send_events"}


@functools.cache
def validator(message: str) -> Draft202012Validator:
    """What holds a frame against a message of the document."""
    schema = DOCUMENT["components"]["messages"][message]["payload"]["schema"]
    return Draft202012Validator({**schema, "components": {"schemas": SCHEMAS}})


def reply_to(command: str) -> str:
    """The message that answers a command which is taken."""
    [message] = _names(DOCUMENT["operations"][command]["reply"]["messages"]) - {REFUSED}
    return message


def check(message: str, value: Any) -> None:
    """Fail if a frame is not what a message of the document describes."""
    error = best_match(validator(message).iter_errors(value))
    if error is not None:
        raise AssertionError(f"no {message} of asyncapi.json: {error}")


def check_event(value: Any) -> None:
    """Fail if a frame is no event of the document."""
    assert value.get("event_type") in EVENTS, f"no event of asyncapi.json: {value}"
    check(value["event_type"], value)


class Conversation:
    """The frames of one connection. Replies come in the order of their commands."""

    def __init__(self) -> None:
        self._expected: deque[str] = deque()
        """The messages that may answer the commands that have no reply yet."""

    def connected_to(self, path: str) -> None:
        """Some addresses stand for a command."""
        if re.search("/ws/[^/]+$", path):
            self._expected.append(reply_to("subscribe"))

    def sent(self, text: Any) -> None:
        """Note a command. One that the document does not describe must be refused."""
        try:
            value = json.loads(text)
            name = value["command"] if value["command"] in COMMANDS else ""
            validator(name).validate(value)
        except (ValueError, KeyError, TypeError, ValidationError):
            self._expected.append(REFUSED)
        else:
            self._expected.append(reply_to(name))

    def received(self, text: Any) -> None:
        """Fail if the sidecar said what the document does not describe."""
        value = json.loads(text)
        if value.get("event_type") != "reply":
            check_event(value)
            return
        expected = self._expected.popleft()
        check(REFUSED if "error" in value else expected, value)


class _Connection(sync_client.ClientConnection):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._conversation = Conversation()

    def handshake(self, *args: Any, **options: Any) -> None:
        super().handshake(*args, **options)
        self._conversation.connected_to(self.request.path)

    def send(self, message: Any, *args: Any, **options: Any) -> None:
        self._conversation.sent(message)
        super().send(message, *args, **options)

    def recv(self, *args: Any, **options: Any) -> Any:
        text = super().recv(*args, **options)
        self._conversation.received(text)
        return text


class _AsyncConnection(async_client.ClientConnection):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._conversation = Conversation()

    async def handshake(self, *args: Any, **options: Any) -> None:
        await super().handshake(*args, **options)
        self._conversation.connected_to(self.request.path)

    async def send(self, message: Any, *args: Any, **options: Any) -> None:
        self._conversation.sent(message)
        await super().send(message, *args, **options)

    async def recv(self, *args: Any, **options: Any) -> Any:
        text = await super().recv(*args, **options)
        self._conversation.received(text)
        return text


connect = functools.partial(sync_client.connect, create_connection=_Connection)
unix_connect = functools.partial(sync_client.unix_connect, create_connection=_Connection)
connect_async = functools.partial(async_client.connect, create_connection=_AsyncConnection)
