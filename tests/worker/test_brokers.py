"""The worker side on each broker, read back as a sidecar reads it."""

from __future__ import annotations

from contextlib import closing

from celery import Celery
from support.conditions import eventually
from support.event_log import end_of, in_task, spoken
from support.workers import Worker

from celery_wsprogress import StreamingTask, brokers
from celery_wsprogress.brokers.address import broker_address
from celery_wsprogress.protocol import batches
from celery_wsprogress.protocol.events import Status


def test_a_task_is_followed_from_the_caller_to_its_end(broker_url, redis_server):
    app = Celery("caller", broker=broker_url)

    @app.task(base=StreamingTask, name="life.talk", shared=False)
    def talk(self):
        pass

    with (
        closing(brokers.open_reader(broker_address(app))) as reader,
        Worker("life", broker=broker_url, backend=redis_server.url),
    ):
        position, heard = "", []

        def hear():
            nonlocal position
            for entry in reader.read(position, wait=0.2):
                position = entry.position
                heard.extend(batches.decode_batch(entry.batch).events)
            # Each of these is said by another process.
            return {"queued", "received", "completed"} <= set(spoken(heard))

        header = {"metadata": {"file": "ä.csv", "depth": {"rows": [1, None]}}, "tags": ["x"]}
        task = talk.apply_async(headers={"wsprogress": header})
        eventually(hear)
    assert {event.operation_id for event in heard} == {task.id}
    assert {"queued", "received"} < set(spoken(heard))
    assert in_task(heard) == [
        "started", "running", "uploading", "log", "log", "result", "completed",
    ]  # fmt: skip
    assert end_of(heard).attempt == 1
    for event in heard:
        if isinstance(event, Status) and event.data.status in {"queued", "received", "started"}:
            assert event.data.metadata == header["metadata"]
            assert event.data.queue == "celery"
