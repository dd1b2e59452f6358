"""Trackers without a broker, whose reported progress can be looked at."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from celery_wsprogress.protocol.events import Event
from celery_wsprogress.worker.run_info import RunInfo
from celery_wsprogress.worker.tracker import Tracker


class Shown(NamedTuple):
    """What a watcher would be shown of one report."""

    message: str
    current: Any
    total: Any
    unit: Any


class Sink:
    """Keeps every report, where a publisher would send the newest."""

    def __init__(self):
        self.shown = []
        self.events = []

    def schedule(self, slot):
        _, _, _, message, _, current, total, unit, _ = slot.latest
        self.shown.append(Shown(message, current, total, unit))

    def emit(self, events, *, after=None):
        self.events += [msgspec.json.decode(one.event, type=Event) for one in events]

    @property
    def last(self):
        return self.shown[-1]


def make_tracker(operation_id="op-1", parent=None):
    return Tracker(RunInfo(operation_id, "tasks.demo", "r1"), Sink(), parent)
