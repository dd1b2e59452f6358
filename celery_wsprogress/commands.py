"""What a client can ask for: one function a command.

A command is a JSON object with a ``command``; :func:`answer` gives its reply, which the caller
queues on the session before anything else happens to it. What a client gets wrong is answered
with a sentence and a code, and costs it nothing.

Runs in: the event loop. Pure: the time is passed in.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.access import EVERYTHING
from celery_wsprogress.errors import CommandError, TokenError
from celery_wsprogress.operation import State
from celery_wsprogress.wire import MAX_FRAME_BYTES, decode_command, encode_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from celery_wsprogress.hub import Held, Hub
    from celery_wsprogress.session import Session

FEATURES: Final = ("resume", "list", "wildcard")
"""What this server offers beyond the base protocol, said in ``connected``."""

MAX_LISTED: Final = 1_000
MAX_ID_LENGTH: Final = 1_000
_REPLAYS: Final = frozenset({"all", "last", "none"})
_ROOM_FOR_LIST: Final = MAX_FRAME_BYTES - 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A command with everything needed to answer it."""

    fields: Mapping[str, Any]
    session: Session
    hub: Hub
    now: float
    max_subscriptions: int
    connected_clients: int

    def text(self, name: str) -> str:
        """A field that must be there, as text."""
        value = self.fields.get(name)
        if not isinstance(value, str) or not value:
            raise CommandError("invalid_command", f"`{name}` must be a text that is not empty")
        return value

    def optional_text(self, name: str) -> str | None:
        """A field that may be left out or null, as text."""
        return None if self.fields.get(name) is None else self.text(name)


def answer(
    frame: str | bytes,
    session: Session,
    hub: Hub,
    *,
    now: float,
    max_subscriptions: int,
    connected_clients: int,
) -> None:
    """Take one frame of a client: do what it says and queue the reply on its session."""
    session.commands += 1
    fields: Mapping[str, Any] = {}
    try:
        fields = decode_command(frame)
        asking = Asking(
            fields=fields,
            session=session,
            hub=hub,
            now=now,
            max_subscriptions=max_subscriptions,
            connected_clients=connected_clients,
        )
        reply = _command(fields)(asking)
    except CommandError as exc:
        reply = {"error": exc.sentence, "code": exc.code, "command": fields.get("command")}
    except TokenError as exc:
        reply = {"error": str(exc), "code": "unauthorized", "command": fields.get("command")}
    session.reply(encode_frame(_as_reply(reply, fields.get("request_id"))))


def _as_reply(reply: dict[str, Any], request_id: object) -> dict[str, Any]:
    frame: dict[str, Any] = {"event_type": "reply", "data": {}, **reply}
    if isinstance(request_id, (str, int)) and not isinstance(request_id, bool):
        frame["request_id"] = request_id
    return frame


def _command(fields: Mapping[str, Any]) -> Callable[[Asking], dict[str, Any]]:
    name = fields.get("command")
    if not isinstance(name, str):
        raise CommandError("invalid_command", "A command is a JSON object with a `command`")
    command = _COMMANDS.get(name)
    if command is None:
        raise CommandError("unknown_command", f"Unknown command: {name[:100]}")
    return command


def _subscribe(asking: Asking) -> dict[str, Any]:
    if asking.fields.get("token") is not None:
        asking.session.permit.add(asking.fields["token"], now=asking.now)
    replay = asking.optional_text("replay")
    if replay is not None and replay not in _REPLAYS:
        raise CommandError("invalid_command", "`replay` must be one of: all, last, none")
    if asking.fields.get("operation_ids") is not None:
        return _subscribe_to_several(asking, replay)
    operation_id = asking.text("operation_id")
    if operation_id == EVERYTHING:
        return _subscribe_to_everything(asking, replay)
    since = asking.optional_text("since")
    reply = {"status": "subscribed", "operation_id": operation_id}
    return reply | _subscribe_to_one(asking, operation_id, replay, since)


def _subscribe_to_one(
    asking: Asking, operation_id: str, replay: str | None, since: str | None
) -> dict[str, Any]:
    _check_may_watch(asking, operation_id)
    _check_room(asking, [operation_id])
    # The snapshot and the cursor are taken in one step: nothing falls between them.
    reply: dict[str, Any] = {"operation": asking.hub.get(operation_id)}
    recovered = asking.hub.watch(asking.session, operation_id, replay=replay, since=since)
    if since is not None:
        reply["recovered"] = recovered
    return reply


def _subscribe_to_several(asking: Asking, replay: str | None) -> dict[str, Any]:
    ids = _ids(asking)
    since = asking.fields.get("since") or {}
    if not isinstance(since, dict) or not all(isinstance(one, str) for one in since.values()):
        raise CommandError("invalid_command", "`since` must map operation ids to event ids")
    for operation_id in ids:
        _check_may_watch(asking, operation_id)
    _check_room(asking, ids)
    recovered = {
        one: asking.hub.watch(asking.session, one, replay=replay, since=since.get(one))
        for one in ids
    }
    reply = {"status": "subscribed", "operation_ids": ids, "operation": None}
    return reply | ({"recovered": {one: recovered[one] for one in since}} if since else {})


def _subscribe_to_everything(asking: Asking, replay: str | None) -> dict[str, Any]:
    _check_may_list(asking)
    asking.hub.watch_everything(asking.session, replay=replay or "last")
    return {"status": "subscribed", "operation_id": EVERYTHING, "operation": None}


def _unsubscribe(asking: Asking) -> dict[str, Any]:
    if asking.fields.get("operation_ids") is not None:
        ids = _ids(asking)
        for one in ids:
            asking.hub.unwatch(asking.session, one)
        return {"status": "unsubscribed", "operation_ids": ids}
    operation_id = asking.text("operation_id")
    if operation_id == EVERYTHING:
        asking.hub.unwatch_everything(asking.session)
    else:
        asking.hub.unwatch(asking.session, operation_id)
    return {"status": "unsubscribed", "operation_id": operation_id}


def _get_operation(asking: Asking) -> dict[str, Any]:
    operation_id = asking.text("operation_id")
    _check_may_watch(asking, operation_id)
    return {"operation": asking.hub.get(operation_id)}


def _list_operations(asking: Asking) -> dict[str, Any]:
    _check_may_list(asking)
    state, kind, tag = (asking.optional_text(name) for name in ("state", "operation_type", "tag"))
    if state is not None and state not in set(State):
        raise CommandError("invalid_command", f"`state` must be one of: {', '.join(State)}")
    return list_page(
        (
            held
            for held in asking.hub.newest_first(_number(asking.optional_text("cursor")))
            if (state is None or held.operation.state == state)
            and (kind is None or fnmatch.fnmatchcase(held.operation.operation_type, kind))
            and (tag is None or tag in held.operation.tags)
        ),
        _limit(asking.fields.get("limit")),
    )


def list_page(found: Iterable[Held], limit: int) -> dict[str, Any]:
    """A page of snapshots that fits a frame, and the ``cursor`` of the next one, or null."""
    operations: list[dict[str, Any]] = []
    room = _ROOM_FOR_LIST
    last: Held | None = None
    for held in found:
        snapshot = held.operation.snapshot()
        room -= len(encode_frame(snapshot))
        if len(operations) == limit or (room < 0 and operations):
            return {"operations": operations, "next": str(last.number) if last else None}
        operations.append(snapshot)
        last = held
    return {"operations": operations, "next": None}


def _get_stats(asking: Asking) -> dict[str, Any]:
    if not asking.session.permit.may_count(asking.now):
        raise CommandError("unauthorized", "Statistics need a token here")
    return {"stats": {"connected_clients": asking.connected_clients, **asking.hub.stats()}}


def _authenticate(asking: Asking) -> dict[str, Any]:
    grant = asking.session.permit.add(asking.fields.get("token"), now=asking.now)
    expires_at = None if grant.expires_at == float("inf") else grant.expires_at
    return {"status": "authenticated", "expires_at": expires_at}


def _ping(asking: Asking) -> dict[str, Any]:
    return {"status": "pong", "timestamp": asking.now}


def _check_may_watch(asking: Asking, operation_id: str) -> None:
    if len(operation_id) > MAX_ID_LENGTH:
        raise CommandError("invalid_command", f"An id has at most {MAX_ID_LENGTH} characters")
    permit = asking.session.permit
    if permit.may_watch(operation_id, asking.now):
        return
    if permit.may_count(asking.now):
        raise CommandError("forbidden", f"The token does not grant operation {operation_id}")
    raise CommandError("unauthorized", "Watching needs a token here: send `authenticate` first")


def _check_may_list(asking: Asking) -> None:
    permit = asking.session.permit
    if permit.may_list(asking.now):
        return
    if permit.from_disk:
        raise CommandError("forbidden", "A page opened from disk may watch by exact id only")
    if permit.may_count(asking.now):
        raise CommandError("forbidden", "The token does not grant everything (`*`)")
    raise CommandError("unauthorized", "This needs a token here: send `authenticate` first")


def _check_room(asking: Asking, ids: list[str]) -> None:
    subscribed = asking.session.subscribed
    if len(subscribed) + sum(one not in subscribed for one in ids) > asking.max_subscriptions:
        raise CommandError(
            "too_many_subscriptions",
            f"A connection may watch {asking.max_subscriptions} operations by id",
        )


def _ids(asking: Asking) -> list[str]:
    ids = asking.fields["operation_ids"]
    if not isinstance(ids, list) or not all(isinstance(one, str) and one for one in ids):
        raise CommandError("invalid_command", "`operation_ids` must be a list of texts")
    if EVERYTHING in ids:
        raise CommandError("invalid_command", "`*` stands alone, as `operation_id`")
    return list(dict.fromkeys(ids))


def _limit(value: object) -> int:
    if value is None:
        return MAX_LISTED
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_LISTED:
        raise CommandError("invalid_command", f"`limit` must be a number from 1 to {MAX_LISTED}")
    return value


def _number(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not cursor.isdecimal() or len(cursor) > 18:
        raise CommandError("invalid_command", "`cursor` must be what `next` said")
    return int(cursor)


_COMMANDS: Final[Mapping[str, Callable[[Asking], dict[str, Any]]]] = {
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
    "get_operation": _get_operation,
    "list_operations": _list_operations,
    "get_stats": _get_stats,
    "authenticate": _authenticate,
    "ping": _ping,
}
