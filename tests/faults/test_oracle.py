"""The oracle is only worth what it catches: forged accounts, one violation in each."""

from __future__ import annotations

import json
from collections import Counter

import pytest
import snapshots
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from oracle import LAWS, check
from recordings import Log, Resynced, Subscribed, Told, Transcript, resynced, said
from support import sample_events
from support.deliveries import process
from support.frames import decoded

from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.hub.session import Session
from celery_wsprogress.hub.store import Limits, OperationStore
from celery_wsprogress.protocol import batches, messages
from celery_wsprogress.protocol.events import BACKEND_RUN

ONE = "op-1"
LINES = ["7.aa-1", "7.aa-2", "7.aa-3"]
LIFE = [
    sample_events.queued(),
    sample_events.status("received", publication="p1"),
    sample_events.status("started", publication="p1"),
    sample_events.log(LINES[0]),
    sample_events.progress(0.5, message="half"),
    sample_events.log(LINES[1]),
    sample_events.progress(1.0, message="whole"),
    sample_events.log(LINES[2]),
    sample_events.result("7.aa-4"),
    sample_events.completed(),
]
TOLD = [
    Told("7.aa", ONE, "start", "0"),
    *(Told("7.aa", ONE, "log", line) for line in LINES),
    Told("7.aa", ONE, "result", "7.aa-4"),
]


def batch(number, *events, alive=()):
    return batches.join_batch("w", number, [batches.encode_event(one) for one in events], alive)


def log_of(*events):
    """A log with one batch for each event."""
    log = Log()
    for number, event in enumerate(events, 1):
        log.take("e", str(number), batch(number, event))
    return log


def frames_of(*events):
    """What a client is shown of that log when it is shown everything."""
    return [
        said(json.loads(messages.encode_event_frame(one, f"e.{number}.0")), f"e.{number}.0")
        for number, one in enumerate(events, 1)
    ]


def transcript(frames, *, first=True):
    made = Transcript("client")
    made.entries[ONE] = [Subscribed(0.0 if first else 2.0), *frames]
    return made


def laws_broken(frames, events=LIFE, told=TOLD, living=(7,), **how):
    findings = check(
        log_of(*events), [transcript(frames, **how)], told, sent_at={ONE: 1.0}, living=living
    )
    assert bool(findings.violations) == any(findings.counts[law] for law in LAWS)
    return {law: findings.counts[law] for law in LAWS if findings.counts[law]}


def without(number):
    frames = frames_of(*LIFE)
    del frames[number]
    return frames


def test_it_finds_nothing_where_there_is_nothing():
    assert laws_broken(frames_of(*LIFE)) == {}


def test_it_lets_progress_be_conflated_but_not_the_last_one():
    assert laws_broken(without(4)) == {}
    assert laws_broken(without(6)) == {"lost": 1}


@pytest.mark.parametrize("number", [0, 1, 2, 3, 5, 7, 8])
def test_it_misses_whatever_is_missing(number):
    assert laws_broken(without(number)) == {"lost": 1}


def test_it_misses_an_end():
    assert laws_broken(without(9)) == {"lost": 1, "endless": 1}


def test_it_misses_everything():
    assert laws_broken([])["endless"] == 1


def test_it_sees_a_duplicate():
    frames = frames_of(*LIFE)
    assert laws_broken([*frames[:4], frames[3], *frames[4:]]) == {"duplicate": 1}


def test_it_sees_what_comes_too_late():
    frames = frames_of(*LIFE)
    frames[3], frames[5] = frames[5], frames[3]
    assert laws_broken(frames)["order"] == 2


def test_it_sees_two_ends():
    events = [*LIFE, sample_events.error()]
    broken = laws_broken(frames_of(*events), events)
    assert broken["ends"] == 1
    assert broken["after the end"] == 2  # as a frame, and as something it was not to be shown


def test_it_sees_what_comes_after_the_end():
    events = [*LIFE, sample_events.log("late")]
    assert set(laws_broken(frames_of(*events), events)) == {"after the end"}
    assert laws_broken(frames_of(*LIFE), events) == {}


def test_it_sees_what_is_invented():
    frames = frames_of(*LIFE)
    frames[3] = frames[3]._replace(text="nobody said this")
    assert laws_broken(frames) == {"invented": 1}
    frames[3] = frames_of(*LIFE)[3]._replace(event_id="e.4.9")
    assert laws_broken(frames) == {"invented": 1, "lost": 1}


def test_it_sees_a_status_that_is_behind():
    events = [*LIFE[:3], sample_events.status("received", publication="p1"), *LIFE[3:]]
    assert laws_broken(frames_of(*events), events) == {"after the end": 1}


def test_what_a_living_process_said_must_be_in_the_log():
    told = [*TOLD[:2], Told("7.aa", ONE, "log", "7.aa-9"), *TOLD[2:]]
    assert laws_broken(frames_of(*LIFE), told=told) == {"lost by a living process": 1}
    findings = check(
        log_of(*LIFE), [transcript(frames_of(*LIFE))], told, sent_at={ONE: 1.0}, living=[]
    )
    assert findings.violations == []
    assert findings.counts["died"] == 1
    assert findings.counts["said"] == findings.counts["accepted"] + 1


def test_the_end_is_the_one_that_the_task_came_to():
    events = [*LIFE[:-1], sample_events.error()]
    assert laws_broken(frames_of(*events), events) == {"wrong end": 1}
    assert laws_broken(frames_of(*events), events, living=()) == {}


def test_a_client_that_came_late_is_owed_the_run_it_found():
    again = [
        sample_events.status("started", run="r2", publication="p2"),
        sample_events.log("again", run="r2"),
        sample_events.completed(run="r2"),
    ]
    events = [*LIFE[:-1], sample_events.error(), *again]
    frames = frames_of(*events)
    told = [*TOLD, Told("7.aa", ONE, "start", "0")]
    assert laws_broken(frames[-3:], events, told, first=False) == {}
    assert laws_broken(frames[-3:], events, told, first=True)["lost"] > 0
    assert laws_broken([frames[-3], frames[-1]], events, told, first=False) == {"lost": 1}


def test_a_refusal_is_a_finding():
    made = transcript(frames_of(*LIFE))
    made.refused.append("closed with 1008")
    findings = check(log_of(*LIFE), [made], TOLD, sent_at={ONE: 1.0}, living=[7])
    assert findings.counts["refused"] == 1


def test_a_batch_that_was_written_twice_counts_once_and_a_missing_one_is_known():
    log = Log()
    log.take("e", "1", batch(1, LIFE[0]))
    log.take("e", "2", batch(1, LIFE[0]))
    log.take("e", "3", batch(3, LIFE[1]))
    assert log.counts == Counter(batches=2, events=2, repeats=1, gaps=1)
    assert [one.event_id for one in log.events[ONE]] == ["e.1.0", "e.3.0"]


# Snapshots.

LONG = [*LIFE[:3], *(sample_events.log(f"line {number}") for number in range(200)), *LIFE[8:]]


def told_at(number, *, run="r1", ended=False, missed=None):
    """What a snapshot said behind so many events."""
    return Resynced(f"e.{number}.0", run, ended, missed)


def broken_by(entries, events=LONG):
    return laws_broken(entries, events, [Told("7.aa", ONE, "start", "0")])


def test_what_a_snapshot_told_need_not_come_any_more():
    frames = frames_of(*LIFE)
    assert laws_broken([told_at(7), *(frames[at] for at in (3, 5, 7, 8, 9))]) == {}
    assert laws_broken([told_at(6), *(frames[at] for at in (3, 5, 7, 8, 9))]) == {"lost": 1}


def test_the_lines_that_are_held_come_behind_a_snapshot_without_a_hole():
    frames = frames_of(*LONG)
    begun, told = frames[:10], told_at(190)
    assert broken_by([*begun, told, *frames[100:]]) == {}
    assert broken_by([*begun, told, *frames[100:120], *frames[121:]]) == {"lost": 1}
    assert broken_by([*begun, told, *frames[190:]])["lost"] == snapshots.HELD


def test_the_lines_of_a_run_that_another_one_goes_on_beside_need_not_be_held():
    """Delivered again while it runs, and both say more than is held."""
    begun = [
        sample_events.status("started", run="r1"),
        sample_events.status("started", run="r2", publication="p2"),
    ]
    ours = [sample_events.log(f"ours {number}", run="r2") for number in range(60)]
    theirs = [sample_events.log(f"theirs {number}", run="r1") for number in range(60)]
    events = [*begun, *ours, sample_events.completed(run="r2"), *theirs]
    frames, told = frames_of(*events), told_at(len(events), run="r2", ended=True)
    assert broken_by([*frames[:2], told, *frames[62:]], events) == {}
    assert broken_by([*frames[:2], told, frames[62], *frames[90:]], events) == {}
    assert broken_by([*frames[:2], told, frames[62], *frames[90:99], *frames[100:]], events) == {
        "lost": 1
    }


def test_the_end_is_no_end_before_it_came_as_an_event():
    frames, told = frames_of(*LONG), told_at(205, ended=True)
    assert broken_by([*frames[:10], told, *frames[100:]]) == {}
    assert broken_by([*frames[:10], told, *frames[100:-1]]) == {"lost": 1, "endless": 1}


def test_a_later_snapshot_takes_the_place_of_an_earlier_one():
    frames = frames_of(*LONG)
    shown = [*frames[:10], told_at(100), *frames[50:70], told_at(190), *frames[130:]]
    assert broken_by(shown) == {}
    assert broken_by([*shown[:-60], *shown[-59:]]) == {"lost": 1}


def test_a_snapshot_owes_nothing_of_what_stands_before_the_last_event_that_was_seen():
    frames, again = frames_of(*LONG), told_at(205, ended=True)
    assert broken_by([*frames[:10], told_at(190), *frames[100:], again, again]) == {}
    assert broken_by([*frames[:10], *frames[100:], again])["lost"] == 90


def test_a_snapshot_says_how_much_is_missed():
    frames = frames_of(*LONG)
    assert broken_by([*frames[:10], told_at(190, missed=90), *frames[100:]]) == {}
    assert broken_by([*frames[:10], told_at(190, missed=89), *frames[100:]]) == {"lost": 1}
    two = [told_at(110, missed=50), *frames[60:80], told_at(190, missed=20), *frames[100:]]
    assert broken_by([*frames[:10], *two]) == {}
    two[-len(frames[100:]) - 1] = told_at(190, missed=19)
    assert broken_by([*frames[:10], *two]) == {"lost": 1}


@pytest.mark.parametrize("wrong", [{"run": "r2"}, {"ended": True}])
def test_a_snapshot_that_is_not_true(wrong):
    frames = frames_of(*LONG)
    assert "invented" in broken_by([*frames[:10], told_at(190, **wrong), *frames[100:]])


def test_an_end_that_a_snapshot_has_undone_may_be_followed_by_another_one():
    again = [
        sample_events.status("started", run="r2", publication="p2"),
        sample_events.completed(run="r2"),
    ]
    events = [*LIFE[:-2], sample_events.error(), *again]
    frames, undone = frames_of(*events), told_at(len(events) - 1, run="r2")
    assert broken_by([*frames[:-2], undone, frames[-1]], events) == {}
    # The same end is not undone by saying how things stand behind it.
    told = told_at(len(events) - 2, ended=True)
    assert broken_by([*frames[:-2], told, *frames[-2:]], events) == {}
    assert broken_by([*frames[:-2], told, frames[-1]], events) == {"lost": 1, "ends": 1}


RUNS = ("r1", "r2", "r3")
MAKERS = {
    "queued": lambda run, _: sample_events.queued(publication=f"p{run}"),
    "scheduled": lambda run, _: sample_events.scheduled(run=run, publication=f"p{run}"),
    "received": lambda run, _: sample_events.status("received", run=run, publication=f"p{run}"),
    "started": lambda run, _: sample_events.status("started", run=run, publication=f"p{run}"),
    "retry": lambda run, _: sample_events.status(
        "started", run=run, publication=f"p{run}", after="r1"
    ),
    "retrying": lambda run, _: sample_events.status("retrying", run=run),
    "replaced": lambda run, _: sample_events.status("replaced", run=run),
    "given back": lambda run, _: structs.replace(MAKERS["retrying"](run, ""), inferred=True),
    "own": lambda run, _: sample_events.status("own", run=run),
    "log": lambda run, text: sample_events.log(text, run=run),
    "progress": lambda run, text: sample_events.progress(0.5, run=run, message=text),
    "result": lambda run, text: sample_events.result(text, run=run),
    "completed": lambda run, _: sample_events.completed(run=run),
    "error": lambda run, _: sample_events.error(run=run),
    "unstarted": lambda run, _: sample_events.unstarted(run=run),
    "stalled": lambda run, _: sample_events.stalled(run=run),
    "lost": lambda run, _: sample_events.lost(run=run),
    "known result": lambda run, text: structs.replace(MAKERS["result"](run, text), inferred=True),
    "known end": lambda run, text: structs.replace(MAKERS["completed"](run, text), inferred=True),
    # Of a message in its queue there is no run yet.
    "known result of a message": lambda _, text: MAKERS["known result"](BACKEND_RUN, text),
    "known end of a message": lambda _, text: MAKERS["known end"](BACKEND_RUN, text),
}


@st.composite
def sketches(draw):
    """Courses that no installation takes: words of several runs, in any order.

    Only ``queued`` is said once of each publication: by its caller, whose batches are told from
    their repeats.
    """
    words = st.tuples(st.sampled_from([*MAKERS, "sign"]), st.sampled_from(RUNS))
    sketch = draw(st.lists(words, max_size=16))
    once = {one: None for one in sketch if one[0] == "queued"}
    return [one for one in sketch if one[0] != "queued" or once.pop(one, one) is None]


def watch(sketch, read, max_history_entries=1_000):
    """Put it into a log and through the product; what the oracle finds of what it delivered.

    Args:
        sketch: Words and runs.
        read: Called after each, with the session: the frames the client reads then.
        max_history_entries: Of an operation.
    """
    hub = Hub(OperationStore(Limits(max_history_entries=max_history_entries)))
    session, log = Session(1, Permit(None)), Log()
    session.accepts_snapshots = True
    hub.subscriptions.subscribe(session, ONE, replay=None, since=None)
    shown = []
    for number, (word, run) in enumerate(sketch, 1):
        sign = word == "sign"
        events = [] if sign else [MAKERS[word](run, str(number))]
        body = batch(number, *events, alive=[(ONE, run)] if sign else ())
        log.take("e", str(number), body)
        process(hub, batches.decode_batch(body), epoch="e", position=str(number), now=0.0)
        shown += read(session)
    while session.has_unread:
        shown += decoded(session.take(1_000_000, 0.0, 0.0))
    entries = [
        resynced(one) if one["event_type"] == "snapshot" else said(one, one["event_id"])
        for one in shown
    ]
    findings = check(log, [transcript(entries)], [], sent_at={ONE: 1.0}, living=[])
    # Nobody ended them all.
    return {law: findings.counts[law] for law in LAWS if findings.counts[law] and law != "endless"}


@given(sketches())
def test_the_product_and_the_oracle_understand_the_laws_alike(sketch):
    """Two formulations of the same laws: each tests the other.

    What is owed depends on the order alone, so the runs are mixed without any.
    """
    assert watch(sketch, lambda session: decoded(session.take(1_000_000, 0.0, 0.0))) == {}


def test_the_end_of_a_message_that_only_the_result_backend_knew_is_owed():
    known = [("known result of a message", ""), ("known end of a message", "")]
    worked = [("received", "r1"), ("started", "r1"), ("log", "r1"), ("completed", "r1")]
    for sketch in ([*known], [*known, *worked], [*worked[:2], *known, *worked[2:]]):
        read = watch([("queued", "r1"), *sketch], lambda _: [])
        assert read == {}


@given(sketches(), st.data())
def test_they_do_so_of_a_client_that_falls_off(sketch, data):
    def read(session):
        return (
            decoded(session.take(data.draw(st.integers(1, 600)), 0.0, 0.0))
            if data.draw(some) == 0
            else []
        )

    some = st.integers(0, 5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshots, "HELD", 0)
        assert watch(sketch, read, max_history_entries=4) == {}
