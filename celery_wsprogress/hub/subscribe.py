"""``subscribe`` and ``unsubscribe``: by id, by several, all, or all of a kind.

What is to be replayed, and where a client goes on, is decided by the hub; here it is only read
from the command and checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.access.permissions import EVERYTHING
from celery_wsprogress.errors import CommandError
from celery_wsprogress.operations import selector as selectors
from celery_wsprogress.operations.selector import By, Selector

if TYPE_CHECKING:
    from celery_wsprogress.hub.command_context import Asking

MAX_SELECTORS: Final = 100
"""Selectors one connection may watch by: each is asked once for every operation."""

SLOWEST_RATE: Final = 0.01
"""Progress frames a second and operation that a client may ask for."""

_REPLAYS: Final = frozenset({"all", "last", "none"})


def subscribe(asking: Asking) -> dict[str, Any]:
    """Begin to watch: one operation, several, all, or all of a kind."""
    if asking.fields.get("token") is not None:
        asking.session.permit.add(asking.fields["token"], now=asking.now)
    replay = asking.optional_text("replay")
    if replay is not None and replay not in _REPLAYS:
        raise CommandError("invalid_command", "`replay` must be one of: all, last, none")
    _note_resync(asking)
    max_rate = _max_rate(asking)
    reply = _subscribe(asking, replay) | {"replayable": asking.replayable} | asking.broker()
    if max_rate is not None:
        for target in _targets(asking):
            asking.session.set_max_rate(target, max_rate)
    return reply


def _subscribe(asking: Asking, replay: str | None) -> dict[str, Any]:
    if asking.fields.get("operation_ids") is not None:
        return _subscribe_to_several(asking, replay)
    selector = _selector(asking)
    if selector is not None:
        return _subscribe_by(asking, selector, replay)
    operation_id = asking.text("operation_id")
    since = asking.optional_text("since")
    reply = {"status": "subscribed", "operation_id": operation_id}
    return reply | _subscribe_to_one(asking, operation_id, replay, since)


def _note_resync(asking: Asking) -> None:
    resync = asking.fields.get("resync")
    if resync is not None and not isinstance(resync, bool):
        raise CommandError("invalid_command", "`resync` must be true or false")
    # What a client understands it understands whichever subscription made it say so.
    asking.session.accepts_snapshots = asking.session.accepts_snapshots or resync is True


def _max_rate(asking: Asking) -> float | None:
    max_rate = asking.fields.get("max_rate")
    if max_rate is None:
        return None
    if isinstance(max_rate, bool) or not isinstance(max_rate, (int, float)):
        raise CommandError("invalid_command", "`max_rate` must be a number")
    if max_rate < SLOWEST_RATE:
        raise CommandError("invalid_command", f"`max_rate` must be {SLOWEST_RATE} or more")
    return max_rate


def _targets(asking: Asking) -> list[str | None]:
    """The ids that the command names, or None alone where it names a selector."""
    if asking.fields.get("operation_ids") is not None:
        return [*_ids(asking)]
    return [None if _selector(asking) else asking.text("operation_id")]


def _subscribe_to_one(
    asking: Asking, operation_id: str, replay: str | None, since: str | None
) -> dict[str, Any]:
    asking.check_may_watch(operation_id)
    _check_room(asking, [operation_id])
    # The snapshot and the cursor are taken in one step: nothing falls between them.
    reply: dict[str, Any] = {"operation": asking.hub.get(operation_id)}
    recovered = asking.hub.subscribe(asking.session, operation_id, replay=replay, since=since)
    if since is not None:
        reply["recovered"] = recovered
    return reply


def _subscribe_to_several(asking: Asking, replay: str | None) -> dict[str, Any]:
    ids = _ids(asking)
    since = asking.fields.get("since") or {}
    if not isinstance(since, dict) or not all(isinstance(one, str) for one in since.values()):
        raise CommandError("invalid_command", "`since` must map operation ids to event ids")
    since = {one: since[one] for one in ids if one in since}
    for operation_id in ids:
        asking.check_may_watch(operation_id)
    _check_room(asking, ids)
    recovered = {
        one: asking.hub.subscribe(asking.session, one, replay=replay, since=since.get(one))
        for one in ids
    }
    reply = {"status": "subscribed", "operation_ids": ids, "operation": None}
    return reply | ({"recovered": {one: recovered[one] for one in since}} if since else {})


def _subscribe_by(asking: Asking, selector: Selector, replay: str | None) -> dict[str, Any]:
    asking.check_may_list()
    if asking.fields.get("since") is not None:
        text = "`since` names an event of one operation: it goes with ids"
        raise CommandError("invalid_command", text)
    selectors = asking.session.selectors
    if selector not in selectors and len(selectors) == MAX_SELECTORS:
        text = f"A connection may watch by {MAX_SELECTORS} selectors"
        raise CommandError("too_many_subscriptions", text)
    asking.hub.select(asking.session, selector, replay=replay or "last")
    return {"status": "subscribed", selector.by.value: selector.value, "operation": None}


def unsubscribe(asking: Asking) -> dict[str, Any]:
    """Stop watching what the same fields began to watch."""
    if asking.fields.get("operation_ids") is not None:
        ids = _ids(asking)
        for one in ids:
            asking.hub.unsubscribe(asking.session, one)
        return {"status": "unsubscribed", "operation_ids": ids}
    selector = _selector(asking)
    if selector is not None:
        asking.hub.unselect(asking.session, selector)
        return {"status": "unsubscribed", selector.by.value: selector.value}
    operation_id = asking.text("operation_id")
    asking.hub.unsubscribe(asking.session, operation_id)
    return {"status": "unsubscribed", "operation_id": operation_id}


def _selector(asking: Asking) -> Selector | None:
    """The selector that the fields name, or None where they name an id."""
    if asking.fields.get("operation_id") is not None:
        return selectors.EVERYTHING if asking.text("operation_id") == EVERYTHING else None
    for by in _FIELDS:
        if asking.fields.get(by) is not None:
            value = asking.text(by)
            selectors.check_glob(value)
            return Selector(by, value)
    return None


_FIELDS: Final = (By.OPERATION_TYPE, By.TAG, By.GROUP, By.ROOT)


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
