"""The laws of an operation's life."""

from __future__ import annotations

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, structs
from support.heartbeats import observe_heartbeat
from support.sample_events import (
    OPERATION,
    child_lives,
    chunk,
    completed,
    doubted_logs,
    error,
    given_back,
    interleavings,
    log,
    logs,
    lost,
    progress,
    queued,
    result,
    scheduled,
    stalled,
    status,
    unstarted,
    without_early_ends,
)

from celery_wsprogress.operations.operation import Operation
from celery_wsprogress.operations.runs import MAX_PAST_RUNS
from celery_wsprogress.operations.snapshot import snapshot_of
from celery_wsprogress.operations.states import TRANSITIONS, State, Trigger, Verdict
from celery_wsprogress.protocol.events import (
    BEFORE_START,
    MAX_RUNS_BEFORE,
    Completed,
    Error,
    Log,
    Progress,
    Status,
)


def fold(events):
    """Fold a log; return the operation and the delivered events."""
    operation = Operation(OPERATION, first_seen_at=events[0].timestamp)
    delivered = []
    for event in events:
        if event.run and not event.inferred:
            delivered += filter(None, [observe_heartbeat(operation, event.run, event.timestamp)])
        verdict, told = operation.fold(event)
        if verdict is Verdict.DELIVER:
            delivered.append(told)
    return operation, delivered


def words(events):
    """What the events say, in a word each."""
    return [e.data.status if isinstance(e, Status) else type(e).__name__.lower() for e in events]


def is_end(event):
    return isinstance(event, (Completed, Error))


def test_the_table_knows_every_step_in_every_state():
    for state, step in product([None, *State], Trigger):
        assert TRANSITIONS[state][step] in {*State, Verdict.STALE, Verdict.ENDED}


def test_a_life_in_order():
    operation, delivered = fold(
        [
            queued(at=1.0, operation_type="t", metadata={"a": 1}),
            status("received", at=2.0, worker="w"),
            status("started", at=3.0, attempt=1, metadata={}),
            progress(0.5, at=4.0, message="half"),
            result(42, at=5.0),
            completed(at=5.0, duration=2.0),
        ]
    )
    assert words(delivered) == [
        "queued", "received", "started", "progress", "result", "completed",
    ]  # fmt: skip
    snapshot = snapshot_of(operation)
    assert snapshot["state"] == snapshot["status"] == "completed"
    assert (snapshot["queued_at"], snapshot["received_at"], snapshot["started_at"]) == (1, 2, 3)
    assert (snapshot["duration"], snapshot["finished_at"], snapshot["worker"]) == (2.0, 5.0, "w")
    assert (snapshot["operation_type"], snapshot["metadata"]) == ("t", {"a": 1})
    assert snapshot["message"] == "half"


@given(logs())
def test_each_run_ends_once_and_says_nothing_after_its_end(events):
    _, delivered = fold(events)
    over = set()
    for event in delivered:
        if isinstance(event, Status) and event.data.status in BEFORE_START:
            continue  # these are of a publication, and may be told late
        assert event.run not in over
        if is_end(event):
            over.add(event.run)


@given(logs())
def test_an_operation_ends_again_only_after_it_started_again(events):
    _, delivered = fold(events)
    ended = False
    for event in delivered:
        if isinstance(event, Status) and event.data.status == "started":
            ended = False
        assert not (ended and is_end(event))
        ended = ended or is_end(event)


@given(logs())
def test_delivery_is_in_log_order_and_without_repeats(events):
    _, delivered = fold(events)
    places = [next(i for i, e in enumerate(events) if _same(e, event)) for event in delivered]
    assert places == sorted(set(places))


def _same(event, delivered):
    if is_end(delivered):
        return (
            is_end(event) and event.run == delivered.run and event.timestamp == delivered.timestamp
        )
    return event is delivered


@given(logs())
def test_no_log_line_is_lost_while_its_run_goes_on(events):
    _, delivered = fold(events)
    over, started, ended = set(), set(), False
    for event in events:
        if isinstance(event, Status) and event.data.status == "started":
            ended = ended and event.run in over
            started.add(event.run)
        if isinstance(event, Log) and event.run not in over and event.run in started and not ended:
            assert event in delivered
        if is_end(event) or (isinstance(event, Status) and event.data.status == "retrying"):
            over.add(event.run)
        ended = ended or (is_end(event) and event in delivered)


def test_of_a_run_that_was_superseded_log_lines_are_delivered_and_chunks_are_not():
    events = [
        status("started", run="r1"),
        chunk("a", run="r1"),
        status("started", run="r2"),
        chunk("b", run="r1", at=1.0),
        log("late", run="r1", at=1.0),
        chunk("c", run="r2", at=2.0),
    ]
    _, delivered = fold(events)
    assert delivered == [one for one in events if one is not events[3]]


@given(st.data())
def test_the_order_of_writers_does_not_change_where_one_run_ends(data):
    child = data.draw(child_lives("r1", "p1"))
    writers = [[queued(at=1.0)], [status("received", at=2.0)], child]
    usual, _ = fold([event for writer in writers for event in writer])
    mixed, _ = fold(data.draw(interleavings(writers)))
    mixed.first_seen_at = usual.first_seen_at
    assert snapshot_of(mixed) == snapshot_of(usual)


@given(st.data(), st.integers(2, 9), st.sampled_from(["replaced", "retrying"]))
def test_runs_of_several_processes_end_once_in_whatever_order_they_are_read(data, count, word):
    runs = [f"r{number}" for number in range(count)]
    receipts = [status("received", run=run, publication=run) for run in runs]
    lives = []
    for number, run in enumerate(runs):
        before = " ".join(reversed(runs[:number]))
        started = status("started", run=run, publication=run, after=before, metadata={})
        over = completed(run=run) if run == runs[-1] else status(word, run=run)
        lives.append([started, progress(0.5, run=run), over])
    operation, delivered = fold(data.draw(interleavings([receipts, *lives])))
    assert operation.state is State.COMPLETED
    assert sum(is_end(event) for event in delivered) == 1


@given(logs())
def test_a_snapshot_always_has_the_base_fields(events):
    operation = Operation(OPERATION, first_seen_at=events[0].timestamp)
    for event in events:
        operation.fold(event)
        snapshot = snapshot_of(operation)
        assert isinstance(snapshot["started_at"], float)
        assert math.isfinite(snapshot["progress"])
        assert isinstance(snapshot["metadata"], dict)
        assert isinstance(snapshot["status"], str)
        assert snapshot["status"]
        if operation.state.ended:
            assert snapshot["status"] in {"completed", "error"}


@given(logs())
def test_every_delivered_end_has_a_duration(events):
    _, delivered = fold(events)
    assert all(event.data.duration >= 0 for event in delivered if is_end(event))


@pytest.mark.parametrize("late", [queued(), status("received"), status("started", metadata={})])
def test_a_status_that_is_behind_completes_the_snapshot_and_is_not_delivered(late):
    operation, _ = fold([status("started", metadata={}, at=3.0), completed(at=4.0)])
    assert operation.fold(late)[0] is Verdict.STALE
    assert operation.state is State.COMPLETED


def test_a_late_caller_completes_metadata_but_undoes_nothing():
    operation, _ = fold(
        [
            status("started", metadata={"who": "task"}),
            queued(metadata={"who": "caller", "room": 7}, tags=["a"], at=1.0),
        ]
    )
    assert operation.metadata == {"who": "task", "room": 7}
    assert (operation.tags, operation.queued_at) == (["a"], 1.0)


@given(logs(), st.data())
def test_from_the_end_on_the_status_is_the_end_whatever_is_published_again(events, data):
    place = data.draw(st.integers(0, len(events)))
    events = [*events[:place], queued(publication="another"), *events[place:]]
    if data.draw(st.booleans()):
        # As those write who know nothing of runs.
        events = [structs.replace(one, run="") for one in events]
    operation, _ = fold(events)
    assert operation.state.ended == (operation.status in {"completed", "error"})


def test_a_retry_is_received_before_the_first_attempt_says_so():
    operation, delivered = fold(
        [
            status("started", run="r1", metadata={}, attempt=1),
            status("received", run="r2", publication="p2"),
            progress(0.4, run="r1"),
            status("retrying", run="r1"),
        ]
    )
    assert words(delivered) == ["started", "progress", "retrying"]
    assert operation.state is State.RETRYING
    operation.fold(status("started", run="r2", publication="p2", metadata={}, attempt=2))
    assert (operation.state, operation.last_progress, operation.attempt) == (State.RUNNING, None, 2)


def test_a_message_waits_for_its_time_in_its_queue_and_then_in_a_worker():
    waits = {"starts_at": 500.0, "expires_at": 900.0}
    operation, delivered = fold(
        [
            scheduled(at=1.0, operation_type="t", **waits),
            scheduled(run="r1", at=2.0, worker="w", acks_late=True, **waits),
        ]
    )
    assert words(delivered) == ["scheduled", "scheduled"]
    shown = snapshot_of(operation)
    assert shown["state"] == shown["status"] == "scheduled"
    assert (shown["queued_at"], shown["received_at"], shown["worker"]) == (1.0, 2.0, "w")
    assert (shown["starts_at"], shown["expires_at"]) == (500.0, 900.0)
    assert (operation.acks_late, operation.streams_errors) == (True, True)
    operation.fold(status("started", metadata={}, at=500.0))
    shown = snapshot_of(operation)
    assert (shown["state"], shown["starts_at"], shown["expires_at"]) == ("running", None, None)


def test_a_run_that_waits_for_its_time_is_received_once():
    _, delivered = fold([scheduled(), scheduled(run="r1"), scheduled(run="r1")])
    assert words(delivered) == ["scheduled", "scheduled"]


def test_a_run_that_was_presumed_over_says_nothing_beside_another_one():
    asks = status("retrying", run="r1", publication="")
    _, delivered = fold([given_back(run="r2"), asks, log("late", run="r2")])
    assert words(delivered) == ["retrying", "retrying"]


def test_what_its_caller_says_late_completes_the_snapshot():
    operation, delivered = fold([scheduled(run="r1", at=2.0), scheduled(at=1.0)])
    assert words(delivered) == ["scheduled"]
    assert (operation.queued_at, operation.received_at) == (1.0, 2.0)
    # Options of its run are what its worker says.
    assert operation.streams_errors


@pytest.mark.parametrize(
    ("sent", "told", "starts_at"),
    [
        ([scheduled(starts_at=5.0), queued(publication="p2")], ["scheduled", "queued"], None),
        ([queued(), scheduled(publication="p2", starts_at=5.0)], ["queued"], None),
        ([scheduled(starts_at=5.0), scheduled(publication="p2", starts_at=9.0)],
         ["scheduled", "scheduled"], 9.0),
        # A worker has the first one.
        ([scheduled(run="r1", starts_at=5.0), queued(publication="p2")], ["scheduled"], 5.0),
        ([scheduled(run="r1", starts_at=5.0), status("received", run="r2", publication="p2")],
         ["scheduled"], 5.0),
    ],
)  # fmt: skip
def test_the_same_id_is_sent_twice_and_the_first_one_waits_for_its_time(sent, told, starts_at):
    operation, delivered = fold(sent)
    assert words(delivered) == told
    assert operation.starts_at == starts_at
    other = status("started", run="r2", publication="p2", metadata={})
    more = [other, completed(run="r2"), status("started", run="r1", metadata={})]
    operation, delivered = fold([*sent, *more])
    assert words(delivered) == [*told, "started", "completed", "started"]


@pytest.mark.parametrize("early", [True, False])
def test_a_retry_says_when_it_starts_whenever_its_message_is_received(early):
    waits = scheduled(run="r2", publication="p2", after="r1", starts_at=65.0)
    asks = status("retrying", starts_at=65.0, retry_in=60.0, attempt=1, max_attempts=4)
    both = [waits, asks] if early else [asks, waits]
    operation, delivered = fold([status("started", metadata={}), progress(0.5), *both])
    assert words(delivered) == ["started", "progress", "retrying"]
    shown = snapshot_of(operation)
    assert (shown["progress"], shown["starts_at"]) == (0.5, 65.0)
    assert (shown["attempt"], shown["max_attempts"]) == (1, 4)


def test_who_waits_is_told_by_nobodys_silence():
    operation, _ = fold([scheduled(run="r1")])
    assert operation.fold(stalled())[0] is Verdict.STALE
    assert operation.fold(lost())[0] is Verdict.STALE


def test_a_message_that_is_received_twice_waits_twice_and_the_one_that_starts_counts():
    """Redis delivers it again after its visibility timeout, while a worker holds it."""
    operation, delivered = fold(
        [
            scheduled(run="r1", worker="a"),
            scheduled(run="r2", worker="b"),
            status("started", run="r2", metadata={}, worker="b"),
            status("started", run="r1", metadata={}, worker="a"),
            completed(run="r2"),
            completed(run="r1"),
        ]
    )
    assert words(delivered) == ["scheduled", "started", "started", "completed"]
    assert operation.worker == "a"


@pytest.mark.parametrize("known", [1, 2, 3])
def test_an_attempt_that_is_told_after_its_retry_has_ended_is_past(known):
    """Each process writes when it can: the one with the first attempt could not for a while."""
    first = [
        queued(),
        status("received"),
        status("started"),
        log("of the first"),
        progress(0.5),
        status("retrying"),
    ]
    retry = [
        status("received", run="r2", publication="p2", after="r1"),
        status("started", run="r2", publication="p2", after="r1"),
        completed(run="r2"),
    ]
    late = first[known:]
    operation, delivered = fold([*first[:known], *retry, *late])
    assert words(delivered)[-2:] == ["completed", "log"]
    assert not [event for event in delivered[known:] if event.run == "r1" and event not in late]
    assert snapshot_of(operation)["state"] == "completed"
    assert sum(map(is_end, delivered)) == 1


@pytest.mark.parametrize("read", [0, 1, 2, 3])
def test_a_task_hands_its_id_to_what_fails_before_it_starts(read):
    """Whether the failure is read before or after what the task itself says last."""
    first = [status("received"), status("started"), status("replaced")]
    operation, delivered = fold([*first[:read], unstarted(), *first[read:]])
    assert operation.state is State.ERROR
    assert sum(map(is_end, delivered)) == 1
    # It does not go on, unless something starts.
    assert words(fold([*first, unstarted(), log("late")])[1])[-2:] == ["replaced", "error"]


def test_overlapping_runs_end_once_by_the_one_that_started_last():
    operation, delivered = fold(
        [
            status("started", run="a", metadata={}),
            status("started", run="b", publication="p2", metadata={}),
            log("late", run="a"),
            progress(0.9, run="a"),
            completed(run="a"),
            completed(run="b"),
        ]
    )
    assert words(delivered) == ["started", "started", "log", "completed"]
    assert delivered[-1].run == "b"
    assert snapshot_of(operation)["progress"] == 1.0


def test_a_redelivered_success_that_is_only_received_does_not_reopen():
    operation, delivered = fold(
        [
            status("started", metadata={}),
            completed(),
            status("received", run="r2", publication="p1"),
            error("revoked", run="r2", status="cancelled"),
        ]
    )
    assert words(delivered) == ["started", "completed"]
    assert snapshot_of(operation)["status"] == "completed"


def test_an_operation_that_runs_again_reopens_and_ends_again():
    operation, delivered = fold(
        [
            status("started", run="a", metadata={}, at=1.0),
            error(run="a", at=2.0),
            queued(publication="p2", at=3.0),
            status("started", run="b", publication="p2", metadata={}, at=4.0),
            completed(run="b", at=9.0),
        ]
    )
    assert words(delivered) == ["started", "error", "started", "completed"]
    assert (operation.error, operation.duration, operation.started_at) == (None, 5.0, 4.0)


def test_an_end_without_a_start_is_an_end():
    operation, delivered = fold([completed(at=5.0)])
    assert words(delivered) == ["completed"]
    assert operation.state is State.COMPLETED
    assert delivered[0].data.duration == 0.0


def test_a_cancelled_run_that_never_started():
    operation, delivered = fold(
        [queued(), status("received"), error("revoked", status="cancelled")]
    )
    assert words(delivered) == ["queued", "received", "error"]
    assert snapshot_of(operation)["state"] == "cancelled"
    assert snapshot_of(operation)["status"] == "error"


def test_a_word_of_the_tasks_own_is_only_a_label():
    operation, _ = fold([status("started", metadata={}), status("uploading", message="3 files")])
    snapshot = snapshot_of(operation)
    assert (snapshot["state"], snapshot["status"], snapshot["message"]) == (
        "running",
        "uploading",
        "3 files",
    )


def test_running_is_what_started_is_called_in_a_snapshot():
    operation, _ = fold([status("started", metadata={})])
    assert snapshot_of(operation)["status"] == "running"


def test_progress_is_taken_over_whole():
    operation, _ = fold(
        [progress(0.3, current=3, total=10, unit="rows", rate=1.5, eta=4.5, message="m")]
    )
    assert isinstance(operation, Operation)
    snapshot = snapshot_of(operation)
    assert {name: snapshot[name] for name in ("current", "total", "unit", "rate", "eta")} == {
        "current": 3, "total": 10, "unit": "rows", "rate": 1.5, "eta": 4.5,
    }  # fmt: skip
    assert isinstance(progress(0.1), Progress)


# What sidecars conclude of silent runs.

STARTED = status("started", metadata={"who": "task"}, at=1.0, attempt=2, worker="w")


@given(doubted_logs())
def test_whatever_is_concluded_each_run_ends_once_unless_it_is_opened_again(events):
    _, delivered = fold(events)
    over = {}
    for event in delivered:
        if isinstance(event, Status) and event.data.status in BEFORE_START:
            continue
        if isinstance(event, Status) and event.data.details.get("resumed"):
            assert over.pop(event.run).inferred
        assert event.run not in over
        if is_end(event) or is_given_back(event):
            over[event.run] = event


def is_given_back(event):
    return isinstance(event, Status) and event.inferred and event.data.status == "retrying"


@given(doubted_logs())
def test_an_inferred_end_stands_behind_a_stall_that_no_sign_has_followed(events):
    silent, known = set(), set()
    operation = Operation(OPERATION, first_seen_at=0.0)
    for event in events:
        if event.run and not event.inferred:
            observe_heartbeat(operation, event.run, event.timestamp)
            silent.discard(event.run)
        verdict, _ = operation.fold(event)
        if event.inferred and verdict is Verdict.DELIVER and event.run in known:
            assert (event.run in silent) is (is_end(event) or is_given_back(event))
        if event.inferred and verdict is Verdict.DELIVER:
            silent.add(event.run)
        known.add(event.run)


@given(doubted_logs().map(without_early_ends))
def test_what_a_run_says_of_its_end_is_believed_however_late(events):
    """A conclusion never hides the truth: with and without it the operation ends alike."""
    told = [event for event in events if not event.inferred]
    truth, _ = fold(told)
    doubted, _ = fold(events)
    if truth.state.ended:
        assert doubted.state is truth.state


def test_a_silent_run_is_stalled_then_lost_and_a_word_of_it_opens_it_again():
    operation, delivered = fold(
        [
            STARTED,
            progress(0.4, message="reading", at=2.0),
            stalled(at=30.0),
            lost(at=60.0),
            log("still here", at=61.0),
            completed(at=62.0),
        ]
    )
    assert words(delivered) == [
        "started", "progress", "stalled", "error", "started", "log", "completed",
    ]  # fmt: skip
    resumed = delivered[4]
    assert resumed.data.details == {"resumed": True}
    assert (resumed.timestamp, resumed.run) == (61.0, "r1")
    assert (resumed.data.metadata, resumed.data.attempt) == ({"who": "task"}, 2)
    assert snapshot_of(operation)["error"] is None
    assert delivered[-1].data.duration == 61.0


def test_a_run_that_was_given_back_and_is_alive_waits_for_no_retry_after_another_silence():
    operation, delivered = fold(
        [STARTED, stalled(), given_back(), log("alive", at=2.0), stalled(), log("again", at=3.0)]
    )
    assert words(delivered) == [
        "started", "stalled", "retrying", "started", "log", "stalled", "running", "log",
    ]  # fmt: skip
    assert snapshot_of(operation)["status"] == "running"


def test_a_lost_run_that_is_opened_again_goes_on_where_it_was():
    operation, _ = fold([STARTED, progress(0.4, message="reading"), stalled(), lost()])
    assert (snapshot_of(operation)["state"], snapshot_of(operation)["status"]) == ("error", "error")
    observe_heartbeat(operation, "r1", 61.0)
    snapshot = snapshot_of(operation)
    assert (snapshot["state"], snapshot["status"]) == ("running", "running")
    assert (snapshot["progress"], snapshot["message"]) == (0.4, "reading")
    assert (snapshot["started_at"], snapshot["finished_at"]) == (1.0, None)


@pytest.mark.parametrize(
    ("word", "shown"), [(None, "running"), ("uploading", "uploading")], ids=["none", "own"]
)
def test_a_stalled_run_that_gives_a_sign_says_its_own_word_again(word, shown):
    said = [status(word, message="3 files")] if word else []
    operation, _ = fold([STARTED, *said, stalled()])
    assert snapshot_of(operation)["status"] == "stalled"
    assert snapshot_of(operation)["state"] == "running"
    event = observe_heartbeat(operation, "r1", 40.0)
    assert event.data.status == snapshot_of(operation)["status"] == shown
    assert event.data.message == ("3 files" if word else "")
    assert observe_heartbeat(operation, "r1", 41.0) is None


def test_a_second_stall_is_no_news():
    _, delivered = fold([STARTED, stalled(), stalled(), lost(), lost()])
    assert words(delivered) == ["started", "stalled", "error"]


def test_a_run_that_gave_a_sign_is_not_lost_by_an_old_conclusion():
    operation, delivered = fold([STARTED, stalled(), log("here"), lost()])
    assert words(delivered) == ["started", "stalled", "running", "log"]
    assert operation.state is State.RUNNING


def test_what_the_backend_knew_is_not_undone_by_a_late_word():
    told = structs.replace(completed(at=60.0), inferred=True)
    operation, delivered = fold([STARTED, stalled(), told, log("late"), completed(at=70.0)])
    assert words(delivered) == ["started", "stalled", "completed"]
    assert operation.state is State.COMPLETED


def test_a_redelivered_run_opens_what_was_lost():
    operation, delivered = fold(
        [
            STARTED,
            stalled(),
            lost(),
            status("received", run="r2"),
            status("started", run="r2", metadata={}),
            log("late", run="r1"),
            completed(run="r2"),
        ]
    )
    assert words(delivered) == ["started", "stalled", "error", "started", "completed"]
    assert operation.state is State.COMPLETED


def test_a_conclusion_about_a_run_that_another_one_has_followed_is_dropped():
    _, delivered = fold(
        [STARTED, stalled(), status("started", run="r2", metadata={}), lost(), stalled()]
    )
    assert words(delivered) == ["started", "stalled", "started"]


def test_an_end_that_was_inferred_of_an_unknown_operation_is_its_end():
    _, delivered = fold([lost(kind="OwnerLost", at=5.0)])
    assert words(delivered) == ["error"]


def test_what_the_backend_knows_of_a_run_that_was_only_received():
    answer = [structs.replace(one, inferred=True) for one in (result(7), completed())]
    operation, delivered = fold([status("received"), *answer])
    assert words(delivered) == ["received", "result", "completed"]
    assert operation.state is State.COMPLETED


def test_what_the_backend_knows_of_a_retry_of_which_nothing_was_heard():
    answer = [structs.replace(one, inferred=True) for one in (result(7), completed())]
    received = status("received", run="r2", publication="p2", after="r1")
    operation, delivered = fold([STARTED, status("retrying"), received, *answer])
    assert words(delivered) == ["started", "retrying", "result", "completed"]
    assert operation.state is State.COMPLETED


def test_a_retry_that_waits_is_neither_stalled_nor_undone():
    operation, delivered = fold([STARTED, status("retrying"), stalled(), log("late"), completed()])
    assert words(delivered) == ["started", "retrying"]
    assert operation.state is State.RETRYING


def test_a_result_may_be_shown_when_its_worker_was_heard_of_and_did_not_forbid_it():
    for said, shown in [
        ([], False),
        ([queued()], False),
        ([progress(0.1)], False),
        ([status("received")], True),
        ([status("started", metadata={})], True),
        ([status("received", stream_result=False)], False),
        ([status("received", stream_result=False), status("started", stream_result=False)], False),
    ]:
        operation, _ = fold([*said, progress(0.5)])
        assert operation.streams_result is shown


def test_what_the_backend_answers_of_an_unknown_operation_is_its_life():
    answer = [result(7, run="backend"), completed(run="backend")]
    operation, delivered = fold([structs.replace(one, inferred=True) for one in answer])
    assert words(delivered) == ["result", "completed"]
    assert operation.state is State.COMPLETED


def test_a_start_that_is_said_again_completes_and_undoes_nothing():
    operation, delivered = fold(
        [
            progress(0.4),
            status("now", metadata={"who": "task", "rows": 7}),
            status("started", metadata={"who": "caller", "room": 1}, at=1.0, stream_result=False),
        ]
    )
    assert words(delivered) == ["progress", "now"]
    assert operation.metadata == {"who": "task", "rows": 7, "room": 1}
    assert (operation.started_at, operation.streams_result) == (1.0, False)
    assert snapshot_of(operation)["status"] == "now"


def test_a_task_may_say_stalled_itself():
    operation, delivered = fold([STARTED, status("stalled"), status("stalled"), log("and on")])
    assert words(delivered) == ["started", "stalled", "stalled", "log"]
    assert snapshot_of(operation)["status"] == "stalled"


# A client that only applies frames, in their order.


def apply(frames):
    """What a client knows that takes every frame for news of the operation."""
    known = {"status": "queued", "message": "", "progress": 0.0, "attempt": None}
    known |= {"worker": None, "error": None}
    for event in frames:
        data = event.data
        if isinstance(event, Status):
            if data.status == "started":
                known["error"] = None
                # Who takes over the work of another run begins where that was.
                if not data.details.get("resumed") and known["status"] != "replaced":
                    known |= {"message": "", "progress": 0.0}
            elif data.status not in BEFORE_START | {"stalled"}:
                known["message"] = data.message
            known["status"] = "running" if data.status == "started" else data.status
            known |= {
                name: getattr(data, name)
                for name in ("worker", "attempt")
                if getattr(data, name) is not UNSET
            }
        elif isinstance(event, Progress):
            known |= {"progress": data.progress, "message": data.message}
        elif isinstance(event, Completed):
            known |= {"status": "completed", "progress": 1.0}
        elif isinstance(event, Error):
            known |= {"status": "error", "error": data.error}
        if is_end(event) and data.attempt is not UNSET:
            known["attempt"] = data.attempt
    return known


def with_places(events):
    """Each run on a worker of its own, and a try of its own, as its writers say."""
    return [
        with_place(event) if event.run and word_of(event) in PLACED else event for event in events
    ]


PLACED = {"scheduled", "received", "started"}


def word_of(event):
    return event.data.status if isinstance(event, Status) else ""


def with_place(event):
    number = int(event.run[1:])
    data = structs.replace(event.data, worker=f"w{number}", attempt=number + 1)
    return structs.replace(event, data=data)


def test_only_a_run_that_is_silent_is_given_back():
    _, delivered = fold([STARTED, given_back()])
    assert words(delivered) == ["started"]
    operation, delivered = fold([STARTED, stalled(), given_back()])
    assert words(delivered) == ["started", "stalled", "retrying"]
    assert operation.state is State.RETRYING


@pytest.mark.parametrize("first", [STARTED, log("a")], ids=["started", "log"])
def test_a_conclusion_about_a_run_of_which_nothing_was_read_is_dropped(first):
    operation, delivered = fold([first, stalled(run="r9"), lost(run="r9")])
    assert delivered == [first]
    assert operation.state is State.RUNNING
    assert operation.is_current_run("r1")


def test_a_sidecars_doubt_that_was_read_first_ends_no_run():
    """What refutes it may stand before the part of the log that was read."""
    operation, delivered = fold(
        [
            given_back(run="b"),
            progress(0.3, run="a"),
            status("retrying", run="a", publication=""),
            completed(run="b"),
        ]
    )
    assert words(delivered) == ["retrying", "progress", "retrying", "completed"]
    assert operation.state is State.COMPLETED


def test_of_two_runs_that_were_not_read_to_start_the_one_that_starts_is_the_later_one():
    operation, delivered = fold(
        [
            log("one", run="a"),
            log("two", run="b"),
            status("started", run="a", metadata={}),
            progress(0.5, run="b"),
            completed(run="b"),
        ]
    )
    assert words(delivered) == ["log", "log", "started"]
    assert operation.is_current_run("a")
    assert operation.state is State.RUNNING


def test_a_run_that_waits_is_past_once_another_one_has_started():
    operation, delivered = fold(
        [
            log("one", run="a"),
            log("two", run="b"),
            status("started", run="b", metadata={}),
            log("three", run="a"),
            completed(run="a"),
        ]
    )
    # Where its own work was read before, a start is no news.
    assert words(delivered) == ["log", "log", "log"]
    assert operation.state is State.RUNNING
    assert [*operation.runs.past] == ["a"]


def test_a_late_receipt_of_a_run_that_spoke_before_does_not_make_it_wait_anew():
    operation, delivered = fold(
        [
            log("one", run="a"),
            log("two", run="b"),
            status("received", run="a"),
            progress(0.5, run="a"),
        ]
    )
    assert words(delivered) == ["log", "log"]
    assert operation.is_current_run("b")


def test_a_bounded_number_of_runs_is_remembered():
    count = MAX_PAST_RUNS + 3
    events = [
        status("started", run=f"r{n}", publication=f"p{n}", metadata={}) for n in range(count)
    ]
    operation, _ = fold(events)
    assert [*operation.runs.past] == [f"r{n}" for n in range(2, count - 1)]
    assert operation.is_current_run(f"r{count - 1}")


@given(doubted_logs())
def test_frames_applied_in_their_order_are_the_snapshot_at_every_moment(events):
    events = with_places(events)
    for length in range(1, len(events) + 1):
        operation, delivered = fold(events[:length])
        if not delivered:
            continue
        snapshot = snapshot_of(operation)
        known = apply(delivered)
        assert known == {name: snapshot[name] for name in known}


@pytest.mark.parametrize("first", ["received", "retrying"])
def test_the_receipt_of_a_retry_is_not_where_the_operation_stands(first):
    received = status("received", run="r2", publication="p2", after="r1", worker="w2")
    retrying = status("retrying", run="r1", message="again")
    told = [received, retrying] if first == "received" else [retrying, received]
    operation, delivered = fold([status("started", worker="w1", metadata={}), *told])
    assert words(delivered) == ["started", "retrying"]
    assert (operation.status, operation.worker) == ("retrying", "w1")


@pytest.mark.parametrize("end", [error(run="r1"), error(run="r1", status="cancelled")])
def test_what_is_queued_behind_the_end_is_not_where_the_operation_stands(end):
    operation, delivered = fold([end, queued()])
    assert words(delivered) == ["error"]
    assert operation.queued_at is not None


@pytest.mark.parametrize("after", [" ", "  r1", " ".join(f"x{number}" for number in range(500))])
def test_what_a_foreign_writer_names_as_runs_before_breaks_nothing(after):
    late = structs.replace(error(run="r9", at=9.0), after=after)
    operation, _ = fold([STARTED, late, status("started", run="r2", after=after, metadata={})])
    assert operation.run.id == "r2"
    # Besides those of the first events themselves.
    assert len(operation.runs.past) <= 2 + MAX_RUNS_BEFORE
