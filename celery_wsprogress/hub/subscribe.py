"""The commands ``subscribe`` and ``unsubscribe``: by one id, several ids, or a selector.

This module reads and checks the fields. :mod:`.subscriptions` decides what is replayed. Pure.
"""

from __future__ import annotations

from sys import getsizeof
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.access.grants import EVERYTHING
from celery_wsprogress.errors import CommandError
from celery_wsprogress.operations import selector as selectors
from celery_wsprogress.operations.selector import Selector

if TYPE_CHECKING:
    from celery_wsprogress.hub.command_context import CommandContext
    from celery_wsprogress.hub.steps import Steps

MAX_SELECTORS: Final = 100
"""Maximum number of selectors of a connection: each is matched with every operation."""

ID_BYTES: Final = 200
"""Bytes of memory that an id may take on average: more than twice those of one of Celery's."""

MIN_SUBSCRIBED_BYTES: Final = 200_000
"""Bytes of memory that the ids of a connection may take, however few they may be."""

SUBSCRIPTIONS_PER_STEP: Final = 200
"""Operations that one step of a command subscribes to: a millisecond."""

MIN_RATE: Final = 0.01
"""Minimum of ``max_rate``, in progress frames per second and operation."""

_REPLAYS: Final = frozenset({"all", "last", "none"})


def subscribe(context: CommandContext) -> Steps[dict[str, Any]]:
    """Begin a subscription and return the reply."""
    # Before everything else: the token may grant what the other fields name.
    if context.fields.get("token") is not None:
        context.session.permit.add(context.fields["token"], timestamp=context.timestamp)
    replay = context.optional_text("replay")
    if replay is not None and replay not in _REPLAYS:
        raise CommandError("invalid_command", "`replay` must be one of: all, last, none")
    _note_resync(context)
    max_rate = _max_rate(context)
    subscribed = yield from _subscribe(context, replay)
    reply = subscribed | {"replayable": context.replayable} | context.broker()
    # Checked before, but applied after: a subscription that was refused leaves no limit behind.
    if max_rate is not None:
        for target in _targets(context):
            context.session.set_max_rate(target, max_rate)
    return reply


def _subscribe(context: CommandContext, replay: str | None) -> Steps[dict[str, Any]]:
    if context.fields.get("operation_ids") is not None:
        return (yield from _subscribe_to_several(context, replay))
    selector = _selector(context)
    if selector is not None:
        return (yield from _subscribe_by(context, selector, replay))
    operation_id = context.named_operation_id()
    since = context.optional_text("since")
    reply = {"status": "subscribed", "operation_id": operation_id} | _workflow(context)
    return reply | _subscribe_to_one(context, operation_id, replay, since)


def _note_resync(context: CommandContext) -> None:
    resync = context.fields.get("resync")
    if resync is not None and not isinstance(resync, bool):
        raise CommandError("invalid_command", "`resync` must be true or false")
    # `resync` is a property of the client, not of the subscription: it holds for all of them.
    context.session.accepts_snapshots = context.session.accepts_snapshots or resync is True


def _max_rate(context: CommandContext) -> float | None:
    max_rate = context.fields.get("max_rate")
    if max_rate is None:
        return None
    if isinstance(max_rate, bool) or not isinstance(max_rate, (int, float)):
        raise CommandError("invalid_command", "`max_rate` must be a number")
    if max_rate < MIN_RATE:
        raise CommandError("invalid_command", f"`max_rate` must be {MIN_RATE} or more")
    return max_rate


def _targets(context: CommandContext) -> list[str | None]:
    """Return the ids that the command names; ``[None]`` if it names a selector."""
    if context.fields.get("operation_ids") is not None:
        return [*_ids(context)]
    return [None if _selector(context) else context.named_operation_id()]


def _subscribe_to_one(
    context: CommandContext, operation_id: str, replay: str | None, since: str | None
) -> dict[str, Any]:
    context.check_may_watch(operation_id)
    _check_room(context, [operation_id])
    # Nothing awaits between the snapshot and the cursor, so no event falls between them.
    reply: dict[str, Any] = {"operation": context.snapshot(operation_id)}
    recovered = context.hub.subscriptions.subscribe(
        context.session, operation_id, replay=replay, since=since
    )
    if since is not None:
        reply["recovered"] = recovered
        _count_resume(context, recovered=recovered)
    return reply


def _subscribe_to_several(context: CommandContext, replay: str | None) -> Steps[dict[str, Any]]:
    ids = _ids(context)
    since = context.fields.get("since") or {}
    if not isinstance(since, dict) or not all(isinstance(one, str) for one in since.values()):
        raise CommandError("invalid_command", "`since` must map operation ids to event ids")
    since = {one: since[one] for one in ids if one in since}
    # All checks come before the first subscription: a command succeeds or fails as a whole.
    for operation_id in ids:
        context.check_may_watch(operation_id)
    _check_room(context, ids)
    recovered: dict[str, bool] = {}
    for number, one in enumerate(ids, 1):
        recovered[one] = context.hub.subscriptions.subscribe(
            context.session, one, replay=replay, since=since.get(one)
        )
        if one in since:
            _count_resume(context, recovered=recovered[one])
        if number % SUBSCRIPTIONS_PER_STEP == 0:
            yield
    reply = {"status": "subscribed", "operation_ids": ids, "operation": None}
    return reply | ({"recovered": {one: recovered[one] for one in since}} if since else {})


def _count_resume(context: CommandContext, *, recovered: bool) -> None:
    context.hub.counts["recovered" if recovered else "not_recovered"] += 1


def _subscribe_by(
    context: CommandContext, selector: Selector, replay: str | None
) -> Steps[dict[str, Any]]:
    context.check_may_select(selector)
    if context.fields.get("since") is not None:
        text = "`since` names an event of one operation: it goes with ids"
        raise CommandError("invalid_command", text)
    selectors = context.session.selectors
    if selector not in selectors and len(selectors) == MAX_SELECTORS:
        text = f"A connection may watch by {MAX_SELECTORS} selectors"
        raise CommandError("too_many_subscriptions", text)
    # Not `all` by default, as for an id: a selector may match every operation of the sidecar.
    yield from context.hub.subscriptions.select(context.session, selector, replay=replay or "last")
    return {"status": "subscribed", selector.by.value: selector.value, "operation": None}


def unsubscribe(context: CommandContext) -> Steps[dict[str, Any]]:
    """End the subscription that the same fields of ``subscribe`` began."""
    # Without checks of rights: a token that granted the subscription may have expired.
    if context.fields.get("operation_ids") is not None:
        ids = _ids(context)
        context.hub.subscriptions.unsubscribe(context.session, ids)
        return {"status": "unsubscribed", "operation_ids": ids}
    selector = _selector(context)
    if selector is not None:
        yield from context.hub.subscriptions.unselect(context.session, selector)
        return {"status": "unsubscribed", selector.by.value: selector.value}
    operation_id = context.named_operation_id()
    context.hub.subscriptions.unsubscribe(context.session, [operation_id])
    return {"status": "unsubscribed", "operation_id": operation_id} | _workflow(context)


def _workflow(context: CommandContext) -> dict[str, str]:
    """Return the field of a reply that repeats ``workflow_id``."""
    workflow_id = context.optional_text("workflow_id")
    return {} if workflow_id is None else {"workflow_id": workflow_id}


def _selector(context: CommandContext) -> Selector | None:
    """Return the selector that the fields name; None if they name an id."""
    if context.fields.get("operation_id") is not None:
        return selectors.EVERYTHING if context.text("operation_id") == EVERYTHING else None
    for by in selectors.FILTERS:
        if context.fields.get(by) is not None:
            value = context.text(by)
            selectors.validate_glob(value)
            return Selector(by, value)
    return None


def _check_room(context: CommandContext, ids: list[str]) -> None:
    # Ids that are subscribed already take no room.
    session, limit = context.session, context.max_subscriptions
    added = [one for one in ids if one not in session.subscribed]
    if len(session.subscribed) + len(added) > limit:
        raise CommandError(
            "too_many_subscriptions",
            f"A connection may watch {limit} operations by id",
        )
    max_bytes = max(MIN_SUBSCRIBED_BYTES, limit * ID_BYTES)
    if session.subscribed_bytes + sum(map(getsizeof, added)) > max_bytes:
        raise CommandError(
            "too_many_subscriptions",
            f"The ids that a connection watches may take {max_bytes:,} bytes of memory",
        )


def _ids(context: CommandContext) -> list[str]:
    ids = context.fields["operation_ids"]
    if not isinstance(ids, list) or not all(isinstance(one, str) and one for one in ids):
        raise CommandError("invalid_command", "`operation_ids` must be a list of strings")
    if EVERYTHING in ids:
        raise CommandError("invalid_command", "`*` is allowed in `operation_id` only")
    return list(dict.fromkeys(ids))
