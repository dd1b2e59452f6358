"""The bar of a notebook, from events."""

from __future__ import annotations

import pytest

from celery_wsprogress import WebSocketEvent
from celery_wsprogress.client.live_bar import LiveBar


def event(kind, data, **more):
    return WebSocketEvent(event_type=kind, operation_id="op-1", data=data, **more)


def queued():
    return event("status", {"status": "queued", "message": "", "operation_type": "t.imported"})


def started():
    return event("status", {"status": "started", "message": ""})


def progress(fraction, message="", **more):
    return event("progress", {"progress": fraction, "message": message, "details": {}, **more})


COMPLETED = event("completed", {"status": "completed", "duration": 1.0})
IGNORED = event("completed", {"status": "completed", "duration": 1.0, "ignored": True})
FAILED = event("error", {"error": "no <row>", "error_type": "ValueError", "status": "error"})
CANCELLED = event("error", {"error": "by me", "error_type": "Revoked", "status": "cancelled"})
SNAPSHOT = event(
    "snapshot", {}, operation={"progress": 0.75, "message": "Sorting", "status": "running"}
)


@pytest.mark.parametrize(
    ("events", "text"),
    [
        ([], f"[{'-' * 30}] waiting: op-1"),
        ([queued()], f"[{'-' * 30}] queued: t.imported"),
        ([started(), progress(0.5, "Reading")], f"[{'#' * 15}{'-' * 15}] 50% running: Reading"),
        ([started(), progress(0.5, indeterminate=True)], f"[{'-' * 30}] running"),
        ([SNAPSHOT], f"[{'#' * 22}{'-' * 8}] 75% running: Sorting"),
        ([progress(0.9), COMPLETED], f"[{'#' * 30}] 100% completed"),
        ([started(), progress(0.2), IGNORED], f"[{'#' * 6}{'-' * 24}] 20% completed"),
        ([progress(0.1), FAILED], f"[{'#' * 3}{'-' * 27}] 10% error: ValueError: no <row>"),
        ([CANCELLED], f"[{'-' * 30}] 0% cancelled: Revoked: by me"),
        ([event("log", {"level": "info", "message": "x"})], f"[{'-' * 30}] waiting: op-1"),
    ],
)
def test_it_says_in_a_line_how_far_it_is(events, text):
    bar = LiveBar("op-1")
    for one in events:
        bar.apply(one)
    assert bar.bundle()["text/plain"] == text


def test_nothing_of_a_task_is_taken_for_html():
    bar = LiveBar("<op-1>")
    bar.apply(progress(0.5, "<script>\x1b[31m"))
    html = bar.bundle()["text/html"]
    assert html.startswith('<progress max="1" value="0.5000" ')
    assert html.endswith("</progress> 50% waiting: &lt;script&gt;\\x1b[31m")


def test_it_is_indeterminate_in_html_while_nobody_knows():
    assert " value=" not in LiveBar("op-1").bundle()["text/html"]
