"""The table of what a token grants, in docs/reference/tokens.md, is what the code does."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from pathlib import Path

import pytest
from msgspec import structs
from support.deliveries import process
from support.hub_clients import HubClient
from support.sample_events import log, progress, queued, status
from support.tokens import NOW, guarded, token

from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.hub.steps import take_all
from celery_wsprogress.protocol.batches import Batch
from celery_wsprogress.sidecar.http.routes import RequestContext, route

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "tokens.md"
ROW = re.compile(r"^\| `(\{.*?\})` \| (.*) \|$", re.MULTILINE)
ROWS = [
    pytest.param(json.loads(claims), cells.split(" | "), id=claims)
    for claims, cells in ROW.findall(PAGE.read_text())
]
MEMBER = {
    "group_id": "G",
    "root_id": "R",
    "tags": ["nightly"],
    "operation_type": "shop.export",
}


class Holder:
    """A client with one token, over WebSocket and over HTTP."""

    def __init__(self, claims):
        self.hub = Hub()
        self.count = 0
        self.write(
            *(
                event
                for name, fields in (("member", MEMBER), ("other", {}))
                for event in (
                    structs.replace(
                        queued(operation_id=name, publication=name, **fields),
                        sub="anna" if fields else "",
                    ),
                    status("started", operation_id=name, publication=name, metadata={}),
                    progress(0.5, operation_id=name),
                )
            )
        )
        # It has no operation of its own here, which would be in every list.
        self.hub.store.get("member").operation.workflow_ids = ("W",)
        self.permit = guarded()
        self.permit.add(token(**{"ids": None, **claims}), timestamp=NOW)
        self.client = HubClient(self.hub, self.permit)

    def write(self, *events):
        self.count += 1
        batch = Batch("w", self.count, events)
        process(self.hub, batch, epoch="e", position=str(self.count), now=NOW)

    def ask(self, command, **fields):
        """The reply, and the operations of the events that came with it."""
        reply, *events = map(json.loads, self.client.ask(command, **fields))
        return "error" not in reply, {one["operation_id"] for one in events}

    def http(self, target):
        context = RequestContext(hub=self.hub, permit=self.permit, timestamp=NOW, report=dict)
        return take_all(route(target, context)).status is HTTPStatus.OK

    def live(self, name):
        """Whether something that happens now is told."""
        self.write(log("now", operation_id=name), progress(0.6, operation_id=name))
        events = [json.loads(one) for one in self.client.read_live()]
        self.kinds = {one["event_type"] for one in events}
        return {one["operation_id"] for one in events} == {name}

    def open(self, name):
        """What is seen of an operation, if every way to it agrees."""
        self.live(name)
        ways = [
            self.http(f"/operations/{name}"),
            self.ask("get_operation", operation_id=name)[0],
            self.ask("get_history", operation_id=name)[0],
            self.ask("subscribe", operation_id=name, since="e.0-0.0", resync=True)[0],
            self.ask("subscribe", operation_ids=[name], replay="all") == (True, {name}),
            self.live(name),
        ]
        kinds = self.kinds
        self.ask("unsubscribe", operation_id=name)
        assert len(set(ways)) == 1, ways
        if not ways[0]:
            return "no"
        return "full" if "log" in kinds else "progress"

    def select(self, shown, **selector):
        """Whether a selector is granted: then it shows its operations, and no other."""
        granted, found = self.ask("subscribe", replay="all", **selector)
        assert found == (shown if granted else set())
        self.ask("unsubscribe", **selector)
        return "yes" if granted else "no"

    def list(self, query, **filters):
        """Whether a list is granted, over WebSocket and HTTP alike."""
        granted = self.ask("list_operations", **filters)[0]
        assert self.http(f"/operations{query}") == granted
        return "yes" if granted else "no"

    def cancel(self, name):
        """Whether it may be cancelled. Nothing is: no server that reaches workers is here."""
        [reply] = map(json.loads, self.client.ask("cancel", operation_id=name))
        return {"not_supported": "yes", "forbidden": "no", "unauthorized": "no"}[reply["code"]]

    def statistics(self):
        granted = self.ask("get_stats")[0]
        return "yes" if granted else "no"


@pytest.mark.parametrize(("claims", "cells"), ROWS)
def test_a_token_grants_what_the_table_says(claims, cells):
    holder = Holder(claims)
    assert cells == [
        holder.open("member"),
        holder.open("other"),
        holder.select({"member"}, group_id="G"),
        holder.select({"member", "other"}, operation_id="*"),
        holder.list("?group_id=G", group_id="G"),
        holder.list(""),
        holder.statistics(),
        holder.cancel("member"),
    ]


def test_the_table_has_a_row_for_each_kind_of_claim():
    assert len(ROWS) > 10
    text = PAGE.read_text()
    for word in ("ids", "ops", "can", "view", "id:", "group:", "root:", "tag:", "type:"):
        assert word in text
