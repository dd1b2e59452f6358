"""Every life a task can have on one machine: what its watchers are told.

One test a row of the table of signals. Workers, pool processes and Redis are real.
"""

from __future__ import annotations

import json
import time
import uuid

import billiard
import celery
import kombu
import pytest
import redis
from msgspec import UNSET
from support.conditions import eventually
from support.event_log import end_of, in_task, result_of, spoken
from support.servers import RedisServer
from support.workers import Worker

from celery_wsprogress import StreamingTask
from celery_wsprogress.protocol.events import Log, Progress, Status

LIFE = ["started", "result", "completed"]


def heard(log, task_id, *words):
    """All events, once it ended and these words were said: by processes that wait for no other."""
    log.wait_for_end(task_id)
    log.wait_for_words(task_id, *words)
    return log.events(task_id)


def status(events, word):
    [found] = [e for e in events if isinstance(e, Status) and e.data.status == word]
    return found


def test_success(life, worker, log):
    headers = {"wsprogress": {"metadata": {"file": "a.csv"}, "tags": ["nightly"]}}
    task = life.add.apply_async((2, 3), headers=headers)
    events = heard(log, task.id, "queued", "received")
    assert in_task(events) == LIFE
    assert sorted(spoken(events)) == sorted([*LIFE, "queued", "received"])
    assert result_of(events).result == 5
    assert end_of(events).attempt == 1
    assert log.watched(task.id)[-3:] == LIFE
    assert end_of(events).duration >= 0
    for word in ("queued", "received", "started"):
        said = status(events, word)
        assert said.data.operation_type == "life.add"
        assert said.data.metadata == {"file": "a.csv"}
        assert said.data.tags == ["nightly"]
        assert said.data.queue == "celery"
        assert said.publication == status(events, "queued").publication != ""
    assert status(events, "queued").run == ""
    assert status(events, "received").run == status(events, "started").run != ""
    assert status(events, "started").data.worker == worker.name
    assert status(events, "started").data.stream_result is UNSET


def test_what_a_task_says_comes_in_its_order(life, worker, log):
    task = life.talk.delay()
    events = log.wait_for_end(task.id)
    assert in_task(events) == [
        "started", "running", "uploading", "log", "log", "result", "completed",
    ]  # fmt: skip
    assert status(events, "running").data.metadata == {"owner": "me"}
    assert status(events, "uploading").data.details == {"mirror": 1}
    progress = [e.data.progress for e in events if isinstance(e, Progress)]
    assert progress == [0.25, 0.5]
    words = [type(e).__name__ if isinstance(e, Progress) else e.data for e in events]
    assert words.index("Progress") < words.index(status(events, "uploading").data)
    assert [e.data.level for e in events if isinstance(e, Log)] == ["warning", "debug"]


def test_the_last_progress_always_comes(life, worker, log):
    task = life.steps.delay(n=1000)
    events = log.wait_for_end(task.id)
    progress = [e.data for e in events if isinstance(e, Progress)]
    assert progress[-1].current == progress[-1].total == 1000
    assert len(progress) < 1000


def test_failure(life, worker, log):
    task = life.fails.delay("no such file")
    events = log.wait_for_end(task.id)
    assert in_task(events) == ["started", "log", "error"]
    assert (end_of(events).error, end_of(events).error_type) == ("no such file", "ValueError")
    assert log.watched(task.id)[-1] == "error"
    assert end_of(events).status == "error"


@pytest.mark.parametrize("name", ["retries_once", "autoretries_once"])
def test_retry_is_another_run(life, worker, log, name):
    task = getattr(life, name).delay()
    log.wait_for_end(task.id)
    log.wait_for_words(task.id, "queued", "received", "scheduled")
    first, second = sorted(log.runs(task.id), key=lambda run: "completed" in spoken(run))
    assert in_task(first) == ["started", "retrying"]
    asks, waits = status(first, "retrying"), status(second, "scheduled")
    assert asks.data.retry_in == pytest.approx(0.1)
    assert asks.data.max_attempts == 4
    assert "Error: " in status(first, "retrying").data.message
    assert in_task(second) == LIFE
    assert status(second, "started").data.attempt == end_of(second).attempt == 2
    assert status(second, "started").after == waits.after == first[0].run
    assert status(first, "started").after == ""
    # On a busy machine that time has come when the first attempt says that it asks.
    assert asks.data.starts_at in {waits.data.starts_at, UNSET}
    asked_at = waits.data.starts_at - asks.data.retry_in
    assert status(first, "started").timestamp <= asked_at <= asks.timestamp
    assert spoken(log.events(task.id)).count("queued") == 1
    seen = [
        said for said in log.watched(task.id) if said not in {"queued", "received", "scheduled"}
    ]
    # Two processes: where the log holds the second attempt's start first, the first one is past.
    words = [said for said in spoken(log.events(task.id)) if said in {"started", "retrying"}]
    in_order = words == ["started", "retrying", "started"]
    assert seen == ["started", *(["retrying"] if in_order else []), *LIFE]


def test_large_result_is_a_marked_preview(life, worker, log):
    task = life.big_result.delay(2_000_000)
    result = result_of(log.wait_for_end(task.id))
    assert result.truncated is True
    assert result.result.endswith("… [truncated: 2,000,002 bytes]")


def test_result_that_must_not_leave(life, worker, log):
    task = life.secret_result.delay()
    events = log.wait_for_end(task.id)
    assert in_task(events) == ["started", "completed"]
    # Nor may anybody fetch it for the watchers who can read the result backend.
    assert status(events, "started").data.stream_result is False


def test_odd_values(life, worker, log):
    task = life.odd.delay()
    events = log.wait_for_end(task.id)
    assert result_of(events).result == {"nan": None, "1": [2, 3]}
    [progress] = [e.data for e in events if isinstance(e, Progress)]
    assert progress.indeterminate is True
    assert "life.odd: NaN and infinity are no progress" in worker.log


def test_soft_time_limit(life, worker, log):
    task = life.soft_limited.delay()
    events = log.wait_for_end(task.id)
    assert in_task(events) == ["started", "log", "error"]
    assert end_of(events).error_type == "SoftTimeLimitExceeded"


def test_hard_time_limit_ends_once(life, worker, log):
    task = life.hard_limited.delay()
    log.wait_for_end(task.id)
    settle(life, worker, log)
    events = log.events(task.id)
    assert in_task(events) == ["started", "log", "error"]
    assert end_of(events).error_type == "TimeLimitExceeded"
    assert log.ends_watched(task.id) == ["error"]
    assert len({event.run for event in events if event.run}) == 1


def test_hard_time_limit_after_the_result_was_stored(life, worker, log):
    """The result backend keeps the result that it has, and that is what is told."""
    task = life.outlasts_its_limit.delay()
    log.wait_for_end(task.id)
    settle(life, worker, log)
    assert log.watched(task.id)[-2:] == ["result", "completed"]
    assert result_of(log.events(task.id)).result == "stored"
    assert task.state == "SUCCESS"


def test_lost_child(life, worker, log):
    task = life.kills_itself.delay()
    events = log.wait_for_end(task.id)
    assert in_task(events) == ["started", "log", "error"]
    assert end_of(events).error_type == "WorkerLostError"
    assert log.ends_watched(task.id) == ["error"]
    assert len({event.run for event in events if event.run}) == 1


def test_child_lost_after_its_result_was_stored(life, worker, log):
    task = life.dies_afterwards.delay()
    if celery.VERSION < (5, 7):
        # It says that the task has failed; the result backend has kept the success.
        assert in_task(log.wait_for_end(task.id))[-2:] == ["result", "completed"]
        assert task.state == "SUCCESS"
        return
    # It says nothing at all; a sidecar asks the result backend.
    eventually(lambda: f"[{task.id}] succeeded before the worker was lost" in worker.log)
    settle(life, worker, log)
    assert log.ends(task.id) == []
    assert log.ends_watched(task.id) == []


def test_child_lost_without_a_result_that_tells(life, worker, log):
    task = life.dies_unheard.delay()
    assert end_of(log.wait_for_end(task.id)).error_type == "WorkerLostError"
    assert log.ends_watched(task.id) == ["error"]


def test_delivered_again_after_its_child_was_lost(life, worker, log):
    task = life.kills_itself_once.delay(uuid.uuid4().hex)
    log.wait_for_end(task.id)
    first, second = log.runs(task.id)
    assert set(spoken(first)) <= {"received", "started"}
    assert in_task(second) == LIFE
    assert log.ends_watched(task.id) == ["completed"]


@pytest.mark.skipif(
    celery.VERSION < (5, 7) and billiard.VERSION[:2] >= (4, 3),
    reason="Celery fails to store it, and says nothing",
)
def test_program_exit_in_a_task(life, worker, log):
    task = life.exits.delay()
    assert end_of(log.wait_for_end(task.id)).error_type == "WorkerLostError"


def test_ignore_is_completed_without_a_result(life, worker, log):
    task = life.ignores.delay()
    events = log.wait_for_end(task.id)
    assert in_task(events) == ["started", "log", "completed"]
    assert end_of(events).ignored is True
    assert log.watched(task.id)[-1] == "completed"
    shown = log.snapshot(task.id)
    assert (shown["state"], shown["ignored"], shown["progress"]) == ("completed", True, 0.3)


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (("SUCCESS", "stored"), LIFE),
        (("FAILURE", "no exception"), ["started", "error"]),
        (("REVOKED", None), ["started", "error"]),
        (("HALFWAY", "stored"), ["started", "HALFWAY", "completed"]),
    ],
)
def test_ignore_ends_as_the_backend_says(worker, log, redis_server, outcome, words):
    # Celery's own listener for results chokes on a failure that is no exception: so the caller
    # has none, and the listener that all tests share never reads it.
    caller = celery.Celery(broker=redis_server.url, backend="disabled", set_as_current=False)
    with caller:
        task = caller.send_task("life.ignores_with_state", outcome)
    events = log.wait_for_end(task.id)
    assert in_task(events) == words
    if "SUCCESS" in outcome:
        assert result_of(events).result == "stored"
        assert end_of(events).ignored is UNSET
        assert log.snapshot(task.id)["progress"] == 1.0
    if "REVOKED" in outcome:
        assert end_of(events).status == "cancelled"


@pytest.mark.parametrize("by", ["add", "plain", "group", "chain"])
def test_a_replaced_run_says_so_and_its_successor_goes_on(life, worker, log, by):
    headers = {"wsprogress": {"metadata": {"for": "alice"}, "tags": ["vip"]}}
    task = life.replaced.apply_async((by,), headers=headers)
    log.wait_for_end(task.id)
    settle(life, worker, log)
    first, second = log.runs(task.id)
    assert in_task(first) == ["started", "replaced"]
    assert in_task(second) == LIFE
    assert log.ends_watched(task.id) == ["completed"]
    assert status(second, "started").data.metadata == {"for": "alice"}
    assert status(second, "started").data.tags == ["vip"]


@pytest.mark.parametrize(
    ("how", "spoken"),
    [
        ("succeeds", ["before_start", "on_success"]),
        ("fails", ["before_start", "on_failure"]),
        ("retries", ["before_start", "on_retry", "before_start", "on_success"]),
    ],
)
def test_what_hooks_say_is_sent_or_told_to_be_too_late(life, worker, log, how, spoken):
    if how == "retries" and celery.VERSION < (5, 7):
        pytest.skip("Celery calls on_retry only after the end of the run")
    task = life.hooked.delay(how)
    log.wait_for_end(task.id)
    settle(life, worker, log)
    # Of two runs, which two processes may have, either may be the first in the log.
    lines = [event.data.message for event in log.events(task.id) if isinstance(event, Log)]
    assert sorted(lines) == sorted(spoken)
    assert "life.hooked: what is reported after the end, as in after_return()" in worker.log


@pytest.mark.parametrize("way", ["process", "pool", "executor"])
def test_the_last_words_of_children_are_heard(life, worker, log, way):
    task = life.forks_children.delay(way)
    events = log.wait_for_end(task.id)
    lines = sorted(event.data.message for event in events if isinstance(event, Log))
    assert lines == sorted(f"{word} {n}" for n in range(3) for word in ("child", "goodbye of"))


def test_reject(life, worker, log):
    task = life.rejects.delay()
    log.wait_for_end(task.id)
    settle(life, worker, log)
    events = log.events(task.id)
    assert in_task(events) == ["started", "log", "error"]
    assert (end_of(events).error, end_of(events).error_type) == ("rejected: not for me", "Reject")
    assert log.ends_watched(task.id) == ["error"]


def test_reject_back_into_the_queue(life, worker, log):
    task = life.rejects_once.delay(uuid.uuid4().hex)
    log.wait_for_end(task.id)
    first, second = log.runs(task.id)
    assert in_task(first) == ["started", "retrying"]
    assert status(first, "retrying").data.message == "back in its queue; rejected: not now"
    assert in_task(second) == LIFE
    assert log.ends_watched(task.id) == ["completed"]


def test_revoked_while_it_runs(life, worker, log):
    task = life.sleeps.delay()
    log.wait_for_words(task.id, "log")
    task.revoke(terminate=True)
    events = log.wait_for_end(task.id)
    assert in_task(events) == ["started", "log", "error"]
    assert end_of(events).status == "cancelled"
    assert end_of(events).error_type == "TaskRevokedError"
    assert log.ends_watched(task.id) == ["error"]
    assert len({event.run for event in events if event.run}) == 1


def test_revoked_with_a_signal_that_does_not_end_it(life, worker, log, tmp_path):
    """It ends as its own process says, and until then it is said that it was asked to."""
    gate = tmp_path / "gate"
    task = life.talks.delay(str(gate))
    eventually(lambda: any(isinstance(e, Progress) for e in log.events(task.id)))
    task.revoke(terminate=True, signal="SIGCONT")
    log.wait_for_words(task.id, "terminating")
    assert "asked to stop" in status(log.events(task.id), "terminating").data.message
    gate.touch()
    log.wait_for_end(task.id)
    assert log.ends_watched(task.id) == ["completed"]
    assert log.watched(task.id)[-3:] == ["log", "result", "completed"]


@pytest.mark.skipif(celery.VERSION < (5, 7), reason="Celery stores it only when its turn comes")
def test_revoked_while_it_waits(life, worker, log):
    """As soon as the result backend says so, and not when it would have been its turn."""
    before = time.time()
    task = life.add.apply_async((1, 1), countdown=600)
    after = time.time()
    eventually(lambda: spoken(log.events(task.id)) == ["scheduled", "scheduled"])
    for said in log.events(task.id):
        assert before + 600 <= said.data.starts_at <= after + 600
    shown = log.snapshot(task.id)
    assert (shown["state"], shown["starts_at"]) == ("scheduled", said.data.starts_at)
    task.revoke()
    events = log.wait_for_end(task.id)
    assert in_task(events) == ["error"]
    assert end_of(events).status == "cancelled"
    assert end_of(events).error == "the task was revoked"
    assert task.state == "REVOKED"
    assert log.ends_watched(task.id) == ["error"]


def test_a_task_that_no_worker_knows(life, worker, log):
    """A web process that is newer than its workers."""

    @life.app.task(base=StreamingTask, name="life.newer", shared=False)
    def newer():
        pass

    task = newer.delay()
    events = heard(log, task.id, "queued")
    assert sorted(spoken(events)) == ["error", "queued"]
    assert end_of(events).error_type == "NotRegistered"
    assert end_of(events).error == "the worker does not know the task life.newer"
    assert task.state == "FAILURE"


def test_a_message_that_no_worker_can_read(life, worker, log):
    """Its arguments are none: Celery throws it away, and stores nothing."""
    task_id = str(uuid.uuid4())
    headers = {"task": "life.add", "id": task_id, "lang": "py", "retries": 0, "eta": "no time"}
    headers["wsprogress"] = {"publication": "0" * 8}
    with life.app.producer_or_acquire() as producer:
        producer.publish([(1, 2), {}, {}], serializer="json", routing_key="celery", headers=headers)
    events = log.wait_for_end(task_id)
    assert end_of(events).error_type == "InvalidTaskError"


def test_revoked_before_it_arrives(life, worker, log):
    task_id = str(uuid.uuid4())
    life.app.control.revoke(task_id)
    eventually(lambda: f"{task_id}" in worker.log)
    life.add.apply_async((1, 1), task_id=task_id)
    events = heard(log, task_id, "queued")
    assert sorted(spoken(events)) == ["error", "queued"]
    assert end_of(events).status == "cancelled"
    assert log.ends(task_id)[0].run != ""
    assert log.ends_watched(task_id) == ["error"]


def test_expired(life, worker, log):
    task = life.add.apply_async((1, 1), expires=-1)
    events = heard(log, task.id, "queued")
    assert sorted(spoken(events)) == ["error", "queued"]
    assert end_of(events).status == "cancelled"
    assert end_of(events).error == "the task expired before it could start"
    assert log.ends_watched(task.id) == ["error"]


def test_nested_eager_tasks_are_silent(life, worker, log):
    task = life.nests.delay()
    events = log.wait_for_end(task.id)
    assert in_task(events) == LIFE
    assert [e.data.progress for e in events if isinstance(e, Progress)][-1] == 0.7


def test_plain_tasks_are_silent(life, worker, log):
    task = life.plain.delay()
    eventually(lambda: f"life.plain[{task.id}] succeeded" in worker.log)
    settle(life, worker, log)
    assert log.events(task.id) == []


@pytest.mark.parametrize("soft", ["0", "0.5"])
def test_cold_shutdown(life, redis_server, log, soft):
    """What was acknowledged early is lost; what was not goes back into its queue."""
    queue = f"cold-{soft}"
    with own_worker(redis_server, queue, SOFT_SHUTDOWN=soft) as worker:
        early = life.sleeps.apply_async((60,), queue=queue)
        late = life.late.apply_async((60,), queue=queue)
        log.wait_for_words(early.id, "log")
        log.wait_for_words(late.id, "started")
        worker.quit()
    events = log.events(early.id)
    if celery.VERSION < (5, 7):
        # It says nothing of what it gives up; a sidecar concludes it.
        assert in_task(events)[:2] == ["started", "log"]
        return
    assert in_task(events) == ["started", "log", "error"]
    assert (end_of(events).error_type, end_of(events).status) == ("WorkerTerminate", "cancelled")
    assert log.ends_watched(early.id) == ["error"]
    assert in_task(log.events(late.id)) == ["started", "retrying"]
    assert (
        log.frames(late.id)[-1]["data"]["message"] == "the worker gave the task back to its queue"
    )
    with redis.Redis.from_url(redis_server.url) as client:
        assert late.id.encode() in b"".join(client.lrange(queue, 0, -1))


@pytest.mark.skipif(kombu.VERSION < (5, 7), reason="kombu looks once in minutes for what is late")
def test_delivered_again_while_it_runs(life, redis_server, log):
    """The visibility timeout of Redis: two runs of one id overlap."""
    with own_worker(redis_server, "twice", VISIBILITY_TIMEOUT="2"):
        task = life.late.apply_async((4,), queue="twice")
        log.wait_for_end(task.id, ends=2)
    runs = [in_task(run) for run in log.runs(task.id)]
    assert runs.count(LIFE) >= 2
    assert len({run[0].run for run in log.runs(task.id)}) == len(runs)
    assert log.ends_watched(task.id) == ["completed"]


def test_result_that_cannot_be_stored(life, redis_server, log):
    with RedisServer() as backend:
        settings = {"RESULT_BACKEND": backend.url}
        with own_worker(redis_server, "storeless", **settings):
            task = life.sleeps.apply_async((1,), queue="storeless", ignore_result=False)
            log.wait_for_words(task.id, "log")
            backend.kill()
            events = log.wait_for_end(task.id)
    assert in_task(events)[:3] == ["started", "log", "error"]
    assert "Error" in log.ends(task.id)[0].data.error_type
    assert log.ends_watched(task.id) == ["error"]


def test_success_that_is_delivered_again_and_recognised(life, redis_server, log):
    """``worker_deduplicate_successful_tasks``: the second receipt runs nothing and ends nothing."""
    with own_worker(redis_server, "known", DEDUPLICATE="1") as worker:
        task = life.late.apply_async((0,), queue="known")
        log.wait_for_end(task.id)
        life.late.apply_async((0,), queue="parked", task_id=task.id)
        with redis.Redis.from_url(redis_server.url) as client:
            message = json.loads(client.lpop("parked"))
            message["properties"]["delivery_info"]["redelivered"] = True
            client.lpush("known", json.dumps(message))
        eventually(lambda: "Task already completed successfully" in worker.log)
        log.wait_for_words(task.id, "received")
        eventually(lambda: spoken(log.events(task.id)).count("received") == 2)
    assert log.ends_watched(task.id) == ["completed"]
    # Nor is it news: a client that goes by the last word it was told stays at the end.
    assert log.watched(task.id)[-1] == "completed"


def own_worker(server, queue, **environment):
    """A worker for one test, on a queue that no other one takes tasks from."""
    return Worker(
        "life",
        broker=server.url,
        backend=server.url,
        options=("-Q", queue),
        environment=environment,
    )


def settle(life, worker, log):
    """Wait until everything that the worker says by now has arrived: it would come before this."""
    for _ in range(2):
        log.wait_for_end(life.add.delay(0, 0).id)
