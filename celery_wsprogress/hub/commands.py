"""The commands of clients, one function for each.

A command is a JSON object with a ``command``. :func:`execute` executes it in steps and queues the
reply on the session. An error is answered with a text and a code; the connection stays open.

Runs in: the event loop. Pure: the time is passed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from msgspec import Raw

from celery_wsprogress.errors import CommandError, TokenError
from celery_wsprogress.hub.cancel import cancel
from celery_wsprogress.hub.command_context import CommandContext
from celery_wsprogress.hub.disclosure import disclosure_to
from celery_wsprogress.hub.history_page import newest_events
from celery_wsprogress.hub.list_page import (
    MAX_PAGE_BYTES,
    list_operations,
    parse_filters,
    parse_limit,
)
from celery_wsprogress.hub.subscribe import subscribe, unsubscribe
from celery_wsprogress.hub.tree_page import get_tree
from celery_wsprogress.printable import escape_control
from celery_wsprogress.protocol.messages import (
    MAX_COMMAND_BYTES,
    command_size,
    decode_command,
    encode_reply,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from celery_wsprogress.hub.cancel_request import Canceller
    from celery_wsprogress.hub.hub import Hub
    from celery_wsprogress.hub.session import Session
    from celery_wsprogress.hub.steps import Steps

FEATURES: Final = (
    "resume",
    "resync",
    "history",
    "list",
    "wildcard",
    "selectors",
    "max_rate",
    "workflows",
)
"""The extensions of the base protocol that the event ``connected`` names."""

MAX_NAME_LENGTH: Final = 100
"""Maximum number of characters of an unknown command that its reply quotes."""

MAX_REQUEST_ID_LENGTH: Final = 1_000
"""Maximum number of characters of a ``request_id``: it is repeated in the reply."""

MAX_REQUEST_DIGITS: Final = 100
"""Maximum number of digits of a ``request_id`` that is a number."""


Command: TypeAlias = "Callable[[CommandContext], dict[str, Any] | Steps[dict[str, Any]]]"
"""Executes a command and returns its reply, at once or in steps."""


class Executed(NamedTuple):
    """What a client has sent."""

    command: str
    """Its name; ``""`` if it is none of :data:`COMMANDS`."""
    error: CommandError | TokenError | None
    """The error that the reply tells; None if there is none."""


def execute(
    frame: str | bytes,
    session: Session,
    hub: Hub,
    *,
    timestamp: float,
    max_subscriptions: int,
    stats: Callable[[], Mapping[str, Any]],
    replayable: bool,
    canceller: Canceller | None = None,
    broker_error: str = "",
) -> Steps[Executed]:
    """Execute the command in a frame of a client, in steps, and queue the reply on its session."""
    session.commands += 1
    # From the first step on: events of what it subscribes to are sent behind its reply.
    session.is_answering = True
    fields: Mapping[str, Any] = {}
    error: CommandError | TokenError | None = None
    try:
        size = command_size(frame)
        fields = decode_command(frame, too_large=size > MAX_COMMAND_BYTES)
        _check_size(fields, size)
        _check_request_id(fields)
        context = CommandContext(
            fields=fields,
            session=session,
            hub=hub,
            timestamp=timestamp,
            max_subscriptions=max_subscriptions,
            stats=stats,
            replayable=replayable,
            canceller=canceller,
            broker_error=broker_error,
        )
        made = _command(fields)(context)
        reply = made if isinstance(made, dict) else (yield from made)
    except (CommandError, TokenError) as exc:
        error = exc
        name = fields.get("command")
        # A client may have put anything in the place of the name: it is not sent back.
        named = name[:MAX_NAME_LENGTH] if isinstance(name, str) else None
        reply = {"error": str(exc), "code": exc.code, "command": named}
    session.replies.add(encode_reply(_as_reply(reply, fields.get("request_id"))))
    session.is_answering = False
    command = fields.get("command")
    return Executed(command if isinstance(command, str) and command in COMMANDS else "", error)


def _as_reply(reply: dict[str, Any], request_id: object) -> dict[str, Any]:
    frame: dict[str, Any] = {"event_type": "reply", "data": {}, **reply}
    if _is_request_id(request_id):
        frame["request_id"] = request_id
    return frame


def _is_request_id(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_REQUEST_ID_LENGTH
    return type(value) is int and abs(value) < 10**MAX_REQUEST_DIGITS


def _check_request_id(fields: Mapping[str, Any]) -> None:
    value = fields.get("request_id")
    if isinstance(value, (str, int)) and not isinstance(value, bool) and not _is_request_id(value):
        limits = f"{MAX_REQUEST_ID_LENGTH:,} characters or {MAX_REQUEST_DIGITS} digits"
        raise CommandError("invalid_command", f"A `request_id` has at most {limits}")


def _check_size(fields: Mapping[str, Any], size: int) -> None:
    if size > MAX_COMMAND_BYTES:
        less = "a token for fewer ids" if fields.get("command") == "authenticate" else "less"
        limits = f"A command has at most {MAX_COMMAND_BYTES:,} bytes, this one {size:,}"
        raise CommandError("too_large", f"{limits}: send {less}")


def _command(fields: Mapping[str, Any]) -> Command:
    name = fields.get("command")
    if not isinstance(name, str):
        raise CommandError("invalid_command", "A command is a JSON object with a `command`")
    command = COMMANDS.get(name)
    if command is None:
        raise CommandError(
            "unknown_command", f"Unknown command: {escape_control(name, MAX_NAME_LENGTH)}"
        )
    return command


def _get_operation(context: CommandContext) -> dict[str, Any]:
    return {"operation": context.snapshot(context.operation_id())}


def _get_history(context: CommandContext) -> dict[str, Any]:
    operation_id = context.operation_id()
    limit = parse_limit(context.fields.get("limit"))
    record = context.hub.store.get(operation_id)
    history = None if record is None else record.history
    texts, complete = newest_events(history, limit, MAX_PAGE_BYTES)
    permit, timestamp = context.session.permit, context.timestamp
    shown = None if record is None else disclosure_to(permit, record.operation, timestamp)
    if shown is not None:
        texts = [text for one in texts if (text := shown.of_event(one))]
    events = [Raw(text) for text in texts]
    return {"operation_id": operation_id, "events": events, "complete": complete}


def _list_operations(context: CommandContext) -> Steps[dict[str, Any]]:
    context.check_may_list(parse_filters(context.fields))
    return list_operations(
        context.hub.store, context.fields, context.session.permit, context.timestamp
    )


def _get_stats(context: CommandContext) -> dict[str, Any]:
    session = context.session
    if session.permit.untrusted and session.permit.is_authenticated(context.timestamp):
        return {"stats": _own_stats(len(session.subscribed))}
    context.check_may_count()
    return {"stats": context.stats()}


def _own_stats(subscriptions: int) -> dict[str, int]:
    """Return the statistics for a page that must not learn those of others."""
    watched = dict.fromkeys(
        ("active_operations", "total_operations", "subscriptions"), subscriptions
    )
    return {"connected_clients": 1, **watched}


def _authenticate(context: CommandContext) -> dict[str, Any]:
    grant = context.session.permit.add(context.fields.get("token"), timestamp=context.timestamp)
    expires_at = None if grant.expires_at == float("inf") else grant.expires_at
    return {"status": "authenticated", "expires_at": expires_at}


def _ping(context: CommandContext) -> dict[str, Any]:
    return {"status": "pong", "timestamp": context.timestamp} | context.broker()


COMMANDS: Final[Mapping[str, Command]] = {
    "subscribe": subscribe,
    "unsubscribe": unsubscribe,
    "get_operation": _get_operation,
    "get_history": _get_history,
    "get_tree": get_tree,
    "list_operations": _list_operations,
    "get_stats": _get_stats,
    "cancel": cancel,
    "authenticate": _authenticate,
    "ping": _ping,
}
