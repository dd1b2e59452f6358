"""The process that owns operations says which of them go on."""

from __future__ import annotations

import os

import pytest
from support.asyncio_runner import run
from support.conditions import eventually
from support.event_log import end_of

from celery_wsprogress import StreamingMixin, operation, ws_manager
from celery_wsprogress.protocol.events import Status
from celery_wsprogress.standalone import process_publisher, registry
from celery_wsprogress.standalone.handle import new_run
from celery_wsprogress.standalone.registry import start
from celery_wsprogress.worker.publishing import heartbeats
from celery_wsprogress.worker.publishing.publishers import drain_all


@pytest.fixture
def signed(log, monkeypatch):
    """The log of a process that gives ten signs a second."""
    monkeypatch.setenv("WSPROGRESS_SIGN_INTERVAL", "0.1")
    return log


def wait_until_unsigned(log, name, bystander):
    def silent():
        last = log.signs()[-3:]
        return len(last) == 3 and all(bystander in sign and name not in sign for sign in last)

    eventually(silent)


def test_an_operation_is_named_until_it_ends(signed):
    with operation("bystander") as bystander:
        with operation("import") as op:
            named = signed.wait_for_sign(op.operation_id)
        wait_until_unsigned(signed, op.operation_id, bystander.operation_id)
    events = signed.wait_for_end(op.operation_id)
    assert {event.run for event in events} == {named}


def test_by_whatever_name_it_was_begun(signed):
    class Owner(StreamingMixin):
        async def work(self):
            async with self.stream_operation("mixed") as name:
                return name, signed.wait_for_sign(name)

    name = run(ws_manager.create_operation("by id"))
    assert signed.wait_for_sign(name)
    run(ws_manager.emit_error(name, "enough"))
    name, named = run(Owner().work())
    assert {event.run for event in signed.wait_for_end(name)} == {named}


def test_a_process_whose_operations_have_ended_is_at_rest(signed):
    with operation("import") as op:
        signed.wait_for_sign(op.operation_id)
    [publisher] = process_publisher._cache
    eventually(lambda: publisher._outbox.heartbeats.idle)


def test_a_forked_child_vouches_for_its_own_operations_only(signed):
    with operation("parent's") as op:
        signed.wait_for_sign(op.operation_id)
        pid = os.fork()
        if pid == 0:
            try:
                with operation("child's", operation_id="child-1"):
                    signed.wait_for_sign("child-1")
                drain_all(20)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
    signed.wait_for_end("child-1")
    batches = signed.batches()
    own = {b.writer for b in batches if op.operation_id in dict(b.alive)}
    childs = {b.writer for b in batches if "child-1" in dict(b.alive)}
    assert len(own) == len(childs) == 1
    assert own != childs


def test_a_long_one_is_announced_with_what_is_known_by_now(signed, monkeypatch):
    monkeypatch.setattr(heartbeats, "REPEAT_STARTED_INTERVAL", 0.3)

    def starts():
        return [
            event
            for event in signed.events(op.operation_id)
            if isinstance(event, Status) and event.data.status == "started"
        ]

    with operation("import", metadata={"file": "a.csv"}, tags=["nightly"]) as op:
        op.set_metadata(rows=7)
        eventually(lambda: len(starts()) >= 2)
        first, again = starts()[:2]
    assert again.data.metadata == {"file": "a.csv", "rows": 7}
    assert (again.timestamp, again.run) == (first.timestamp, first.run)
    assert (again.data.operation_type, again.data.tags) == ("import", ["nightly"])
    assert end_of(signed.wait_for_end(op.operation_id)).status == "completed"
    assert signed.watched(op.operation_id).count("started") == 1


def test_of_very_many_the_newest_are_vouched_for(log, monkeypatch):
    monkeypatch.setattr(registry, "MAX_HEARTBEAT_RUNS", 3)
    fresh = registry.OperationRegistry()
    monkeypatch.setattr(registry, "add", fresh.add)
    assert fresh.active_runs() is None
    for number in range(5):
        start(new_run("x", operation_id=f"op-{number}"))
    assert [one.operation_id for one in fresh.active_runs()] == ["op-4", "op-3", "op-2"]


def test_of_too_many_the_oldest_is_forgotten(log, monkeypatch, caplog):
    monkeypatch.setattr(registry, "MAX_OPEN", 3)
    fresh = registry.OperationRegistry()
    for name in ("add", "remove", "find", "find_tracker", "look_up", "open_operations", "stats"):
        monkeypatch.setattr(registry, name, getattr(fresh, name))

    async def work():
        names = [await ws_manager.create_operation("x") for _ in range(5)]
        for name in names:
            await ws_manager.emit_result(name, 1)
        return names

    names = run(work())
    assert ws_manager.get_stats()["ignored_emits"] == 2
    log.wait_for_end(names[-1])
    assert [len(log.ends(name)) for name in names] == [0, 0, 1, 1, 1]
    assert caplog.text.count("the oldest are forgotten") == 1


def test_of_those_that_are_over_only_so_many_are_known(monkeypatch):
    monkeypatch.setattr(registry, "MAX_ENDED", 2)
    names = []
    for _ in range(4):
        with operation("x") as op:
            names.append(op.operation_id)
    known = [bool(ws_manager.get_operation(name)) for name in names]
    assert known[-2:] == [True, True]
    assert sum(known) == 2
