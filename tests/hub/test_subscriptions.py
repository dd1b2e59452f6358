"""The end of one subscription leaves the others alone."""

from __future__ import annotations

from support.deliveries import process
from support.frames import decoded
from support.sample_events import queued, status

from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.hub.session import Session
from celery_wsprogress.operations.selector import EVERYTHING, Selector, SelectorField
from celery_wsprogress.protocol.batches import Batch

RED, BLUE = (Selector(SelectorField.TAG, value) for value in ("red", "blue"))


def red_and_blue(*selectors):
    """A hub of two operations, and a session that is to be sent both."""
    hub, session = Hub(), Session(1, Permit(None))
    for selector in selectors:
        hub.subscriptions.select(session, selector, replay="none")
    events = [queued(operation_id=f"op-{tag}", tags=[tag]) for tag in ("red", "blue")]
    process(hub, Batch("w", 1, events), epoch="e", position="1", now=0.0)
    return hub, session


def taken(session):
    return [one["operation_id"] for one in decoded(session.take(1_000_000, 0.0, 0.0))]


def test_the_end_of_a_selector_takes_back_what_nothing_else_selects():
    hub, session = red_and_blue(RED, BLUE)
    hub.subscriptions.unselect(session, RED)
    assert session.selectors == {BLUE}
    assert taken(session) == ["op-blue"]


def test_the_end_of_a_selector_that_there_is_not_takes_nothing_back():
    hub, session = red_and_blue(EVERYTHING)
    hub.subscriptions.unselect(session, RED)
    assert session.selectors == {EVERYTHING}
    assert taken(session) == ["op-red", "op-blue"]


def test_what_was_selected_when_it_came_is_sent_whatever_selector_there_is_not_ends():
    hub, session = red_and_blue(RED)
    changed = status("started", operation_id="op-red", tags=["blue"], metadata={})
    process(hub, Batch("w", 2, [changed]), epoch="e", position="2", now=0.0)
    hub.subscriptions.unselect(session, BLUE)
    assert set(taken(session)) == {"op-red"}
