"""A canvas while it is sent: the header of its messages, and its plan."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.worker.plans import signatures
from celery_wsprogress.worker.plans.events import PlanHead, encode_count, encode_plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from celery_wsprogress.worker.apps import AppPublishing
    from celery_wsprogress.worker.plans.nodes import PlanNodes
    from celery_wsprogress.worker.publishing.queue_entries import EncodedEvent


class Canvas:
    """A canvas while it is sent.

    Args:
        header: What our header of its messages gets; empty where it is not published.
    """

    __slots__ = ("_events", "_head", "_listed", "_publishing", "_tasks", "_unlisted", "header")

    def __init__(self, header: Mapping[str, Any]) -> None:
        self.header = header
        self._events: Sequence[EncodedEvent] = ()
        self._publishing: AppPublishing | None = None
        self._unlisted = 0

    def plan(self, publishing: AppPublishing, head: PlanHead, nodes: PlanNodes) -> None:
        """Give it a plan, to be published when its first message has left."""
        listed = nodes.without_empty_blocks()
        self._events = encode_plan(head, time.time(), listed, nodes.tasks)
        self._publishing, self._head = publishing, head
        self._listed, self._tasks = len(listed), nodes.tasks

    def take_plan(self) -> Sequence[EncodedEvent]:
        """Return the events of its plan, to be published: the first message has left.

        A second call returns nothing.
        """
        events, self._events = self._events, ()
        return events

    def count(self, member: tuple[Any, Any, Any]) -> None:
        """Count the tasks of a member of its group that the plan does not contain."""
        self._unlisted += sum(1 for _ in signatures.tasks_in(member[0]))

    def close(self) -> None:
        """Publish the number of tasks, if the plan did not have it. All messages have left."""
        if self._events:
            # Nobody took the plan: the messages are of Celery's protocol 1.
            return
        if self._unlisted and self._publishing is not None:
            tasks = self._tasks + self._unlisted
            event = encode_count(self._head, time.time(), self._listed, tasks)
            self._publishing.publisher.emit((event,))


NOT_PUBLISHED: Final = Canvas({})
"""One of which nothing is published."""
