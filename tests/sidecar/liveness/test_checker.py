"""Who is given up, and when: by the clock of the test, on the sidecar's own hub."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.deliveries import process
from support.sample_events import (
    completed,
    log,
    plan,
    progress,
    queued,
    scheduled,
    status,
)

from celery_wsprogress.brokers.result_backend import Outcome
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.protocol.batches import Batch
from celery_wsprogress.protocol.events import Completed, Error, Status
from celery_wsprogress.protocol.jsonable import WITHHELD
from celery_wsprogress.sidecar.liveness.checker import LivenessChecker
from celery_wsprogress.sidecar.liveness.result_lookup import NOT_ASKED, UNAVAILABLE, LookupResult

LOST_AFTER = 60.0
RUN = ("op-1", "r1")


class Sidecar:
    """A hub and who watches over it; what is concluded is read back from the log at once.

    Args:
        backend: What the result backend answers; None where there is none.
        heard: Whether the log takes what is concluded.
    """

    def __init__(self, backend=None, *, heard=True, lost_after=LOST_AFTER):
        self.hub = Hub()
        self.now = 0.0
        self.concluded = []
        self.asked = []
        self.backend = backend
        self.heard = heard
        self._numbers = count(1)
        ask = self._ask if backend is not None else None
        self.liveness = LivenessChecker(self.hub.store, lost_after, self._conclude, ask)
        self.liveness.resume(0.0)

    def write(self, *events, alive=(), writer="worker", every=10.0):
        number = next(self._numbers)
        batch = Batch(writer, number, events, 0, alive, self.now, every)
        process(self.hub, batch, epoch="e", position=str(number), now=self.now)

    def _conclude(self, events):
        self.concluded += events
        if self.heard:
            self.write(*events, writer="sidecar")

    def _ask(self, operation_id, answer, urgency):
        self.asked.append(operation_id)
        answer(self.backend)

    def wait(self, seconds, *, alive=()):
        """Let time pass, in the steps of the sidecar; a process gives a sign in each."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + self.liveness.interval)
            if alive:
                self.write(alive=alive)
            self.liveness.check(self.now, 1_000.0 + self.now)

    @property
    def operation(self):
        return self.hub.get("op-1")

    @property
    def words(self):
        return [
            one.data.status if isinstance(one, Status) else type(one).__name__
            for one in self.concluded
        ]


@pytest.fixture
def sidecar():
    made = Sidecar()
    made.write(status("started", metadata={}, worker="celery@here"))
    return made


def test_a_run_that_is_silent_is_stalled_and_then_lost(sidecar):
    sidecar.wait(25)
    assert sidecar.words == []
    sidecar.wait(10)
    assert sidecar.words == ["stalled"]
    assert sidecar.operation["status"] == "stalled"
    sidecar.wait(40)
    assert sidecar.words == ["stalled", "Error"]
    error = sidecar.concluded[-1]
    assert (error.data.error_type, error.run) == ("WorkerLost", "r1")
    assert "no sign of its worker celery@here for 6" in error.data.error
    assert 1_060.0 <= error.timestamp <= 1_070.0
    assert error.inferred
    sidecar.wait(500)
    assert len(sidecar.concluded) == 2


@pytest.mark.parametrize(("every", "patience"), [(0.1, 5.0), (10.0, 30.0), (20.0, 60.0)])
def test_a_sidecar_that_is_set_to_give_up_too_soon_does_not(every, patience, caplog):
    sidecar = Sidecar(lost_after=5.0)
    sidecar.write(status("started", metadata={}, worker="celery@here"), every=every)
    sidecar.wait(patience - 1)
    assert "Error" not in sidecar.words
    sidecar.wait(2)
    assert sidecar.words == ["stalled", "Error"]
    said = [one.getMessage() for one in caplog.records]
    assert len(said) == (patience > 5.0)
    assert all("celery@here" in one and "sign_interval" in one for one in said)


def test_nobody_gives_signs_between_a_run_and_its_successor(sidecar):
    sidecar.write(progress(0.4), status("replaced", publication=""))
    sidecar.wait(100_000)
    assert sidecar.words == []
    shown = sidecar.operation
    assert (shown["state"], shown["status"], shown["progress"]) == ("replaced", "replaced", 0.4)


def test_between_a_run_and_its_successor_the_backend_is_asked_now_and_then():
    sidecar = Sidecar(LookupResult(None))
    sidecar.write(status("started", metadata={}), status("replaced", publication=""))
    sidecar.wait(3_600)
    assert sidecar.words == []
    assert 5 <= len(sidecar.asked) <= 15
    sidecar.backend = LookupResult(Outcome("error", None, "a step broke", "ValueError"))
    sidecar.wait(400)
    assert sidecar.words == ["Error"]
    assert sidecar.operation["error"] == "a step broke"


@pytest.mark.parametrize("backend", [None, LookupResult(None)])
def test_a_run_whose_message_was_not_acknowledged_is_delivered_again(backend):
    """That is no end: the result backend knows of none either."""
    sidecar = Sidecar(backend)
    sidecar.write(status("started", metadata={}, worker="celery@here", acks_late=True))
    sidecar.wait(4_000)
    assert sidecar.words == ["stalled", "retrying"]
    assert sidecar.operation["state"] == "retrying"
    assert "delivers the task again" in sidecar.operation["message"]
    sidecar.write(status("started", run="r2", metadata={}, worker="celery@there"))
    assert sidecar.operation["state"] == "running"
    sidecar.write(completed(run="r2"))
    assert sidecar.operation["state"] == "completed"


def test_a_run_that_is_to_be_delivered_again_may_speak_again():
    sidecar = Sidecar()
    sidecar.write(status("started", metadata={}, acks_late=True))
    sidecar.wait(100)
    assert sidecar.operation["state"] == "retrying"
    sidecar.write(alive=[RUN])
    assert sidecar.operation["state"] == "running"
    sidecar.write(completed())
    assert sidecar.operation["state"] == "completed"


@pytest.mark.parametrize("off", [-3_600.0, 0.0, 3_600.0])
def test_the_duration_of_a_lost_run_is_of_no_two_clocks(off):
    sidecar = Sidecar()
    sidecar.write(status("started", metadata={}, at=5_000.0 + off))
    sidecar.write(log("later", at=5_007.0 + off))
    sidecar.wait(70)
    assert 67.0 <= sidecar.operation["duration"] <= 77.0


def test_a_process_that_owned_an_operation_is_an_owner():
    sidecar = Sidecar()
    sidecar.write(status("started", metadata={}))
    sidecar.wait(80)
    assert sidecar.concluded[-1].data.error_type == "OwnerLost"
    assert "the process that owns it" in sidecar.concluded[-1].data.error


@pytest.mark.parametrize("sign", ["word", "record"])
def test_whoever_gives_signs_is_not_stalled(sidecar, sign):
    for number in range(30):
        if sign == "word":
            sidecar.write(progress(number / 30))
            sidecar.wait(20)
        else:
            sidecar.wait(20, alive=[RUN])
    assert sidecar.words == []


def test_a_record_that_names_others_is_no_sign(sidecar):
    sidecar.wait(80, alive=[("op-1", "r2"), ("op-2", "r1")])
    assert sidecar.words == ["stalled", "Error"]


def test_a_sign_undoes_a_stall(sidecar):
    sidecar.wait(35)
    sidecar.wait(300, alive=[RUN])
    assert sidecar.words == ["stalled"]
    assert sidecar.operation["status"] == "running"
    sidecar.wait(80)
    assert sidecar.words == ["stalled", "stalled", "Error"]


@pytest.mark.parametrize("word", ["queued", "scheduled", "received", "retrying"])
def test_only_what_runs_can_be_lost(word):
    sidecar = Sidecar()
    sidecar.write(status(word))
    sidecar.wait(500)
    assert sidecar.words == []


def test_of_a_workflow_only_its_tasks_can_be_lost(sidecar):
    nodes = [("chain", -1), ("task", 0, "op-1"), ("task", 0, "c")]
    sidecar.write(plan(*nodes), plan(*nodes, held="waits"))
    sidecar.write(status("started", metadata={}))
    sidecar.wait(3 * LOST_AFTER, alive=[RUN])
    assert sidecar.words == []
    assert sidecar.hub.get("workflow:c")["state"] == "running"
    sidecar.wait(2 * LOST_AFTER)
    assert sidecar.operation["state"] == "error"
    for one in ("workflow:c", "c"):
        assert sidecar.hub.get(one)["error_type"] == "WorkerLost"


def test_what_has_ended_is_not_looked_at(sidecar):
    sidecar.write(completed())
    sidecar.wait(500)
    assert sidecar.words == []


def test_a_run_without_a_name_can_give_no_sign_and_is_not_judged():
    sidecar = Sidecar()
    sidecar.write(log("from somebody else", run=""))
    sidecar.wait(500)
    assert sidecar.words == []


def test_silence_does_not_count_while_the_log_is_not_heard(sidecar):
    sidecar.wait(20)
    sidecar.liveness.pause()
    sidecar.wait(500)
    assert sidecar.words == []
    sidecar.liveness.resume(sidecar.now)
    sidecar.wait(25)
    assert sidecar.words == []
    sidecar.wait(10)
    assert sidecar.words == ["stalled"]


def test_a_sidecar_that_was_suspended_gives_everybody_time(sidecar):
    sidecar.wait(20)
    sidecar.now += 3_600
    sidecar.wait(25)
    assert sidecar.words == []


def test_what_the_log_did_not_take_is_concluded_again_after_a_while():
    sidecar = Sidecar(heard=False)
    sidecar.write(status("started", metadata={}))
    sidecar.wait(90)
    # Nobody is given up whom nobody has seen stalled.
    assert set(sidecar.words) == {"stalled"}
    assert 2 <= len(sidecar.words) <= 7
    sidecar.heard = True
    sidecar.wait(30)
    assert sidecar.words[-2:] == ["stalled", "Error"]


def test_the_backend_knows_better():
    sidecar = Sidecar(LookupResult(Outcome("completed", {"rows": 7})))
    sidecar.write(status("started", metadata={}))
    sidecar.wait(80)
    assert sidecar.words == ["stalled", "Result", "Completed"]
    assert sidecar.concluded[1].data.result == {"rows": 7}
    assert sidecar.operation["status"] == "completed"
    assert sidecar.asked == ["op-1"]


def test_a_result_that_must_not_leave_the_worker_does_not_leave_the_backend():
    sidecar = Sidecar(LookupResult(Outcome("completed", "secret")))
    sidecar.write(status("started", metadata={}, stream_result=False))
    sidecar.wait(80)
    assert sidecar.words == ["stalled", "Completed"]


def test_the_backend_knows_of_a_failure():
    sidecar = Sidecar(LookupResult(Outcome("error", None, "broke", "ValueError")))
    sidecar.write(status("started", metadata={}, worker="w"))
    sidecar.wait(80)
    assert sidecar.words == ["stalled", "Error"]
    assert (sidecar.operation["error"], sidecar.operation["error_type"]) == ("broke", "ValueError")


@pytest.mark.parametrize(
    "said",
    [
        [status("started", metadata={}, worker="w", stream_errors="type")],
        # The word of whoever has it last.
        [status("received"), status("started", metadata={}, stream_errors="type")],
        # Of what follows a task nothing may be known.
        [status("started", metadata={}), status("replaced", stream_errors="type")],
        # Of a message nobody knows which worker's word holds.
        [queued()],
    ],
)
@pytest.mark.parametrize("reason", ["", "it took too long"])
def test_an_error_that_must_not_leave_the_worker_does_not_leave_the_backend(said, reason):
    outcome = Outcome("error", None, "secret", "ValueError", reason)
    sidecar = Sidecar(LookupResult(outcome))
    for event in said:
        sidecar.write(event)
    sidecar.wait(200)
    shown = sidecar.operation
    assert (shown["error"], shown["error_type"]) == (reason or WITHHELD, "ValueError")


def test_a_backend_that_knows_of_no_end_leaves_it_lost():
    sidecar = Sidecar(LookupResult(None))
    sidecar.write(status("started", metadata={}, worker="w"))
    sidecar.wait(80)
    assert sidecar.operation["error_type"] == "WorkerLost"


def test_a_backend_that_does_not_answer_is_waited_for_but_not_for_ever():
    sidecar = Sidecar(UNAVAILABLE)
    sidecar.write(status("started", metadata={}, worker="w"))
    sidecar.wait(590)
    assert sidecar.words == ["stalled"]
    assert len(sidecar.asked) > 20
    sidecar.wait(30)
    assert sidecar.operation["error_type"] == "WorkerLost"


def test_a_backend_that_is_back_in_time_tells_the_end():
    sidecar = Sidecar(UNAVAILABLE)
    sidecar.write(status("started", metadata={}, worker="w"))
    sidecar.wait(500)
    sidecar.backend = LookupResult(Outcome("completed", 7))
    sidecar.wait(30)
    assert sidecar.words == ["stalled", "Result", "Completed"]


def test_nothing_is_concluded_from_a_question_that_was_not_asked():
    sidecar = Sidecar(NOT_ASKED)
    sidecar.write(status("started", metadata={}, worker="w"))
    sidecar.wait(10_000)
    assert sidecar.words == ["stalled"]
    sidecar.backend = LookupResult(Outcome("completed", 7))
    sidecar.wait(30)
    assert sidecar.words == ["stalled", "Result", "Completed"]


def test_nothing_is_concluded_while_a_question_waits_for_its_turn():
    sidecar = Sidecar(UNAVAILABLE)
    answers = []
    sidecar.liveness._request = lambda _id, answer, _urgency: answers.append(answer)
    sidecar.write(status("started", metadata={}, worker="w"))
    sidecar.wait(10_000)
    assert sidecar.words == ["stalled"]
    answers[-1](LookupResult(Outcome("completed", 7)))
    assert sidecar.words == ["stalled", "Result", "Completed"]


def test_runs_that_may_be_lost_are_asked_about_before_those_that_wait():
    sidecar = Sidecar(UNAVAILABLE)
    asked = {}
    sidecar.liveness._request = lambda one, _answer, urgency: asked.setdefault(one, urgency)
    sidecar.write(status("started", metadata={}, worker="w"))
    sidecar.write(status("received", operation_id="op-2", worker="w"), queued(operation_id="op-3"))
    sidecar.wait(200)
    assert asked["op-1"] < asked["op-2"] == asked["op-3"]


@pytest.mark.parametrize("word", ["received", "retrying"])
def test_a_run_that_waits_is_asked_for_now_and_then(word):
    """A process may have died with the first word of it, or of its next attempt, unsaid."""
    sidecar = Sidecar(LookupResult(None))
    sidecar.write(status("received", worker="w"))
    sidecar.write(status(word, worker="w"))
    sidecar.wait(1_000)
    assert sidecar.words == []
    assert 3 <= len(sidecar.asked) <= 6
    sidecar.backend = LookupResult(Outcome("completed", 7))
    sidecar.wait(1_000)
    assert sidecar.words == ["Result", "Completed"]
    assert sidecar.operation["state"] == "completed"


def test_what_only_waits_in_its_queue_is_asked_for_now_and_then():
    """A worker that knows neither its task nor this package throws it away without a word."""
    sidecar = Sidecar(LookupResult(None))
    sidecar.write(queued())
    sidecar.wait(50)
    assert sidecar.asked == []
    sidecar.wait(950)
    assert sidecar.words == []
    assert 3 <= len(sidecar.asked) <= 6
    sidecar.backend = LookupResult(Outcome("error", None, "life.newer", "NotRegistered"))
    sidecar.wait(1_000)
    assert sidecar.words == ["Error"]
    shown = sidecar.operation
    assert (shown["state"], shown["error_type"]) == ("error", "NotRegistered")


@pytest.mark.parametrize("backend", [None, LookupResult(None)])
@pytest.mark.parametrize("off", [0.0, 86_400.0], ids=["one clock", "another clock"])
@pytest.mark.parametrize("word", ["queued", "scheduled"])
def test_a_message_that_expired_in_its_queue_is_cancelled(word, off, backend):
    """RabbitMQ deletes it, and no worker ever hears of it."""
    sidecar = Sidecar(backend)
    sidecar.write(status(word, run="", at=off, expires_at=off + 300.0))
    sidecar.wait(300 + LOST_AFTER - 10)
    assert sidecar.words == []
    sidecar.wait(20)
    assert sidecar.words == ["Error"]
    shown = sidecar.operation
    assert (shown["state"], shown["error_type"]) == ("cancelled", "TaskRevokedError")
    assert shown["error"] == "the task expired before it could start"
    # If it starts all the same, that holds.
    sidecar.write(status("started", metadata={}))
    assert sidecar.operation["state"] == "running"


@pytest.mark.parametrize(
    ("events", "state"),
    [
        # A worker holds it, and says so when its turn comes.
        ([status("received", at=1.0, expires_at=300.0)], "received"),
        ([scheduled(run="r1", at=1.0, expires_at=300.0)], "scheduled"),
        ([status("started", metadata={}), status("retrying", at=1.0, expires_at=300.0),
          status("received", run="r2", publication="p2")], "retrying"),
        # Nobody holds the retry.
        ([status("started", metadata={}), status("retrying", at=1.0, expires_at=300.0)],
         "cancelled"),
        ([queued(at=1.0)], "queued"),
    ],
)  # fmt: skip
def test_who_says_that_a_message_has_expired(events, state):
    sidecar = Sidecar()
    sidecar.write(*events)
    sidecar.wait(1_000)
    assert sidecar.operation["state"] == state


def test_nothing_expires_while_the_log_is_not_heard():
    sidecar = Sidecar(heard=False)
    sidecar.write(queued(at=1.0, expires_at=300.0))
    sidecar.wait(500)
    # It is concluded again until the log has it.
    assert len(sidecar.words) > 1
    sidecar.liveness.pause()
    before = len(sidecar.words)
    sidecar.wait(500)
    assert len(sidecar.words) == before


def test_what_was_concluded_of_a_message_does_not_hold_for_a_run_of_it():
    sidecar = Sidecar(LookupResult(Outcome("error", None, "life.newer", "NotRegistered")))
    sidecar.write(queued())
    sidecar.wait(100)
    assert sidecar.operation["state"] == "error"
    sidecar.write(status("received", worker="w"), status("started", metadata={}, worker="w"))
    assert sidecar.operation["state"] == "running"
    sidecar.write(completed())
    assert (sidecar.operation["state"], sidecar.operation["error"]) == ("completed", None)


def test_no_conclusion_is_drawn_about_a_message_whose_run_began_meanwhile():
    sidecar = Sidecar(UNAVAILABLE)
    answers = []
    sidecar.liveness._request = lambda _id, answer, _urgency: answers.append(answer)
    sidecar.write(queued())
    sidecar.wait(100)
    sidecar.write(status("received", worker="w"))
    answers[0](LookupResult(Outcome("completed", 7)))
    assert sidecar.words == []


def test_a_long_queue_is_asked_for_in_small_portions():
    sidecar = Sidecar(LookupResult(None))
    for number in range(1_000):
        sidecar.write(queued(operation_id=f"op-{number}"))
    sidecar.wait(LOST_AFTER)
    before = len(sidecar.asked)
    sidecar.now += sidecar.liveness.interval
    sidecar.liveness.check(sidecar.now, 0.0)
    assert 0 < len(sidecar.asked) - before <= 20
    # Nobody is left out for the sake of those that were asked for before.
    sidecar.wait(1_000)
    assert len(set(sidecar.asked)) == 1_000


def test_an_answer_that_comes_too_late_is_not_taken():
    sidecar = Sidecar(UNAVAILABLE)
    answers = []
    sidecar.liveness._request = lambda _id, answer, _urgency: answers.append(answer)
    sidecar.write(status("started", metadata={}))
    sidecar.wait(65)
    sidecar.write(progress(0.5))
    answers[0](LookupResult(None))
    assert sidecar.words == ["stalled"]


@given(st.lists(st.tuples(st.sampled_from(["wait", "speak", "sign", "deaf"]), st.integers(1, 90))))
def test_nobody_who_spoke_within_the_time_is_given_up(steps):
    sidecar = Sidecar()
    sidecar.write(status("started", metadata={}, worker="w"))
    spoke_at, ends = 0.0, 0
    for step, seconds in steps:
        if step == "speak":
            sidecar.write(log("here"))
        elif step == "sign":
            sidecar.write(alive=[RUN])
        elif step == "deaf":
            sidecar.liveness.pause()
            sidecar.wait(seconds)
            sidecar.liveness.resume(sidecar.now)
        else:
            sidecar.wait(seconds)
        spoke_at = sidecar.now if step != "wait" else spoke_at
        found = sum(isinstance(one, (Error, Completed)) for one in sidecar.concluded)
        assert found == ends or sidecar.now - spoke_at >= LOST_AFTER
        ends = found
    # And whoever is silent for long is told about, whatever was before.
    sidecar.wait(2 * LOST_AFTER)
    assert sidecar.operation["state"] == "error"
