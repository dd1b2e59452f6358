"""What follows a task under its id, or behind it: who watches is told what Celery stores."""

from __future__ import annotations

import celery
import pytest
from celery import chain, chord
from support.conditions import eventually
from support.event_log import ENDS

ENDS_AS = {"SUCCESS": "completed", "FAILURE": "error"}

REPLACED = [
    "add", "plain", "group", "chain", "chain of many", "itself again", "itself, in a chain",
    "a retry", "nothing kept", "chord", "first fails", "second fails", "last fails",
    "a followed one fails", "out of time", "out of memory", "rejected", "failing group",
    "failing chord", "failing body", "chain in a chord",
    "chord, then another", "fails, then a chord", "chain as a body", "itself, failing",
    "unpublishable", "last to be published",
]  # fmt: skip

OLD = celery.VERSION < (5, 7)

#: What will never run, though Celery before 5.7 stores nothing of it, and watchers are told so.
NOT_STORED = (
    {"chord, then another", "fails, then a chord", "chain as a body"} if OLD else frozenset()
)

#: The same, and nobody is told anything either: no signal and no message names it.
UNHEARD = {"rejected", "both"} if OLD else frozenset()


def told_as_stored(log, result, by=""):
    """What a watcher saw, once Celery knows the end: it is the same end, and there is one."""
    if by in UNHEARD:
        pytest.skip("Celery before 5.7 does not fail what waits behind this")
    if by not in NOT_STORED:
        eventually(result.ready, what="an end at the result backend")
    eventually(lambda: log.ends_watched(result.id), what=f"an end like {result.state}")
    words = log.watched(result.id)
    state = "FAILURE" if by in NOT_STORED else result.state
    assert [word for word in words if word in ENDS] == [ENDS_AS[state]]
    assert words[-1] in ENDS
    return words


@pytest.mark.parametrize("by", REPLACED)
def test_a_task_that_is_replaced_ends_as_its_replacement(life, worker, log, by):
    words = told_as_stored(log, life.replaced.delay(by), by)
    # Of two processes either may write first: what fails before it starts ends them all.
    report_terminating = "replaced" in words or "started" in words[words.index("started") + 1 :]
    # A plain task says nothing but how it ends.
    assert report_terminating or words[-1] == "error" or by == "plain"


@pytest.mark.parametrize("breaking", [False, True])
def test_a_base_class_that_replaces_in_its_own_way(life, worker, log, breaking):
    told_as_stored(log, life.replaced_otherwise.delay(breaking))


@pytest.mark.parametrize("kind", ["chain", "chord", "both"])
def test_what_waits_for_a_plain_task_that_fails(life, worker, log, kind):
    canvas = {
        "chain": lambda: chain(life.breaks.si(), life.plain.si(), life.add.si(1, 2)),
        "chord": lambda: chord([life.plain.si(), life.breaks.si()], life.add.si(1, 2)),
        "both": lambda: (
            chord([life.plain.si(), life.breaks.si()], life.plain.si()) | life.add.si(1, 2)
        ),
    }[kind]()
    assert told_as_stored(log, canvas.delay(), kind) == ["error"]
