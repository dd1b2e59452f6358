from __future__ import annotations

import pytest

from celery_wsprogress.worker.signals import revoke_commands
from celery_wsprogress.worker.signals.solo_control import SoloControl


class Request:
    """What is asked of one that runs."""

    def __init__(self, task_id, **stamps):
        self.id = task_id
        self.stamped_headers = list(stamps)
        self.stamps = stamps


RUNNING = Request("a", order=["1"])


@pytest.fixture
def marked(monkeypatch):
    """Whether the running task was told, and how, for each message."""
    heard = []

    def mark_running(is_revoked, reason, *, terminate):
        heard.append((is_revoked(RUNNING), reason, terminate))

    monkeypatch.setattr(revoke_commands, "mark_running", mark_running)
    return heard


def revoke(method="revoke", **more):
    arguments = more.pop("arguments", {"task_id": "a"})
    return {"method": method, "arguments": arguments, **more}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (revoke(), (True, "", False)),
        (revoke(arguments={"task_id": ["b", "a"], "terminate": True}), (True, "", True)),
        (revoke(arguments={"task_id": "b", "reason": "enough"}), (False, "enough", False)),
        (revoke("terminate"), (True, "", False)),
        (
            revoke("revoke_by_stamped_headers", arguments={"headers": {"order": ["1"]}}),
            (True, "", False),
        ),
        (
            revoke("revoke_by_stamped_headers", arguments={"headers": ["order=1"]}),
            (True, "", False),
        ),
        (revoke(destination=["me@here"]), (True, "", False)),
        (revoke(pattern="me@*", matcher="glob"), (True, "", False)),
    ],
)
def test_what_is_for_this_worker(marked, body, expected):
    SoloControl(None, "me@here").on_message(body)
    assert marked == [expected]


@pytest.mark.parametrize(
    "body",
    [
        revoke("ping"),
        revoke(destination=["you@there"]),
        revoke(pattern="you@*", matcher="glob"),
    ],
)
def test_what_is_not(marked, body):
    SoloControl(None, "me@here").on_message(body)
    assert marked == []
