from __future__ import annotations

import asyncio
import gc
import threading

import pytest
from support.asyncio_runner import run
from support.event_log import end_of, result_of, spoken

from celery_wsprogress import ProgressTracker, StreamingMixin, ws_manager
from celery_wsprogress import log as log_line
from celery_wsprogress.protocol.events import Error, Log, Progress


class Worker(StreamingMixin):
    """Never calls ``super().__init__()``, and cannot be hashed."""

    def __init__(self):
        self.name = "w"

    def __eq__(self, other):
        return True

    __hash__ = None

    async def work(self, number, fail=False):
        async with self.stream_operation("work", {"number": number}) as operation_id:
            for n in range(5):
                await self.emit_log("info", f"{number}.{n}")
                await asyncio.sleep(0)
            await self.emit_progress(0.5, f"half of {number}")
            if fail:
                raise ValueError(str(number))
            await self.emit_result(number)
        return operation_id


class Slotted(Worker):
    __slots__ = ("more",)


class OnlySlots(StreamingMixin):
    __slots__ = ()

    async def work(self):
        async with self.stream_operation("slots") as operation_id:
            await self.emit_status("busy", "very", {"n": 1})
        return operation_id


def lines(events):
    return [event.data.message for event in events if isinstance(event, Log)]


def test_an_operation_of_an_object(log):
    name = run(Worker().work(7))
    events = log.wait_for_end(name)
    assert spoken(events) == ["started", *["log"] * 5, "result", "completed"]
    assert events[0].data.operation_type == "work"
    assert events[0].data.metadata == {"number": 7}
    assert result_of(events).result == 7
    [progress] = [event.data for event in events if isinstance(event, Progress)]
    assert (progress.progress, progress.message) == (0.5, "half of 7")


@pytest.mark.parametrize("count", [20])
def test_twenty_operations_of_one_object_at_once(log, count):
    worker = Worker()

    async def main():
        return await asyncio.gather(*(worker.work(n) for n in range(count)))

    names = run(main())
    assert len(set(names)) == count
    for number, name in enumerate(names):
        events = log.wait_for_end(name)
        assert lines(events) == [f"{number}.{n}" for n in range(5)]
        assert result_of(events).result == number
        assert len(log.ends(name)) == 1


def test_an_exception_ends_it_and_goes_on(log):
    worker = Worker()

    async def main():
        with pytest.raises(ValueError, match="3"):
            await worker.work(3, fail=True)
        return await worker.work(4)

    log.wait_for_end(run(main()))
    [end] = [event for event in all_events(log) if isinstance(event, Error)]
    assert (end.data.error, end.data.error_type) == ("3", "ValueError")
    assert spoken(log.events(end.operation_id)) == ["started", *["log"] * 5, "error"]


def all_events(log):
    return [event for batch in log.batches() for event in batch.events]


def test_left_without_a_result_it_is_completed(log):
    name = run(OnlySlots().work())
    events = log.wait_for_end(name)
    assert spoken(events) == ["started", "busy", "completed"]
    assert (events[1].data.message, events[1].data.details) == ("very", {"n": 1})


def test_an_object_with_slots_alone():
    assert not hasattr(OnlySlots(), "__dict__")


def test_what_follows_the_result_is_not_sent(log):
    worker = Worker()

    async def work():
        async with worker.stream_operation("work") as name:
            names.append(name)
            await worker.emit_result(1)
            await worker.emit_log("info", "late")
            raise ValueError("too late")

    names = []
    with pytest.raises(ValueError, match="too late"):
        run(work())
    [name] = names
    assert spoken(log.wait_for_end(name)) == ["started", "result", "completed"]


def test_operations_inside_each_other(log):
    one, other = Worker(), Worker()

    async def work():
        async with one.stream_operation("outer") as outer:
            async with one.stream_operation("inner") as inner:
                async with other.stream_operation("other") as third:
                    await other.emit_log("info", "other")
                    await one.emit_log("info", "inner")
                await other.emit_log("info", "nobody's")
            await one.emit_log("info", "outer")
        return outer, inner, third

    outer, inner, third = run(work())
    assert lines(log.wait_for_end(outer)) == ["outer"]
    assert lines(log.wait_for_end(inner)) == ["inner"]
    assert lines(log.wait_for_end(third)) == ["other"]


def test_outside_of_an_operation_nothing_is_said(log):
    worker = Worker()

    async def work():
        await worker.emit_progress(0.5, "x")
        await worker.emit_status("x", "x")
        await worker.emit_log("info", "x")
        await worker.emit_result(1)
        async with worker.stream_operation("work") as name:
            pass
        await worker.emit_log("info", "x")
        return name

    name = run(work())
    log.wait_for_end(name)
    assert {event.operation_id for event in all_events(log)} == {name}


def test_asyncio_tasks_and_threads_begun_inside_speak_for_it(log):
    worker = Worker()

    async def work():
        async with worker.stream_operation("work") as name:
            await asyncio.create_task(worker.emit_log("info", "task"))
            await asyncio.to_thread(lambda: run(worker.emit_log("info", "thread")))
            thread = threading.Thread(target=lambda: run(worker.emit_log("info", "lost")))
            thread.start()
            thread.join()
        return name

    assert lines(log.wait_for_end(run(work()))) == ["task", "thread"]


def test_a_cancelled_one_is_cancelled(log):
    worker = Worker()

    async def work(entered):
        async with worker.stream_operation("work") as name:
            entered.set_result(name)
            await asyncio.Event().wait()

    async def main():
        entered = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(work(entered))
        name = await entered
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return name

    assert end_of(log.wait_for_end(run(main()))).status == "cancelled"


def test_its_id_serves_those_who_work_with_ids(log):
    worker = Worker()

    async def work():
        async with worker.stream_operation("work") as name:
            await ws_manager.emit_log(name, "info", "by id")
            tracker = ProgressTracker(name, 2)
            await tracker.step("one")
            await tracker.complete("done")
        return name

    events = log.wait_for_end(run(work()))
    assert lines(events) == ["by id"]
    assert result_of(events).result == "done"


def test_functions_inside_speak_for_it(log):
    worker = Worker()

    async def work():
        async with worker.stream_operation("work") as name:
            log_line("info", "from afar")
        return name

    assert lines(log.wait_for_end(run(work()))) == ["from afar"]


def test_another_object_at_the_same_place_says_nothing(log):
    """A task that lives on knows an operation of an object that is gone."""

    async def work():
        go_on = asyncio.Event()

        async def later():
            await go_on.wait()
            # Whichever of these stands where the first one was.
            for other in [Worker() for _ in range(1000)]:
                await other.emit_log("info", "somebody else's")

        worker = Worker()
        async with worker.stream_operation("work") as name:
            task = asyncio.create_task(later())
            await asyncio.sleep(0)
        del worker
        gc.collect()
        go_on.set()
        await task
        return name

    name = run(work())
    assert spoken(log.wait_for_end(name)) == ["started", "completed"]


def test_objects_do_not_pile_up(log):
    """Each operation begins the next one, of another object, and is over itself."""
    from celery_wsprogress.standalone import mixin
    from celery_wsprogress.worker import context

    async def chain(n, done):
        worker = Worker()
        async with worker.stream_operation("link"):
            if n:
                task = asyncio.create_task(chain(n - 1, done))
                kept.add(task)
                # The next one begins when this one is over.
            else:
                outer = context.current_tracker.get()
                depth = 0
                while outer is not None:
                    outer, depth = outer.parent, depth + 1
                done.set_result((len(mixin._open_operations.get()), depth))

    kept = set()

    async def main():
        done = asyncio.get_running_loop().create_future()
        await chain(50, done)
        return await done

    assert run(main()) == (1, 1)
