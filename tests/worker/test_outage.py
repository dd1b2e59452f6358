"""A task says a million things while the broker is down."""

from __future__ import annotations

from contextlib import closing, suppress

import pytest
from celery import Celery
from support.conditions import eventually
from support.event_log import end_of, in_task, result_of
from support.workers import Worker

from celery_wsprogress import brokers
from celery_wsprogress.brokers.address import broker_address
from celery_wsprogress.protocol import batches
from celery_wsprogress.protocol.events import Log, Progress


class Listener:
    """Reads a log whose broker goes and comes back, as a sidecar does."""

    def __init__(self, app):
        self._address = broker_address(app)
        self._epoch = self._position = ""
        self._written = {}
        self.events = []
        self.signed = False

    def read_until(self, condition):
        """Read on until this is true."""
        reader = eventually(self._open, timeout=90)
        assert reader.epoch == (self._epoch or reader.epoch)
        self._epoch = reader.epoch
        with closing(reader):
            eventually(lambda: self._read(reader) or condition(), timeout=90)

    def _open(self):
        """A broker that is back may not have found all of its queues yet."""
        with suppress(Exception):
            return brokers.open_reader(self._address, self._position, self._epoch)
        return None

    def has_heard(self, word):
        """Whether this was said."""
        return word in in_task(self.events)

    def _read(self, reader):
        for entry in reader.read(self._position, wait=0.5):
            self._position = entry.position
            batch = batches.decode_batch(entry.batch)
            # What was not confirmed when the broker went is written once more.
            if batch.counter <= self._written.get(batch.writer, -1):
                continue
            self._written[batch.writer] = batch.counter
            self.events += batch.events
            self.signed = self.signed or bool(batch.alive)


@pytest.mark.parametrize("kind", ["own_redis", "own_rabbitmq"])
def test_it_is_not_harmed_and_its_end_arrives(request, redis_server, tmp_path, kind):
    """The result backend is another server: without one Celery itself fails the task."""
    broker, gate = request.getfixturevalue(kind), tmp_path / "gate"
    caller = Celery("caller", broker=broker.url, backend=redis_server.url)
    often = {"WSPROGRESS_SIGN_INTERVAL": "0.1"}
    worker = Worker("life", broker=broker.url, backend=redis_server.url, environment=often)
    with caller, worker:
        listener = Listener(caller)
        listener.read_until(lambda: True)
        task = caller.send_task("life.says_a_million_things", (str(gate),))
        # Behind the acknowledgement of the message: Celery itself does not survive the loss of a
        # Redis while it holds one.
        listener.read_until(lambda: listener.signed)
        broker.kill()
        gate.touch()
        filled = task.get(timeout=90)
        assert not broker.running
        broker.start()
        listener.read_until(lambda: listener.has_heard("completed"))
        eventually(lambda: worker.log.count("Task events reach") >= 1)
    assert filled["limit"] / 2 < filled["fullest"] <= filled["limit"]
    assert in_task(listener.events)[-2:] == ["result", "completed"]
    assert result_of(listener.events).result == filled
    assert end_of(listener.events).attempt == 1
    last = [event.data for event in listener.events if isinstance(event, Progress)][-1]
    assert (last.current, last.total, last.progress) == (1_000_000, 1_000_000, 1.0)
    # What had to be given up is admitted where it would have stood, and the newest lines are there.
    lines = [event.data.message for event in listener.events if isinstance(event, Log)]
    assert sum("the buffer was full" in line for line in lines) == 1
    assert lines[-1] == "line 1000000"
