"""Real workers say which runs go on: all of them, those only, and none any more that is over."""

from __future__ import annotations

import os
import signal
import uuid

import celery
import pytest
import redis
from support.conditions import eventually
from support.event_log import in_task, spoken
from support.workers import Worker

from celery_wsprogress.brokers import EXCHANGE
from celery_wsprogress.protocol.events import Status


def own_worker(server, queue, *, options=(), environment=None, **how):
    """A worker for one test, on a queue of its own; it gives ten signs a second."""
    return Worker(
        "life",
        broker=server.url,
        backend=server.url,
        options=("-Q", queue, *options),
        environment={"WSPROGRESS_SIGN_INTERVAL": "0.1", **(environment or {})},
        **how,
    )


@pytest.fixture(scope="module")
def signing(redis_server, life):
    """A prefork worker that gives many signs, for all tests of this module."""
    with own_worker(redis_server, "signs", concurrency=3) as worker:
        yield worker


@pytest.fixture
def gate(tmp_path):
    return tmp_path / "gate"


@pytest.fixture
def bystander(life, log, signing, tmp_path):
    """A run that goes on beside the one of the test: signs go on, too."""
    gate = tmp_path / "bystander"
    task = life.waits.apply_async((str(gate),), queue="signs")
    log.wait_for_sign(task.id)
    yield task.id
    gate.touch()


def started(log, operation_id):
    return [
        event
        for event in log.events(operation_id)
        if isinstance(event, Status) and event.data.status == "started"
    ]


def signs_of(log, operation_id):
    return sum(operation_id in sign for sign in log.signs())


def wait_for_more_signs_of(log, operation_id, more=3):
    seen = signs_of(log, operation_id)
    eventually(
        lambda: signs_of(log, operation_id) >= seen + more, what=f"{more} signs of {operation_id}"
    )


def wait_until_unsigned(log, run, bystander):
    """Until signs are given and none names this run any more."""

    def silent():
        last = log.signs()[-3:]
        return len(last) == 3 and all(
            bystander in sign and run not in sign.values() for sign in last
        )

    eventually(silent, what=f"signs without run {run}")


def test_a_run_is_named_with_its_operation_until_it_ends(life, signing, log, gate, bystander):
    task = life.waits.apply_async((str(gate),), queue="signs")
    run = log.wait_for_sign(task.id)
    wait_for_more_signs_of(log, task.id)
    assert {event.run for event in log.events(task.id) if event.run} == {run}
    gate.touch()
    log.wait_for_end(task.id)
    wait_until_unsigned(log, run, bystander)


def test_a_child_that_never_lets_go_of_the_lock_is_vouched_for(life, signing, log, tmp_path):
    """Its own thread can say nothing; its parent can."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    task = life.holds_the_lock.apply_async((str(fifo),), queue="signs")
    try:
        wait_for_more_signs_of(log, task.id, more=5)
        assert log.ends(task.id) == []
    finally:
        os.close(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK))
    log.wait_for_end(task.id)


def test_only_the_main_process_vouches(life, redis_server, log, gate):
    """Not a process of its pool either that is born while a run goes on."""
    with own_worker(redis_server, "forks", options=("--max-tasks-per-child", "1")) as worker:
        task = life.waits.apply_async((str(gate),), queue="forks")
        run = log.wait_for_sign(task.id)
        before = set(worker.children)
        log.wait_for_end(life.logs.apply_async((3,), queue="forks").id)
        eventually(lambda: set(worker.children) - before)
        late = life.waits.apply_async((str(gate),), queue="forks")
        log.wait_for_sign(late.id)
        wait_for_more_signs_of(log, task.id)
        gate.touch()
        log.wait_for_end(task.id)
        log.wait_for_end(late.id)
    writers = {batch.writer for batch in log.batches() if (task.id, run) in batch.alive}
    [writer] = {
        batch.writer
        for batch in log.batches()
        for event in batch.events
        if event.run == run and isinstance(event, Status) and event.data.status == "received"
    }
    assert writers == {writer}


def test_what_waits_or_is_not_followed_is_not_named(life, redis_server, log, gate):
    with own_worker(redis_server, "waiting", concurrency=1) as worker:
        later = life.waits.apply_async((str(gate),), queue="waiting", countdown=3600)
        eventually(lambda: spoken(log.events(later.id)).count("scheduled") == 2)
        task = life.waits.apply_async((str(gate),), queue="waiting")
        log.wait_for_sign(task.id)
        waiting = life.waits.apply_async((str(gate),), queue="waiting")
        plain = life.plain.apply_async(queue="waiting")
        log.wait_for_words(waiting.id, "received")
        wait_for_more_signs_of(log, task.id)
        assert not any({waiting.id, later.id} & set(sign) for sign in log.signs())
        gate.touch()
        log.wait_for_end(waiting.id)
        assert plain.get(timeout=30) == 1
        assert signs_of(log, plain.id) == 0
        assert worker.running


@pytest.mark.parametrize("name", ["hard_limited", "kills_itself", "revoked"])
def test_signs_stop_with_an_end_that_the_main_process_says(life, log, gate, bystander, name):
    if name == "revoked":
        task = life.waits.apply_async((str(gate),), queue="signs")
    else:
        arguments = (str(gate),) if name == "kills_itself" else ()
        task = getattr(life, name).apply_async(arguments, queue="signs")
    run = log.wait_for_sign(task.id)
    if name == "revoked":
        task.revoke(terminate=True)
    gate.touch()
    log.wait_for_end(task.id)
    wait_until_unsigned(log, run, bystander)


def test_signs_stop_when_a_child_dies_whose_result_was_stored(life, signing, log, gate, bystander):
    """Since Celery 5.7 no signal tells the end; only the silence does."""
    task = life.dies_afterwards.apply_async((str(gate),), queue="signs")
    run = log.wait_for_sign(task.id)
    # The sign is its parent's; what it has not written itself yet dies with it.
    log.wait_for_words(task.id, "started")
    gate.touch()
    wait_until_unsigned(log, run, bystander)
    silent = celery.VERSION >= (5, 7)
    assert (f"[{task.id}] succeeded before the worker was lost" in signing.log) is silent
    if silent:
        assert in_task(log.events(task.id)) == ["started"]
    else:
        assert in_task(log.wait_for_end(task.id)) == ["started", "result", "completed"]


def test_signs_stop_when_a_lost_run_goes_back_into_its_queue(life, signing, log, gate, bystander):
    """No signal tells the end of the first run; the second one has another name."""
    task = life.kills_itself_once.apply_async((uuid.uuid4().hex, str(gate)), queue="signs")
    run = log.wait_for_sign(task.id)
    gate.touch()
    log.wait_for_end(task.id)
    wait_until_unsigned(log, run, bystander)
    assert in_task(log.runs(task.id)[1]) == ["started", "result", "completed"]


@pytest.mark.parametrize("pool", ["threads", "solo", "gevent"])
def test_every_pool_gives_signs(life, redis_server, log, gate, pool):
    queue = f"signs-{pool}"
    with own_worker(redis_server, queue, pool=pool):
        task = life.waits_late.apply_async((str(gate),), queue=queue)
        wait_for_more_signs_of(log, task.id)
        gate.touch()
        log.wait_for_end(task.id)
        other = life.waits.apply_async((str(gate),), queue=queue)
        log.wait_for_end(other.id)


def test_a_warm_stop_gives_signs_until_the_last_run_has_ended(life, redis_server, log, gate):
    with own_worker(redis_server, "leaving") as worker:
        task = life.waits_late.apply_async((str(gate),), queue="leaving")
        log.wait_for_sign(task.id)
        os.kill(worker.process.pid, signal.SIGTERM)
        eventually(lambda: "Warm shutdown" in worker.log)
        wait_for_more_signs_of(log, task.id)
        gate.touch()
        assert worker.stop() == 0
    assert in_task(log.events(task.id)) == ["started", "completed"]


def test_a_worker_that_was_stopped_gives_signs_when_it_goes_on(life, redis_server, log, gate):
    with own_worker(redis_server, "stopped") as worker:
        task = life.waits.apply_async((str(gate),), queue="stopped")
        run = log.wait_for_sign(task.id)
        os.killpg(worker.process.pid, signal.SIGSTOP)
        os.killpg(worker.process.pid, signal.SIGCONT)
        wait_for_more_signs_of(log, task.id)
        assert {sign[task.id] for sign in log.signs() if task.id in sign} == {run}
        gate.touch()
        log.wait_for_end(task.id)


def test_a_long_run_is_announced_again(life, redis_server, log, gate):
    """The log may have forgotten that it began. Whoever knows is not told a second time."""
    header = {"metadata": {"file": "a.csv"}, "tags": ["nightly"]}
    often = {"REPEAT_STARTED_INTERVAL": "0.5"}
    with own_worker(redis_server, "long", environment=often):
        task = life.waits_late.apply_async(
            (str(gate),), queue="long", headers={"wsprogress": header}
        )
        eventually(lambda: len(started(log, task.id)) >= 3)
        first, *again = started(log, task.id)
        assert {event.run for event in again} == {first.run}
        assert all(event.data == first.data for event in again)
        assert first.data.stream_result is False
        assert {event.publication for event in again} == {first.publication}
        [since] = {event.timestamp for event in again}
        assert since == pytest.approx(first.timestamp, abs=5)
        assert log.watched(task.id).count("started") == 1
        with redis.Redis.from_url(redis_server.url) as client:
            client.xtrim(EXCHANGE, maxlen=0, approximate=False)
        eventually(lambda: started(log, task.id))
        gate.touch()
        log.wait_for_end(task.id)
    assert log.watched(task.id) == ["started", "completed"]


def test_an_operation_inside_a_task_is_vouched_for_by_its_own_process(
    life, signing, log, gate, bystander
):
    name = uuid.uuid4().hex
    task = life.owns.apply_async((name, str(gate)), queue="signs")
    run = log.wait_for_sign(name)
    log.wait_for_sign(task.id)
    writers = [{b.writer for b in log.batches() if one in dict(b.alive)} for one in (name, task.id)]
    assert [len(one) for one in writers] == [1, 1]
    assert not writers[0] & writers[1]
    gate.touch()
    log.wait_for_end(task.id)
    log.wait_for_end(name)
    wait_until_unsigned(log, run, bystander)
